"""TIFF and OME-TIFF: pixels with the axes, the spacing and the channels that the file says they have.

tifffile reads what it finds and fills what is missing with zeros or leaves it out; a plane that is missing
from a patient's stack must not pass for a dark one, so every claim of a header is held against the file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import imageio.v3 as iio
import numpy as np
import tifffile

from .errors import ImageError
from .image import AXES, Array, MedicalImage
from .memory import check_fits_in_memory
from .tiff_spacing import channel_names, tiff_spacing

_log = logging.getLogger(__name__)

_DENSEST = 4096
"""No compression that is decoded here makes pixels so many times smaller (LZW, the densest, about 2700)."""

_BLOCK = 1 << 20
"""Sizes below this are not worth a question."""


@dataclass(frozen=True, eq=False)
class TiffContent:
    """What a TIFF holds.

    Attributes:
        image: the pixels of series 0, axes in the order of "TZYXC".
        coloured: whether the channels are the red, green and blue of one picture; separate stains or probes else.
        planar: whether each channel stands in a plane of its own, as programs also write three or four planes.
        channel_names: the OME names of the channels, if there is one for each; () else.
    """

    image: MedicalImage
    coloured: bool
    planar: bool
    channel_names: tuple[str, ...]


def read_tiff(path: str | os.PathLike[str]) -> TiffContent:
    """Read series 0 of a TIFF.

    The axes come from OME, ImageJ or tifffile metadata; S (samples) and C become C, an axis that nobody named
    becomes Z, and T if Z is taken. Values are as stored, as napari shows them: neither a palette nor white-is-zero
    is applied.

    Raises:
        ImageError: damaged, incomplete, too large for the memory, or of axes that cannot be told.
    """
    path = Path(path)
    with _explained(path), tifffile.TiffFile(path) as tif:
        _check_siblings(tif, path)
        if not tif.series or 0 in (tif.series[0].shape or (0,)):
            raise ImageError(f"'{path.name}' has no pixels. Was it written to the end? Export it again.")
        series = tif.series[0]
        _check_complete(tif, series, path)
        _check_size(series, path)
        samples = _pixels(tif, series, path)
        planar = "S" in series.axes.partition("Y")[0]
        coloured = _is_coloured(series, samples, planar)
        data, axes = _ordered(samples, series.axes, path)
        if coloured and data.shape[-1] == 4:
            _log.info("%s: transparency (alpha) left out", path.name)
            data = np.ascontiguousarray(data[..., :3])
        spacing, unit = tiff_spacing(tif, axes)
        image = MedicalImage(data, axes, spacing, unit, name=stem(path))
        names = channel_names(tif)
        return TiffContent(
            image, coloured and image.channels == 3, planar, names if len(names) == image.channels else ()
        )


def stem(path: Path) -> str:
    """File name without its ending; "heart" for "heart.ome.tif"."""
    name = path.stem
    return name[: -len(".ome")] if name.lower().endswith(".ome") else name


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # a damaged file fails a decoder in any way
        _log.info("%s cannot be decoded", path, exc_info=True)
        raise ImageError(
            f"'{path.name}' is a damaged or incomplete TIFF ({error or type(error).__name__}). "
            "Copy or export it again from where it came from."
        ) from error


def _check_siblings(tif: tifffile.TiffFile, path: Path) -> None:
    """An OME-TIFF may be spread over files beside it; no other place is looked at."""
    if "FileName" not in (tif.ome_metadata or ""):
        return
    described = tifffile.xml2dict(tif.ome_metadata).get("OME", {})
    for name in sorted(_other_files(described, described.get("UUID"))):
        if PurePosixPath(name).name != name or PureWindowsPath(name).name != name:
            raise ImageError(
                f"'{path.name}' says that part of it is in '{name}', outside its folder. "
                "Put all its files in one folder and export it again."
            )
        if not path.with_name(name).is_file():
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


def _check_complete(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> None:
    """Raise if planes or bytes of `series` are not in the file."""
    size = path.stat().st_size
    missing = sum(page is None for page in series.pages)
    cut_short = (
        not _ends(tif)
        or ((tif.is_imagej or tif.is_shaped) and series.kind in ("generic", "uniform"))  # fewer planes than described
        or any(page.parent is tif and _end(page) > size for page in series.pages if page is not None)
        or (series.dataoffset is not None and not missing and series.dataoffset + series.nbytes > size)
    )
    if missing or cut_short:
        lost = f"{missing} of its {len(series.pages)} planes are missing" if missing else "its end is missing"
        raise ImageError(f"'{path.name}' is incomplete: {lost}. Copy or export it again from where it came from.")


def _ends(tif: tifffile.TiffFile) -> bool:
    """Whether the last page that was found says that none follows; tifffile leaves out pages it cannot read."""
    tif.filehandle.seek(tif.pages.next_page_offset or 0)
    following = tif.filehandle.read(tif.tiff.offsetsize)
    return len(following) == tif.tiff.offsetsize and not any(following)


def _end(page: tifffile.TiffPage | tifffile.TiffFrame) -> int:
    """One past the last byte of the pixels of a page."""
    return max((o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)


def _check_size(series: tifffile.TiffPageSeries, path: Path) -> None:
    """Raise before memory is taken for pixels that cannot be in the file, or that do not fit."""
    stored = sum(sum(page.databytecounts) for page in series.pages if page is not None)
    if series.keyframe.compression == tifffile.COMPRESSION.NONE:
        lies = series.nbytes > max(stored, path.stat().st_size) * 8  # 1 bit a pixel is read into a byte
    else:
        lies = series.nbytes > max(stored * _DENSEST, _BLOCK)
    if lies:
        raise ImageError(
            f"'{path.name}' is said to hold {' x '.join(map(str, series.shape))} pixels, far more than its "
            f"{path.stat().st_size} bytes can. It is damaged; copy or export it again."
        )
    check_fits_in_memory(series.nbytes, path.name)


def _pixels(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> Array:
    """Pixels of a series; what tifffile cannot decompress alone (LZW, JPEG) goes through Pillow."""
    try:
        pixels: Array = series.asarray()
        return pixels
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
    compression = series.keyframe.compression
    called = getattr(compression, "name", str(compression))
    unreadable = ImageError(
        f"'{path.name}' is compressed with {called}, which cannot be read here. Save it without compression or with "
        "Deflate (ZIP), or install the decoders: pip install imagecodecs"
    )
    if any(page.parent is not tif for page in series.pages):
        raise unreadable
    try:
        with iio.imopen(path, "r", plugin="pillow") as file:
            planes = [file.read(index=page.index) for page in series.pages]
    except Exception as error:
        raise unreadable from error
    # Pillow cuts 16-bit colours down to 8: only the same type and size are the same pixels
    if any(p.shape != series.keyframe.shape or p.dtype != series.dtype for p in planes):
        raise unreadable
    return np.stack(planes).reshape(series.shape)


def _is_coloured(series: tifffile.TiffPageSeries, samples: Array, planar: bool) -> bool:
    photometric = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
    if "S" not in series.axes or series.keyframe.photometric not in photometric:
        return False
    # tifffile calls three planes of any type colours; nobody stores colours as signed or long numbers plane by plane
    return not planar or samples.dtype in (np.uint8, np.uint16)


def _ordered(data: Array, named: str, path: Path) -> tuple[Array, str]:
    """Axes renamed and moved into the order of `AXES`.

    Args:
        data: pixels with one axis for each letter of `named`.
        named: tifffile's letters; "Q" and "I" are those of axes without a meaning.
        path: named in errors.
    """
    axes = ["C" if axis == "S" else axis for axis in named]
    if axes.count("C") == 2:  # colours of several channels: all are channels
        first, last = named.index("C"), named.index("S")
        data = np.moveaxis(data, first, last - (first < last))
        at = last - (first < last)
        data = data.reshape(*data.shape[:at], -1, *data.shape[at + 2 :])
        axes = [a for a in named if a != "C"]
        axes[axes.index("S")] = "C"
    for at in reversed(range(len(axes))):
        if axes[at] not in AXES:
            axes[at] = next((free for free in "ZT" if free not in axes), axes[at])
    if len(set(axes)) != len(axes) or not set("YX") <= set(axes) <= set(AXES):
        shape = " x ".join(map(str, data.shape))
        raise ImageError(
            f"'{path.name}' holds {shape} pixels along axes {named!r}; up to five are allowed, each once: time, plane, "
            "row, column, channel (TZYXC). Save one position or series of it as a file of its own, as OME-TIFF."
        )
    order = [axes.index(axis) for axis in AXES if axis in axes]
    return np.ascontiguousarray(data.transpose(order)), "".join(axes[at] for at in order)
