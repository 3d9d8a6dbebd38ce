"""What an OME-Zarr says of its pixels: axes, spacing, channels; and the images that a folder holds.

Written after OME-NGFF 0.4 (Zarr 2) and 0.5 (Zarr 3), https://ngff.openmicroscopy.org; older ones are read as far as
they name their axes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import zarr

from ..errors import ImageError
from ..units import NO_TIME, in_unit_of_x, known_length, known_time

_log = logging.getLogger(__name__)

Attributes = dict[str, Any]

_MOST_SERIES = 1000
"""Of a folder of numbered series."""


def attributes(folder: Path) -> Attributes:
    """The OME attributes of a group; {} for anything else."""
    try:
        found = dict(zarr.open_group(str(folder), mode="r", use_consolidated=False).attrs)
    except (FileNotFoundError, zarr.errors.NodeNotFoundError, zarr.errors.ContainsArrayError, NotADirectoryError):
        return {}
    ome = found.get("ome")
    # in 0.5 all of it stands under "ome"; other programs' attributes beside it stay
    return found | ome if isinstance(ome, dict) else found


def inside(folder: Path, path: object, called: str) -> Path:
    """The place of `path`, which stood in a file, below a folder.

    Raises:
        ImageError: it would be elsewhere.
    """
    parts = PurePosixPath(str(path)).parts
    windows = PureWindowsPath(str(path))
    if not parts or ".." in parts or ".." in windows.parts or str(path)[:1] == "/" or windows.drive or windows.root:
        raise ImageError(f"'{called}' says that part of it is in '{path}', outside its folder; that is not read.")
    return folder.joinpath(*parts)


def images(folder: Path) -> Iterator[tuple[str, str]]:
    """The images in a folder: key, a path below it ("" for the folder itself), and what it is.

    An image with its labels, a plate with its wells and their fields, one well, or numbered series as bioformats2raw
    writes them.
    """
    found = attributes(folder)
    if "multiscales" in found:
        yield "", "labels" if "image-label" in found else "image"
    if "plate" in found:
        for well in found["plate"]["wells"]:
            path = str(well["path"])
            for field, _ in _fields(inside(folder, path, folder.name), folder.name):
                yield f"{path}/{field}", f"well {path}, field {field}"
    if "well" in found:
        yield from _fields(folder, folder.name)
    if "bioformats2raw.layout" in found:
        listed = attributes(folder / "OME").get("series")
        for path in listed if isinstance(listed, list) else map(str, range(_MOST_SERIES)):
            if "multiscales" not in attributes(inside(folder, path, folder.name)):
                break
            yield str(path), f"series {path}"
    names = found.get("labels") if "multiscales" not in found else attributes(folder / "labels").get("labels")
    for name in names if isinstance(names, list) else ():
        inside(folder, name, folder.name)
        yield (f"labels/{name}", f"labels {name}") if "multiscales" in found else (str(name), f"labels {name}")


def _fields(well: Path, called: str) -> Iterator[tuple[str, str]]:
    for image in attributes(well).get("well", {}).get("images", ()):
        inside(well, image["path"], called)
        yield str(image["path"]), f"field {image['path']}"


@dataclass(frozen=True)
class Multiscale:
    """One image of several sizes.

    Attributes:
        axes: our letter for each axis of the arrays, in their order; a small one for an axis that is none of ours.
        spacing: along Z, Y, X (those that there are), in this order, at full size.
        unit: of `spacing`.
        time: step from one T to the next and its unit, see `MedicalImage`.
        paths: of the arrays, full size first.
        scales: of each array, the size of its pixels along `axes`, in the file's units.
        translations: of each array, where the middle of its first pixel lies, along `axes`, in the same units.
    """

    axes: str
    spacing: tuple[float, ...]
    unit: str
    time: tuple[float, str]
    paths: tuple[str, ...]
    scales: tuple[tuple[float, ...], ...]
    translations: tuple[tuple[float, ...], ...]

    def origin(self, axes: str) -> tuple[float, ...]:
        """Where the middle of the first pixel lies, in `unit`, along those of Z, Y, X that are in `axes`."""
        along = dict(zip([axis for axis in "ZYX" if axis in self.axes], self.spacing, strict=True))
        said = dict(zip(self.axes, zip(self.scales[0], self.translations[0], strict=True), strict=True))
        found = []
        for axis in (axis for axis in axes if axis in along):
            scale, translation = said[axis]
            lies = translation * (along[axis] / scale) if scale > 0 else 0.0
            found.append(lies if math.isfinite(lies) else 0.0)
        return tuple(found)


def multiscale(found: Attributes, called: str) -> Multiscale:
    """The first image that the attributes of a group describe.

    Raises:
        ImageError: none, or no arrays.
        KeyError, TypeError, ...: they are not what NGFF says.
    """
    described = found.get("multiscales")
    if not isinstance(described, list) or not described or not described[0].get("datasets"):
        raise ImageError(f"'{called}' is a Zarr folder, but does not say which image it holds. Export it as OME-Zarr.")
    image = described[0]
    axes = [_axis(axis) for axis in image.get("axes", [*"tczyx"])]
    whole = _transforms(image, len(axes))
    scales, translations = [], []
    for dataset in image["datasets"]:
        scale, translation = _transforms(dataset, len(axes))
        scales.append(tuple(a * b for a, b in zip(scale, whole[0], strict=True)))
        translations.append(tuple(a * b + c for a, b, c in zip(translation, *whole, strict=True)))
    spacing, unit = _spacing(axes, scales[0], called)
    return Multiscale(
        "".join(letter for letter, _ in axes),
        spacing,
        unit,
        _time(axes, scales[0]),
        tuple(str(dataset["path"]) for dataset in image["datasets"]),
        tuple(scales),
        tuple(translations),
    )


def _axis(axis: Any) -> tuple[str, str]:
    """Our letter, or a small one for an axis that we have none for, and the unit."""
    if isinstance(axis, str):  # as in 0.3
        axis = {"name": axis}
    name, kind = str(axis["name"]), axis.get("type")
    letter = {"time": "T", "channel": "C"}.get(str(kind), name.upper())
    return (letter if letter in [*"TZYXC"] else (name or "?")[0].lower()), str(axis.get("unit", ""))


def _transforms(element: Attributes, ndim: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and translation of an image or of a level of it."""
    scale, translation = (1.0,) * ndim, (0.0,) * ndim
    for transform in element.get("coordinateTransformations", ()):
        if transform.get("type") == "scale":
            scale = tuple(float(value) for value in transform["scale"])
        elif transform.get("type") == "translation":
            translation = tuple(float(value) for value in transform["translation"])
    if len(scale) != ndim or len(translation) != ndim:
        raise ValueError(f"a scale of {len(scale)} numbers for {ndim} axes")
    return scale, translation


