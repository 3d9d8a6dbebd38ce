"""An image is never replaced by its mask, whoever agreed to replace a file of that name."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ImageError
from ..formats.kinds import content_kind
from .kinds import EXPORTS


def check_not_the_image(path: str | os.PathLike[str], image: str | os.PathLike[str] | None) -> None:
    """Refuse to write over an image, or over a slice of it. An OME-Zarr image gets labels, and is not replaced.

    Args:
        path: what is going to be written.
        image: the image's file or folder; None for one that came from none.

    Raises:
        ImageError: they are one; says what would work.
    """
    path = Path(path)
    if image is None or not path.is_file() or not Path(image).exists():
        return
    if path.samefile(image) or _is_slice_of(path, Path(image)):
        endings = [one.ending for one in EXPORTS.values() if path.name.lower().endswith(one.ending)]
        ending = path.name[-len(max(endings, key=len)) :] if endings else path.suffix
        what = "the image itself" if path.samefile(image) else "a slice of the image"
        raise ImageError(
            f"'{path.name}' is {what}, and stays. Nothing was written; "
            f"'{path.name.removesuffix(ending)}_mask{ending}' would work."
        )


def _is_slice_of(path: Path, folder: Path) -> bool:
    """Whether a file is one of a DICOM series in a folder, and not a segmentation that was put there."""
    from ..formats.dicom_header import read_header

    if not folder.is_dir() or folder.resolve() not in path.resolve().parents:
        return False
    try:
        return content_kind(path) == "dicom" and not read_header(path).is_segmentation
    except ImageError:
        return False
