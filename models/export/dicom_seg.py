"""DICOM SEG: a mask as a DICOM object of the patient's study, one segment a label.

It is BINARY, which every reader of segmentations opens (the newer LABELMAP few do), refers to each source instance,
and lies in its frame of reference. The standard wants it to say whose it is: it holds the patient's name, ID and birth
date as the source has them, and the study's numbers. No other export does.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .. import durable
from ..cancelling import Cancel, stop_if
from ..errors import ImageError
from ..formats.opened import OpenedImage
from ..geometry import Geometry
from ..image import Array, MedicalImage, as_mask
from .dicom_references import refer
from .dicom_source import MaskedInstances, masked_instances

_log = logging.getLogger(__name__)

_WHOLE = 2**26
"""Bytes up to which planes without a label are stored, too, so that every reader has the grid of the source."""

_LARGEST = 2**30
"""Bytes from which on the file is refused: a segment takes a bit for every pixel of its planes."""

_LONGEST_NAME = 64
"""Letters of a segment's label (DICOM's LO)."""


def write_dicom_seg(
    path: Path,
    mask: Array,
    image: MedicalImage,
    source: OpenedImage | str | os.PathLike[str] | None,
    names: Mapping[int, str] | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Write a mask as DICOM SEG, whole or not at all.

    Args:
        path: of the file.
        mask: labels of the image's `mask_shape`, (Z, Y, X), or (Y, X) of one slice.
        image: that it is a mask of.
        source: the DICOM file or series that the image was read from, or the path of it.
        names: of labels. Segments are the labels that are there or have a name, in order; they keep their numbers
            if these are 1, 2, ... n.
        cancel: asked whether to stop.

    Raises:
        ImageError: no mask of this image, a source that is no DICOM image or has several points in time or no place
            in space, or too many labels.
        WriteError: no permission, no space, ...; an older file is untouched.
        CancelledError: asked to stop.
    """
    masked = masked_instances(source, as_mask(mask, image))
    named = names or {}
    labels = _labels(masked.planes, named)
    numbers = np.zeros(max(labels) + 1, np.uint8 if len(labels) < 256 else np.uint16)
    numbers[labels] = np.arange(1, len(labels) + 1)
    called = [named.get(label) or f"label {label}" for label in labels]
    stop_if(cancel)
    content = _file(masked, numbers[masked.planes], called)
    stop_if(cancel)
    durable.write(path, content)


def _labels(planes: Array, names: Mapping[int, str]) -> list[int]:
    """The labels that become segments."""
    if planes.dtype.itemsize > 2:
        raise ImageError(
            f"A DICOM SEG has up to 65535 segments, but this mask has labels up to {planes.max()}. Nothing was "
            "written; NIfTI (.nii.gz) would work."
        )
    present = [np.flatnonzero(np.bincount(plane.ravel())) for plane in planes]
    labels = sorted({*np.concatenate(present).tolist(), *names} - {0})
    if not labels:
        raise ImageError("The mask has no labels, and a DICOM SEG needs one at least. Nothing was written.")
    size = planes[0].size // 8 * sum(int(np.count_nonzero(found)) for found in present)
    if size > _LARGEST:
        raise ImageError(
            f"As DICOM SEG this mask of {len(labels)} labels would take {size / 1e9:.1f} GB, since each label is "
            "a segment of its own. Nothing was written; NIfTI (.nii.gz) would work."
        )
    return labels


def _file(masked: MaskedInstances, planes: Array, names: Sequence[str]) -> bytes:
    """The file.

    Args:
        masked: the source.
        planes: numbers of segments, (Z, Y, X).
        names: of the segments 1 to n.
    """
    import highdicom
    from pydicom.uid import generate_uid
    from pydicom.valuerep import format_number_as_ds

    from ..formats.dicom_tolerance import as_it_is

    version = importlib.metadata.version("napari-medseg")
    source, grid = masked.instances[0], masked.grid
    whole = planes.size // 8 * len(names) <= _WHOLE
    logging.getLogger("highdicom").setLevel(logging.WARNING)  # below that it logs which instances it copies from
    with as_it_is():  # values that are not as the standard wants them are the source's
        try:
            segmentation = highdicom.seg.Segmentation(
                source_images=masked.instances,
                pixel_array=planes,
                segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=[_segment(n, name, version) for n, name in enumerate(names, start=1)],
                series_instance_uid=generate_uid(),
                series_number=1000 + int(source.get("SeriesNumber") or 0) % 9000,
                sop_instance_uid=generate_uid(),
                instance_number=1,
                manufacturer="MedSeg for napari",
                manufacturer_model_name="napari-medseg",
                software_versions=version,
                device_serial_number=version,
                series_description="Segmentation (research, not for diagnosis)",
                omit_empty_frames=not whole,
                **(_positions(grid, len(planes)) if masked.own_grid and grid else {}),
            )
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            _log.info("highdicom refused a source: %s", _said(error))
            raise ImageError(
                f"The DICOM images lack something that a DICOM SEG has to refer to ({_said(error)}). Nothing was "
                "written; NIfTI (.nii.gz) would work."
            ) from None  # whose text may be the patient's, and would be in the log
        if masked.own_grid and grid:
            refer(segmentation, masked, grid)
        shared = segmentation.SharedFunctionalGroupsSequence[0]
        if grid is not None:  # highdicom takes 1 mm where there is but one plane
            shared.PixelMeasuresSequence[0].SpacingBetweenSlices = format_number_as_ds(grid.spacing[0])
        elif "PixelMeasuresSequence" in shared and "SliceThickness" not in shared.PixelMeasuresSequence[0]:
            del shared.PixelMeasuresSequence  # which highdicom writes, but does not read again; the source has it
        content = BytesIO()
        segmentation.save_as(content)
    return content.getvalue()


def _segment(number: int, name: str, version: str) -> Any:
    """A segment of nobody knows what tissue, which a network proposed and a person corrected."""
    import highdicom
    from pydicom.sr.codedict import codes

    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name.replace("\\", "/")[:_LONGEST_NAME],
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Tissue,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="MedSeg for napari", family=codes.DCM.ArtificialIntelligence, version=version
        ),
    )


def _positions(grid: Geometry, planes: int) -> dict[str, Any]:
    """Where planes lie that are not those of the instances."""
    import highdicom

    patient = highdicom.CoordinateSystemNames.PATIENT
    z, y, x = grid.spacing
    return {
        "plane_positions": [
            highdicom.PlanePositionSequence(patient, image_position=(grid.origin + at * grid.affine[:3, 0]).tolist())
            for at in range(planes)
        ],
        "plane_orientation": highdicom.PlaneOrientationSequence(
            patient, image_orientation=[*grid.direction[:, 2].tolist(), *grid.direction[:, 1].tolist()]
        ),
        "pixel_measures": highdicom.PixelMeasuresSequence(
            pixel_spacing=(y, x), slice_thickness=z, spacing_between_slices=z
        ),
    }


def _said(error: Exception) -> str:
    """Which element is missing; texts of other errors may hold values, and these may be the patient's."""
    return str(error).splitlines()[0] if isinstance(error, AttributeError) else type(error).__name__
