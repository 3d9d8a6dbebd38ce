"""Between napari's layers and `MedicalImage`: axes, spacing and units both ways, and where a mask has to lie."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.errors import ImageError
from napari_medseg.models.geometry import Geometry
from napari_medseg.models.image import AXES, Array, MedicalImage
from napari_medseg.models.itk_source import ItkSource
from napari_medseg.models.memory import check_fits_in_memory
from napari_medseg.models.nifti_source import NiftiSource
from napari_medseg.models.units import METRES, NO_TIME, in_unit_of_x, known_length, known_time

from .layer_pixels import full_size, reading

if TYPE_CHECKING:
    from napari.layers import Image, Layer

_log = logging.getLogger(__name__)

METADATA_KEY = "medseg"
"""Key in `layer.metadata` of what the file says: "axes", "spacing", "unit", "path" and "part" of the whole image, the
"shape" of its masks, its "geometry" (see `models.geometry`, or None) and "origin" (see `MedicalImage`), the step of
"time" and its unit, and what the "header" says (likewise), "notices" for the user and what is "found" later (see
`OpenedImage`), the "window" of intensities to be shown, "patient" (a hash, or ""), the "source" that the layers of one
image share, and this layer's "channel" of so many "channels"."""

LARGE = 2**28
"""Bytes of pixels from which on an image stays in its file: it is segmented there, and corrected in patches."""

_PAINTABLE = 2**26
"""Pixels of a plane that napari paints on without a delay that hurts."""

_STRAIGHT = 1e-3
"""Slope along which an axis may run off its direction: half a pixel in 500."""


def layer_settings(image: MedicalImage) -> dict[str, Any]:
    """How napari shows an image in its own spacing.

    Returns:
        `scale`, `translate`, `units` and `axis_labels` for each axis but the channels. Time has scale 1 in frames
        ("pixel"). An image that knows its place is shifted there, so that series of one patient, and pieces of one
        specimen, lie over each other.
    """
    axes = image.axes.replace("C", "")
    spacing = _by_axis(axes, image.spacing)
    place = dict(zip("ZYX", image.geometry.translate, strict=True)) if image.geometry else _by_axis(axes, image.origin)
    return {
        "scale": tuple(spacing.get(axis, 1.0) for axis in axes),
        "translate": tuple(place.get(axis, 0.0) for axis in axes),
        "units": tuple(image.unit if axis in spacing else "pixel" for axis in axes),
        "axis_labels": tuple(axis.lower() for axis in axes),
    }


def mask_layer_settings(layer: Layer) -> dict[str, Any]:
    """Settings of a Labels layer that lies exactly over `layer`, whose colour axis it does not have.

    Returns:
        `scale`, `translate`, `rotate`, `shear`, `affine`, `units` and `axis_labels`, all copies.
    """
    return {
        "scale": np.array(layer.scale),
        "translate": np.array(layer.translate),
        "rotate": np.array(layer.rotate),
        "shear": np.array(layer.shear),
        "affine": np.array(layer.affine.affine_matrix),
        "units": tuple(layer.units),
        "axis_labels": tuple(layer.axis_labels),
    }


