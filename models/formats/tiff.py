"""TIFF and OME-TIFF: pixels with the axes, the spacing, the channels and the pyramid that the file says they have.

Values are as stored, as napari shows them: neither a palette nor white-is-zero is applied. Of whole-slide images
(SVS, NDPI, ...) the photographs of the slide and of its label are not offered: the patient's name stands on them.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import tifffile

from ..errors import ImageError
from ..image import Array, MedicalImage, is_lazy
from .kinds import stem
from .opened import OpenedImage, Part
from .pyramid import checked_levels
from .tiff_axes import in_order, is_coloured, is_planar
from .tiff_checks import check_complete, check_siblings, check_size
from .tiff_pixels import LARGE, pixels
from .tiff_place import tiff_origin, tiff_time
from .tiff_spacing import channel_names, ome_pixels, tiff_spacing

_log = logging.getLogger(__name__)

_OF_THE_SLIDE = ("label", "macro", "label image", "macro image", "barcode")
"""What tifffile and Bio-Formats call the photographs of a slide, in lower case."""


def parts(path: Path) -> tuple[Part, ...]:
    """The images of the file, each a series of pages.

    Raises:
        ImageError: damaged, or without an image.
    """
    with tifffile.TiffFile(path) as tif:
        offered = _offered(tif, path)
        if len(offered) == 1:
            return (Part("", stem(path)),)
        return tuple(Part(str(index), _title(index, series)) for index, series in offered)


def open_part(path: Path, key: str) -> OpenedImage:
    """An image of a TIFF; lazy, with its pyramid, where it has more than 64 MiB.

    The axes come from OME, ImageJ or tifffile metadata; S (samples) and C become C, an axis that nobody named
    becomes Z, and T if Z is taken. Transparency is left out.

    Args:
        path: of the file.
        key: of one of its `parts`; "" for the largest.

    Raises:
        ImageError: damaged, incomplete, too large for the memory, or of axes that cannot be told.
    """
    with tifffile.TiffFile(path) as tif:
        check_siblings(tif, path)
        offered = _offered(tif, path)
        index, series = _chosen(offered, key, path)
        check_complete(tif, series, path)
        check_size(series, path)
        lazy = series.nbytes >= LARGE
        data, axes = _image(tif, series, path, lazy=lazy)
        smaller = [_image(tif, level, path, lazy=lazy)[0] for level in series.levels[1:] if level.axes == series.axes]
        ome = ome_pixels(tif, series)
        spacing, unit = tiff_spacing(tif, series, axes, ome)
        origin = tiff_origin(tif, series, axes, spacing, unit, ome)
        time, notices = tiff_time(tif, series, ome) if "T" in axes else ((), ())
        several = len(offered) > 1
        name = f"{stem(path)} {index + 1}" if several else stem(path)
        image = MedicalImage(data, axes, spacing, unit, name, None, origin, *time)
        names = channel_names(ome)
        return OpenedImage(
            image,
            str(path),
            str(index) if several else "",
            levels=checked_levels(data, smaller, axes, path.name),
            coloured=is_coloured(series) and image.channels == 3,
            planar=is_planar(series),
            channel_names=names if len(names) == image.channels else (),
            notices=((_largest_of(offered),) if several and not key else ()) + notices,
        )


_Offered = list[tuple[int, tifffile.TiffPageSeries]]


def _offered(tif: tifffile.TiffFile, path: Path) -> _Offered:
    """Series with pixels and their numbers, without photographs of a slide."""
    offered = [(index, series) for index, series in enumerate(tif.series) if series.shape and 0 not in series.shape]
    if not offered:
        raise ImageError(f"'{path.name}' has no pixels. Was it written to the end? Export it again.")
    return [one for one in offered if one[1].name.lower() not in _OF_THE_SLIDE] or offered[:1]


def _chosen(offered: _Offered, key: str, path: Path) -> tuple[int, tifffile.TiffPageSeries]:
    if not key:
        return max(offered, key=lambda one: (one[1].size, -one[0]))
    for index, series in offered:
        if str(index) == key:
            return index, series
    numbers = ", ".join(str(index) for index, _ in offered)
    raise ImageError(f"'{path.name}' has no image number '{key}'; its images are {numbers}.")


def _title(index: int, series: tifffile.TiffPageSeries) -> str:
    sides = " x ".join(map(str, series.shape))
    levels = f", {len(series.levels)} levels" if len(series.levels) > 1 else ""
    return f"{index + 1}{f' {series.name}' if series.name else ''}: {sides} ({series.axes}), {series.dtype}{levels}"


def _largest_of(offered: _Offered) -> str:
    return f"The file holds {len(offered)} images; this is the largest."


def _image(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path, *, lazy: bool) -> tuple[Array, str]:
    """Pixels of a level and their axes, in the order of "TZYXC"."""
    data, axes = in_order(pixels(tif, series, path, lazy=lazy), series.axes, path)
    if is_coloured(series) and data.shape[-1] == 4:
        _log.info("%s: transparency (alpha) left out", path.name)
        data = data[..., :3] if is_lazy(data) else np.ascontiguousarray(data[..., :3])
    return data, axes
