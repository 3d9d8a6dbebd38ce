"""The claims of a TIFF's header, held against the file.

tifffile reads what it finds and fills what is missing with zeros or leaves it out; a plane that is missing from a
patient's stack must not pass for a dark one.
"""

from __future__ import annotations

from pathlib import Path

import tifffile

from ..errors import ImageError
from .beside import file_beside

_DENSEST = 4096
"""No compression that is decoded here makes pixels so many times smaller (LZW, the densest, about 2700)."""

_BLOCK = 1 << 20
"""Sizes below this are not worth a question."""


def check_siblings(tif: tifffile.TiffFile, path: Path) -> None:
    """An OME-TIFF may be spread over files beside it; no other place is looked at."""
    if "FileName" not in (tif.ome_metadata or ""):
        return
    described = tifffile.xml2dict(tif.ome_metadata).get("OME", {})
    for name in sorted(_other_files(described, described.get("UUID"))):
        if not file_beside(path, name).is_file():
            raise ImageError(
                f"'{path.name}' is one of several files of an image, and '{name}' is missing. "
                "Copy all of them into one folder."
            )


def _other_files(element: object, own_uuid: object) -> set[str]:
    """Every FileName below an element of an OME-XML, but for that of the file with the UUID `own_uuid`."""
    if isinstance(element, list):
        return {name for child in element for name in _other_files(child, own_uuid)}
    if not isinstance(element, dict):
        return set()
    other = "FileName" in element and element.get("value") != own_uuid
    return ({str(element["FileName"])} if other else set()).union(
        *(_other_files(child, own_uuid) for child in element.values())
    )


def check_complete(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> None:
    """Raise if planes or bytes of an image, or of its smaller copies, are not in the file."""
    lost = "its end is missing" if not _ends(tif) else ""
    for level in series.levels:
        missing = sum(page is None for page in level.pages)
        if missing:
            lost = f"{missing} of its {len(level.pages)} planes are missing"
        elif _is_cut_short(tif, level, path.stat().st_size):
            lost = lost or "its end is missing"
    if lost:
        raise ImageError(f"'{path.name}' is incomplete: {lost}. Copy or export it again from where it came from.")


def _is_cut_short(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, size: int) -> bool:
    """Whether pixels of a series, all of whose planes are known, would lie beyond the end of the file."""
    return (
        ((tif.is_imagej or tif.is_shaped) and series.kind in ("generic", "uniform"))  # fewer planes than described
        or any(page.parent is tif and _end(page) > size for page in series.pages)
        or (series.dataoffset is not None and series.dataoffset + series.nbytes > size)
    )


def _ends(tif: tifffile.TiffFile) -> bool:
    """Whether the last page that was found says that none follows; tifffile leaves out pages it cannot read."""
    tif.filehandle.seek(tif.pages.next_page_offset or 0)
    following = tif.filehandle.read(tif.tiff.offsetsize)
    return len(following) == tif.tiff.offsetsize and not any(following)


def _end(page: tifffile.TiffPage | tifffile.TiffFrame) -> int:
    """One past the last byte of the pixels of a page."""
    return max((o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)


def check_size(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Raise before memory is taken for pixels that cannot be in the file."""
    for level in series.levels:
        stored = sum(sum(page.databytecounts) for page in level.pages if page is not None)
        if level.keyframe.compression == tifffile.COMPRESSION.NONE:
            lies = level.nbytes > max(stored, path.stat().st_size) * 8  # 1 bit a pixel is read into a byte
        else:
            lies = level.nbytes > max(stored * _DENSEST, _BLOCK)
        if lies:
            raise ImageError(
                f"'{path.name}' is said to hold {' x '.join(map(str, level.shape))} pixels, far more than its "
                f"{path.stat().st_size} bytes can. It is damaged; copy or export it again."
            )
