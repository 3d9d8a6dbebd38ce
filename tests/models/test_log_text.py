import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.log_text import WithoutFolders, without_folders


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("/scans/Jane Doe/scan.nii cannot be decoded", "…/scan.nii cannot be decoded"),
        ("There is no file '/data/Müller, Jörg/CT 1/IM01.dcm'.", "There is no file '…/IM01.dcm'."),
        (r"'C:\Users\me\Jane Doe\scan.nii' is empty", "'…/scan.nii' is empty"),
        (r"\\server\scans\Jane Doe\scan.nii.gz", "…/scan.nii.gz"),
        ('"/scans/O\'Brien/my scan.tif" is empty', '"…/my scan.tif" is empty'),
        ("'Jane Doe/CT1/scan.nii' is empty", "'…/scan.nii' is empty"),
        ("[PosixPath('/scans/Jane Doe'), PosixPath('/scans/a.png')]", "[PosixPath('…'), PosixPath('…/a.png')]"),
        ("tls://127.0.0.1:4000 is ready, 3/4 done", "tls://127.0.0.1:4000 is ready, 3/4 done"),
        ("'NoneType' object has no attribute 'shape'", "'NoneType' object has no attribute 'shape'"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_folders_are_left_out_and_names_of_files_kept(line: str, kept: str) -> None:
    assert without_folders(line) == kept


@pytest.mark.parametrize(
    "line",
    [
        "No such file or directory: '/scans/Jane Doe'",
        "[Errno 13] /scans/Jane Doe: Permission denied",
        "/scans/Jane Doe is not readable",
        "/scans/12:30 Jane Doe/series",
        r"'C:\scans\Jane Doe' is not readable",
        "'Jane Doe/CT1' is not readable",
        "'/scans/Jane.Doe' is not readable",
        "LocalStore('file:///scans/Jane Doe/a.ome.zarr')",
        "no group in file:///scans/Jane Doe/a.zarr",
        "'/masks/Jane Doe.ome.zarr' is damaged",
        "napari_medseg.models.errors.ImageError: 'Jane Doe' holds 2 images",
        "napari_medseg.models.formats.opening 'Jane Doe' cannot be opened as dicom",
    ],
)
def test_the_last_folder_of_a_path_is_left_out_too(line: str) -> None:
    found = without_folders(line)
    assert "Jane" not in found
    assert "Doe" not in found
    assert "…" in found


NAMES = st.text(st.sampled_from("Jane ODoe'.,-üß1"), min_size=1, max_size=12).filter(lambda name: not name.isspace())


@given(st.lists(NAMES, min_size=1, max_size=4), st.sampled_from(["", "scan.nii.gz", "a.tif"]))
def test_whatever_folders_are_called_a_quoted_path_keeps_none(folders: list[str], name: str) -> None:
    path = "/" + "/".join([*(f"Q{folder}Q" for folder in folders), *([name] if name else [])])
    found = without_folders(f"No such file or directory: {path!r}")
    assert "Q" not in found
    assert name in found


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
