"""DICOM SEG as a mask: the numbers of its segments as labels, where its frames lie in the patient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ImageError
from ..geometry import Geometry, turn
from ..image import Array, MedicalImage, as_mask
from ..memory import check_fits_in_memory
from .dicom_frames import frames_of
from .dicom_header import Header
from .dicom_tolerance import as_it_is

_OVERLAP = (
    "Segments of this segmentation overlap; where they do, the one with the larger number is kept, since a mask has "
    "one label a pixel."
)


def read_segmentation(header: Header, name: str) -> tuple[MedicalImage, tuple[str, ...]]:
    """The mask of a DICOM SEG, and what the user has to know of it.

    Returns:
        Labels, (Z, Y, X), or (Y, X) of one plane, in the smallest unsigned type, with their geometry. Planes without
        any label are often not stored: the mask then begins at the first that is, and those between are empty.
        A fractional segmentation has its labels where it is above one half.

    Raises:
        ImageError: damaged, or its frames do not lie on a grid.
    """
    import highdicom  # takes half a second

    path = header.path
    try:
        with as_it_is():
            segmentation = highdicom.seg.segread(path)
            place = frames_of(header)[0].place
            if place is None and len(segmentation.get_source_image_uids()) == 1:
                return _picture(segmentation, header, name), ()
            grid = segmentation.get_volume_geometry(allow_missing_positions=True)
            if grid is None:
                raise ImageError(
                    f"'{path.name}' is a segmentation whose frames do not lie on a regular grid, so it is no mask of a "
                    "volume. Export it as NIfTI from the program that made it."
                )
            check_fits_in_memory(2 * int(np.prod(grid.spatial_shape)), path.name)
            labels, notices = _labels(segmentation)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"'{path.name}' is a DICOM segmentation that does not keep to the standard. Export it again, or as NIfTI, "
            "from the program that made it."
        ) from error
    geometry = Geometry(grid.affine)
    axes = geometry.as_seen()
    geometry = geometry.flip(axes, labels.shape)
    mask = as_mask(np.ascontiguousarray(turn(labels, axes)))
    if mask.shape[0] == 1:
        return MedicalImage(mask[0], "YX", geometry.spacing[1:], "mm", name, geometry), notices
    return MedicalImage(mask, "ZYX", geometry.spacing, "mm", name, geometry), notices


def _picture(segmentation: Any, header: Header, name: str) -> MedicalImage:
    """The mask, (Y, X), of a picture that lies nowhere in space, such as an X-ray."""
    ((*_, instance),) = segmentation.get_source_image_uids()
    read = segmentation.get_pixels_by_source_instance
    labels = read(
        [instance], combine_segments=True, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    distance = frames_of(header)[0].distance
    return MedicalImage(as_mask(labels[0]), "YX", distance.yx, distance.unit, name)


def _labels(segmentation: Any) -> tuple[Array, tuple[str, ...]]:
    """(Z, Y, X), in the order and at the places of the geometry of the segmentation's volume."""
    if segmentation.segmentation_type.value == "FRACTIONAL":
        shares = segmentation.get_volume(allow_missing_positions=True).array  # (Z, Y, X, segments), 0 to 1
        numbers = np.array([0, *segmentation.segment_numbers])
        best = np.where(shares.max(axis=-1) > 0.5, shares.argmax(axis=-1) + 1, 0)
        return numbers[best], ()
    try:
        return segmentation.get_volume(combine_segments=True, allow_missing_positions=True).array, ()
    except RuntimeError as error:  # how highdicom says that segments overlap
        if "overlap" not in str(error):
            raise
    volume = segmentation.get_volume(combine_segments=True, allow_missing_positions=True, skip_overlap_checks=True)
    return volume.array, (_OVERLAP,)
