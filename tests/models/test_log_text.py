import logging

import pytest

from napari_medseg.models.log_text import WithoutFolders, without_folders


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("/scans/Jane Doe/scan.nii cannot be decoded", "…/scan.nii cannot be decoded"),
        ("There is no file '/data/Müller, Jörg/CT 1/IM01.dcm'.", "There is no file '…/IM01.dcm'."),
        (r"'C:\Users\me\Jane Doe\scan.nii' is empty", "'…/scan.nii' is empty"),
        ("OSError: [Errno 2] No such file: '/a/b'", "OSError: [Errno 2] No such file: '…/b'"),
        ("tls://127.0.0.1:4000 is ready, 3/4 done", "tls://127.0.0.1:4000 is ready, 3/4 done"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_folders_are_left_out_and_names_of_files_kept(line: str, kept: str) -> None:
    assert without_folders(line) == kept


def test_a_traceback_still_says_where_the_code_is() -> None:
    try:
        raise ValueError("'/scans/Jane Doe/scan.nii' is broken")
    except ValueError as error:
        record = logging.LogRecord("x", logging.INFO, "", 1, "%s failed", ("/scans/Jane Doe/a.png",), None)
        record.exc_info = (type(error), error, error.__traceback__)
    text = WithoutFolders("%(message)s").format(record)
    assert "Jane" not in text
    assert "…/a.png failed" in text
    assert f'File "{__file__}"' in text