def channel_siblings(layer: Layer, layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Those of `layers` that are other channels of the same image as `layer`, in the order of the channels.

    napari copies what we noted to duplicates and projections of a layer, so only layers of one shape and place, and
    only one for each channel, count.
    """
    noted = noted_of(layer)
    if int(noted.get("channels", 1)) < 2:
        return ()
    found = {int(noted.get("channel", 0)): layer}
    for other in layers:
        theirs = noted_of(other)
        if theirs.get("source") == noted.get("source") and lies_over(other, layer):
            found.setdefault(int(theirs.get("channel", 0)), other)
    return tuple(found[channel] for channel in sorted(found) if found[channel] is not layer)


def first_channel(layer: Image, layers: Iterable[Layer]) -> Layer:
    """The layer that stands for all channels of an image."""
    return in_order(layer, channel_siblings(layer, (other for other in layers if is_image(other))))[0]


def in_order(layer: Any, siblings: Iterable[Any]) -> list[Any]:
    """A layer and those of the other channels of its image, as the channels are numbered."""
    return sorted([layer, *siblings], key=lambda one: int(noted_of(one).get("channel", 0)))


def is_image(layer: Any) -> bool:
    """Whether a layer is an image of the user's, and not one of our overlays."""
    from napari.layers import Image

    return isinstance(layer, Image) and not noted_of(layer).get("overlay")


def mask_shape(layer: Image) -> tuple[int, ...]:
    """Shape of a mask of the image that a layer shows at full size."""
    shape = layer.data[0].shape if layer.multiscale else layer.data.shape
    return tuple(int(side) for side in (shape[:-1] if getattr(layer, "rgb", False) else shape))


def is_large(layer: Image) -> bool:
    """Whether an image stays in its file, where it is segmented, and is corrected part by part.

    So does one of more than LARGE bytes that is not in memory, or whose planes are too large to be painted on.
    """
    noted = noted_of(layer)
    if not noted.get("path") or "part_of" in noted:
        return False
    data = full_size(layer)
    size = float(np.prod(data.shape, dtype=float))
    plane = float(np.prod(mask_shape(layer)[-2:], dtype=float))
    return size * np.dtype(data.dtype).itemsize >= LARGE and (not isinstance(data, np.ndarray) or plane > _PAINTABLE)


def lies_over(layer: Layer, image: Layer) -> bool:
    """Whether two layers have one shape and lie at one place, pixel on pixel."""
    if mask_shape(layer) != mask_shape(image):
        return False
    corner = np.array(mask_shape(image)) - 1
    step = float(np.min(np.abs(image.scale)))
    places = [(layer.data_to_world(at), image.data_to_world(at)) for at in (0 * corner, corner)]
    return all(np.allclose(one, other, atol=step / 2) for one, other in places)


def medical_image(layer: Image, siblings: Sequence[Image] = ()) -> MedicalImage:
    """The image that a layer shows.

    Axes are those noted by our reader if they fit the data; else those that `axis_labels` spell ("z", "y", "x");
    else (Y, X), (Z, Y, X) or (T, Z, Y, X). Spacing and unit are those of the layer, as the user may have set them; its
    place in the patient is that of the file, see `geometry_of`. Takes its time, where pixels come from a disk.

    Args:
        layer: an Image layer; of a multiscale one the full size is taken, and lazy arrays are computed.
        siblings: layers of the other channels of the image, if it has any.

    Returns:
        The pixels; with a channel axis for colours (transparency is left out) and for siblings.

    Raises:
        ImageError: a volume that is shown obliquely, channels of different shape, more axes than are known,
            or pixels that cannot be had or held.
    """
    grid = without_pixels(layer)
    _check_channels(layer, siblings)
    if siblings:
        return replace(grid, data=_stacked([layer, *siblings]), axes=grid.axes + "C")
    data = _pixels(layer)
    if layer.rgb:
        return replace(grid, data=data[..., :3], axes=grid.axes + "C")
    return grid.with_data(data)


def grid_of(layer: Image, axes: str) -> tuple[tuple[float, ...], str, Geometry | None]:
    """Spacing, unit and place in the patient of an image, which agree: what has such a place is in mm."""
    geometry = geometry_of(layer)
    spacing, unit = spacing_of(layer, axes)
    return (spacing, unit, None) if geometry is None else (geometry.spacing[-len(spacing) :], "mm", geometry)


def origin_of(layer: Image, axes: str) -> tuple[float, ...]:
    """Where an image begins (see `MedicalImage.origin`) in the unit of `spacing_of`: as its file says, else as shown.

    So a mask lies on the image in its file, whoever has moved the layer.
    """
    spacing, unit = spacing_of(layer, axes)
    noted = noted_of(layer)
    if noted.get("origin") is not None and tuple(noted.get("shape", ())) == mask_shape(layer):
        said = str(noted.get("unit", unit))
        in_unit = METRES[said] / METRES[unit] if said in METRES and unit in METRES else 1.0
        return tuple(float(at) * in_unit for at in noted["origin"])
    steps, begin = np.linalg.norm(_to_world(layer), axis=0), layer.data_to_world((0,) * layer.ndim)
    spatial = [number for number, axis in enumerate(axes) if axis in "ZYX"]
    return tuple(float(begin[at]) * length / steps[at] for at, length in zip(spatial, spacing, strict=True))


def time_of(layer: Image, axes: str) -> tuple[float, str]:
    """Step from frame to frame and its unit (see `MedicalImage`): as the file says, else as the layer is shown."""
    noted = noted_of(layer).get("time")
    if "T" not in axes or noted is not None:
        return noted or (1.0, NO_TIME)
    step, unit = known_time(float(layer.scale[axes.index("T")]), str(layer.units[axes.index("T")]))
    return (step, unit) if unit != NO_TIME else (1.0, NO_TIME)


def header_of(layer: Image) -> NiftiSource | ItkSource | None:
    """What the header of an image's file says; of some of its frames, what it would say of these, as they are shown."""
    noted, axes = noted_of(layer), axes_of(layer)
    header, whole = noted.get("header"), tuple(noted.get("shape", ()))
    if not isinstance(header, NiftiSource | ItkSource) or "T" not in axes or whole == mask_shape(layer):
        return header
    at = axes.index("T")
    first = round(float(layer.data_to_world((0,) * layer.ndim)[at] / _to_world(layer)[at, at]))
    return header.from_frame(first, mask_shape(layer)[at], time_of(layer, axes)[0])


def geometry_of(layer: Image) -> Geometry | None:
    """Where an image lies in the patient, as its file says; None if the file does not say it.

    With another spacing than the file's, which the user has set, the first voxel of the file stays where it is. A layer
    that is a part of the file's image is not the image that lies there. A spacing in no unit of length is none: the
    file's holds.
    """
    noted = noted_of(layer)
    geometry = noted.get("geometry")
    if not isinstance(geometry, Geometry) or tuple(noted.get("shape", ())) != mask_shape(layer):
        return None
    axes = axes_of(layer)
    spacing, unit = spacing_of(layer, axes)
    if unit not in METRES:
        return geometry
    in_mm = (*geometry.spacing[: 3 - len(spacing)], *(step * METRES[unit] / METRES["mm"] for step in spacing))
    if np.allclose(in_mm, geometry.spacing, rtol=1e-4):
        return geometry
    lengths = mask_shape(layer)[-3:] if "Z" in axes else (1, *mask_shape(layer)[-2:])
    return geometry.spaced(in_mm, lengths)


def describe(layer: Image, siblings: Sequence[Image] = ()) -> str:
    """Size, channels and spacing of the image that a layer shows, in words; no pixel is read.

    Raises:
        ImageError: as `medical_image`, as far as can be told without the pixels.
    """
    axes = axes_of(layer)
    spacing, unit = spacing_of(layer, axes)
    _check_channels(layer, siblings)
    shape = layer.data[0].shape if layer.multiscale else layer.data.shape
    sides = " x ".join(str(side) for side in shape[: len(axes)])
    channels = len(siblings) + 1 if siblings else min(3, shape[-1]) if layer.rgb else 1
    steps = "" if unit == "pixel" else f", spacing {' x '.join(f'{step:.4g}' for step in spacing)} {unit}"
    step, unit = time_of(layer, axes)
    time = "" if (step, unit) == (1.0, NO_TIME) else f", frames {step:.4g} {'' if unit == NO_TIME else unit} apart"
    return f"{sides} px, {channels} channel{'s' * (channels > 1)}{steps}{time.replace('  ', ' ')}"


def _check_channels(layer: Layer, siblings: Sequence[Layer]) -> None:
    """Some of an image's channels are not the image; a single one may be meant."""
    wanted, there = int(noted_of(layer).get("channels", 1)), 1 + len(siblings)
    if 1 < there < wanted:
        raise ImageError(
            f"Only {there} of the {wanted} channels of '{layer.name}' are open. Open the file again, or close all but "
            "one channel to use that one alone."
        )


def noted_of(layer: Layer) -> dict[str, Any]:
    """What `METADATA_KEY` says; empty for a layer that our readers did not make."""
    noted = layer.metadata.get(METADATA_KEY)
    return noted if isinstance(noted, dict) else {}


def notices_of(layer: Layer) -> tuple[str, ...]:
    """What the user has to know of an image, with what was found while it was looked at."""
    noted = noted_of(layer)
    return (*noted.get("notices", ()), *noted.get("found", tuple)())


def file_path(layer: Layer | None) -> Path | None:
    """Where the file or folder of an image is; None without an image, and for one that came from no file."""
    path = None if layer is None else noted_of(layer).get("path") or getattr(layer.source, "path", None)
    return Path(path) if path else None


def without_pixels(layer: Image) -> MedicalImage:
    """Where an image lies, and how large it is; its pixels are not read."""
    axes = axes_of(layer)
    spacing, unit, geometry = grid_of(layer, axes)
    origin = origin_of(layer, axes)
    nothing = np.broadcast_to(np.uint8(0), mask_shape(layer))
    time = time_of(layer, axes)
    return MedicalImage(nothing, axes, spacing, unit, layer.name, geometry, origin, *time, header_of(layer))


def axes_of(layer: Image) -> str:
    """Axes of a layer, without the colours."""
    noted = str(noted_of(layer).get("axes", "")).replace("C", "")
    spelled = "".join(str(label)[:1].upper() for label in layer.axis_labels)
    for axes in (noted, spelled):
        if len(axes) == layer.ndim and _ordered(axes):
            return axes
    if layer.ndim > 4:
        raise ImageError(
            f"Layer '{layer.name}' has {layer.ndim} axes; up to four are allowed (time, plane, row, column). "
            "Split it, or take one position of it."
        )
    return "TZYX"[-layer.ndim :]


def _by_axis(axes: str, along: Sequence[float]) -> dict[str, float]:
    """Numbers along Z, Y, X (those that there are) by axis; {} without."""
    return dict(zip([axis for axis in axes if axis in "ZYX"], along, strict=True)) if along else {}


def _ordered(axes: str) -> bool:
    return "".join(axis for axis in AXES if axis in axes) == axes and {"Y", "X"} <= set(axes) and "C" not in axes


def spacing_of(layer: Image, axes: str) -> tuple[tuple[float, ...], str]:
    """Spacing along the spatial axes in one unit, measured in the world."""
    matrix = _to_world(layer)
    if "Z" in axes and not _is_straight(matrix):
        raise ImageError(
            f"Volume '{layer.name}' is shown obliquely (rotated or sheared), and napari cannot slice it rightly. "
            "Resample it along its own axes first; nothing was changed."
        )
    steps = np.linalg.norm(matrix, axis=0)
    lengths = [known_length(float(steps[at]), str(layer.units[at])) for at, axis in enumerate(axes) if axis in "ZYX"]
    spacing, unit = in_unit_of_x(lengths)
    if len({u for _, u in lengths}) > 1 and unit == "pixel":
        _log.warning("Layer '%s' mixes lengths and pixels: %s", layer.name, layer.units)
    return spacing, unit


def pixel_side(layer: Layer) -> float:
    """How long the shorter side of a pixel of a plane is in napari's world, whatever scale or affine makes it so."""
    return float(np.min(np.linalg.norm(_to_world(layer), axis=0)[-2:]))


def _to_world(layer: Layer) -> npt.NDArray[np.float64]:
    """The linear part of data to world, (ndim, ndim): scale, rotation and shear, then the affine."""
    from napari.utils.transforms import Affine

    own = Affine(scale=layer.scale, rotate=layer.rotate, shear=layer.shear).linear_matrix
    return np.asarray(layer.affine.linear_matrix @ own, dtype=np.float64)


def _is_straight(matrix: npt.NDArray[np.float64]) -> bool:
    steps = np.abs(np.diag(matrix))
    aside = np.abs(matrix - np.diag(np.diag(matrix)))
    return bool((steps > 0).all() and (aside <= _STRAIGHT * steps).all())


def _stacked(layers: Sequence[Image]) -> Array:
    """Channels in their noted order, the given one else, along a new last axis."""
    layers = sorted(layers, key=lambda layer: int(noted_of(layer).get("channel", 0)))
    planes = [_pixels(layer) for layer in layers]
    shapes = {plane.shape for plane in planes}
    if len(shapes) > 1 or any(layer.rgb for layer in layers):
        raise ImageError(
            "The channels "
            + ", ".join(f"'{layer.name}' {p.shape}" for layer, p in zip(layers, planes, strict=True))
            + " do not fit together; all must be grey and of one shape. Choose one of them, or open the file again."
        )
    return np.stack(planes, axis=-1)


def _pixels(layer: Image) -> Array:
    """The full-size pixels in memory."""
    data = full_size(layer)
    with reading(layer):
        check_fits_in_memory(int(np.prod(data.shape, dtype=np.float64)) * np.dtype(data.dtype).itemsize, layer.name)
        return np.asarray(data)
