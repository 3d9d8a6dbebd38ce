"""Whether a mask lies on its image: at the same place in the patient, voxel for voxel. Without torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

import numpy as np

from .errors import ImageError
from .formats.kinds import Kind
from .geometry import Geometry, turn
from .image import MedicalImage, is_lazy
from .units import METRES

FARTHEST = 0.1
"""Voxels by which a corner of the mask may be off from that of the image: more than headers are rounded by."""

_ALONG = 0.01
"""Voxels per voxel by which an axis of the mask may run off the one of the image that it runs along."""

_SAME_SIZE = 1e-3
"""Share by which voxels may differ in size that are of one size."""

_AS_STORED: tuple[Kind, ...] = ("nifti", "nrrd", "metaimage", "dicom")
"""Formats whose arrays are turned upright by their place, and stay as they are stored where they have none."""


def check_one_grid(image: MedicalImage, mask: MedicalImage, kinds: tuple[Kind | None, Kind]) -> None:
    """Refuse a mask that does not lie on its image.

    Two that both say where they lie are held against each other by their corners, in voxels of the image; the ways in
    which their files run may differ. Where only one of them says, and was turned upright by that, the other must be
    of a format that knows no place, and is taken as shown: nobody can tell whether to turn it, too. Where both say
    where they begin, or labels in OME-Zarr do, that has to be one place.

    Args:
        image: as it was read, upright.
        mask: likewise, with the image's `mask_shape`.
        kinds: formats of both; None for an image that came from no file.

    Raises:
        ImageError: another place; the text names neither.
    """
    if image.geometry is not None and mask.geometry is not None:
        lengths = image.mask_shape[-3:] if "Z" in image.axes else (1, *image.mask_shape[-2:])
        _check_places(image.geometry, mask.geometry, lengths)
        return
    if image.geometry is None:
        begin, unit = _begin(mask)
        if begin and (image.origin or kinds == ("ome-zarr", "ome-zarr")):  # those that do not say it lie on their image
            _check_origins(image, begin, unit)
    placed, other = (image, kinds[1]) if image.geometry is not None else (mask, kinds[0])
    if placed.geometry is not None and any(placed.geometry.flipped) and other in _AS_STORED:
        which = "mask" if placed is image else "image"
        raise ImageError(
            f"Where the {which} lies in the patient is not in its file, so whether it runs the same way as the other "
            "cannot be told. Export both from one program, with their place."
        )


def in_the_images_unit(image: MedicalImage, mask: MedicalImage) -> MedicalImage:
    """A mask whose header names no unit of length, as programs write it that copy no more than the numbers.

    Such numbers are taken for mm, which they are not where the image's are of another unit.

    Returns:
        The mask with its numbers in the unit of its image's header, if its voxels then are as large as the image's; the
        mask itself else.

    Raises:
        ImageError: the mask names a unit, and its numbers are those of the image, which names another.
    """
    here, there = image.header, mask.header
    if here is None or there is None or here.unit == there.unit:
        return mask
    if image.geometry is None or mask.geometry is None:
        return mask
    factor = METRES[here.unit or "mm"] / METRES[there.unit or "mm"]
    sides, wanted = np.multiply(sorted(mask.geometry.spacing), factor), sorted(image.geometry.spacing)
    if factor == 1 or not np.allclose(sides, wanted, rtol=_SAME_SIZE):
        return mask
    if not (here.unit and not there.unit):
        said = [f"in {source.unit}" if source.unit else "in no unit, so in mm" for source in (there, here)]
        raise ImageError(
            f"The numbers of both headers are the same, but those of the mask are {said[0]}, and those of the image "
            f"{said[1]}. Put the right unit into the wrong one (in NIfTI: xyzt_units), or export the mask again."
        )
    affine = np.diag([factor, factor, factor, 1.0]) @ mask.geometry.affine
    geometry = replace(mask.geometry, affine=affine)
    return replace(mask, geometry=geometry, spacing=geometry.spacing[-mask.spatial_ndim :])


def as_the_image_runs(image: MedicalImage, mask: MedicalImage) -> MedicalImage:
    """A mask whose array runs as its image's does; programs store a volume in other orders of its axes.

    Returns:
        The mask with its axes turned to those of the image that they run along, if each does along one of them; the
        mask itself else.
    """
    here, there = image.geometry, mask.geometry
    if here is None or there is None or "Z" not in image.axes or "Z" not in mask.axes:
        return mask
    between = np.linalg.solve(here.affine[:3, :3], there.affine[:3, :3])  # along the image's axes, for each of the mask
    steps = np.rint(between)
    sides = np.abs(steps)
    if not np.allclose(between, steps, atol=_ALONG) or (sides.sum(axis=0) != 1).any() or (sides.sum(axis=1) != 1).any():
        return mask
    order = sides.argmax(axis=1)
    against = [bool(steps[axis, of_mask] < 0) for axis, of_mask in enumerate(order)]
    if not any(against) and (order == (0, 1, 2)).all():
        return mask
    first = mask.data.ndim - 3
    data = turn(mask.data.transpose(*range(first), *(first + order)), against)
    geometry = Geometry(there.affine[:, [*order, 3]]).flip(against, data.shape[first:])
    data = data if is_lazy(data) else np.ascontiguousarray(data)
    return MedicalImage(data, mask.axes, geometry.spacing, "mm", mask.name, geometry)


def on_the_grid(image: MedicalImage, mask: MedicalImage) -> MedicalImage:
    """A mask of a part of a volume, as a segmentation without its empty planes is, in the volume's own shape.

    Returns:
        The mask with background around it, if its voxels are voxels of the image; the mask itself else.
    """
    here, there = image.geometry, mask.geometry
    if here is None or there is None or image.axes.replace("C", "") != "ZYX":
        return mask
    lengths = (1,) * (3 - mask.data.ndim) + mask.data.shape
    if len(lengths) != 3 or lengths == image.mask_shape:
        return mask
    between = np.linalg.solve(here.affine, there.affine)  # index in the mask to index in the image
    begin = np.rint(between[:3, 3]).astype(int)
    corner = between @ (*(n - 1 for n in lengths), 1)
    end = begin + lengths
    fits = np.allclose(corner[:3], end - 1, atol=FARTHEST) and np.allclose(between[:3, 3], begin, atol=FARTHEST)
    if not fits or (begin < 0).any() or (end > image.mask_shape).any():
        return mask
    whole = np.zeros(image.mask_shape, mask.data.dtype)
    whole[tuple(map(slice, begin, end))] = mask.data.reshape(lengths)
    return MedicalImage(whole, "ZYX", here.spacing, "mm", mask.name, here)


def _check_places(image: Geometry, mask: Geometry, lengths: tuple[int, ...]) -> None:
    corners = np.array([(*corner, 1) for corner in product((0, 1), repeat=3)]) * (
        *(n - 1 for n in lengths),
        1,
    )  # (8, 4)
    away = corners @ (mask.affine - image.affine)[:3].T  # (8, 3) mm
    voxels = np.abs(away @ np.linalg.inv(image.affine[:3, :3]).T).max()
    if voxels > FARTHEST:
        raise ImageError(
            f"The mask lies up to {np.linalg.norm(away, axis=1).max():.3g} mm ({voxels:.2g} voxels) away from its "
            f"image; {FARTHEST} voxels are allowed. Export or resample the mask on the image's own grid."
        )


def _begin(mask: MedicalImage) -> tuple[tuple[float, ...], str]:
    """Where a mask begins, see `MedicalImage.origin`, and in what unit; () if it says nothing that can be compared."""
    if mask.geometry is None:
        return mask.origin, mask.unit
    straight = np.allclose(mask.geometry.direction, np.eye(3)[:, ::-1], atol=_ALONG)
    begin = mask.geometry.translate[-mask.spatial_ndim :]
    return (begin, "mm") if straight and any(begin) else ((), "mm")


def _check_origins(image: MedicalImage, begin: tuple[float, ...], unit: str) -> None:
    """A pixel is allowed for programs that mean its corner."""
    wanted = np.array(image.origin or (0.0,) * image.spatial_ndim)
    if len(begin) != len(wanted) or (unit in METRES) != (image.unit in METRES):  # one slice with an axis for it
        return
    in_unit = METRES[unit] / METRES[image.unit] if unit in METRES else 1.0
    away = np.array(begin) * in_unit - wanted
    if (np.abs(away) > image.spacing).any():
        raise ImageError(
            f"The mask begins at {_listed(begin)} {unit}, and its image at {_listed(wanted)} {image.unit}: "
            "it is the mask of another piece. Export or resample the mask on the image's own grid."
        )


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:.6g}" for number in numbers)