def _spacing(axes: Sequence[tuple[str, str]], scale: Sequence[float], called: str) -> tuple[tuple[float, ...], str]:
    lengths = {letter: known_length(value, unit) for (letter, unit), value in zip(axes, scale, strict=True)}
    spatial = [letter for letter in "ZYX" if letter in lengths]
    if not all(math.isfinite(lengths[letter][0]) and lengths[letter][0] > 0 for letter in spatial):
        _log.warning("'%s' says a spacing of %s; taken as unknown", called, scale)
        return (1.0,) * len(spatial), "pixel"
    return in_unit_of_x([lengths[letter] for letter in spatial])


def _time(axes: Sequence[tuple[str, str]], scale: Sequence[float]) -> tuple[float, str]:
    steps = (known_time(value, unit) for (letter, unit), value in zip(axes, scale, strict=True) if letter == "T")
    return next(steps, (1.0, NO_TIME))


def channel_names(found: Attributes) -> tuple[str, ...]:
    """As "omero" has them; () without."""
    return tuple(str(channel.get("label", "")) for channel in _channels(found))


def channel_window(found: Attributes) -> tuple[float, float] | None:
    """What is shown as black and as white, if it is the same for all channels."""
    windows = set()
    for channel in _channels(found):
        window = channel.get("window")
        if not isinstance(window, dict) or "start" not in window or "end" not in window:
            return None
        windows.add((float(window["start"]), float(window["end"])))
    window = windows.pop() if len(windows) == 1 else None
    return window if window and math.isfinite(sum(window)) and window[0] < window[1] else None


def are_colours(found: Attributes) -> bool:
    """Whether the channels are shown in pure red, green and blue, one after the other."""
    return [str(channel.get("color", "")).upper() for channel in _channels(found)] == ["FF0000", "00FF00", "0000FF"]


def _channels(found: Attributes) -> list[Attributes]:
    omero = found.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    return [one for one in channels if isinstance(one, dict)] if isinstance(channels, list) else []
