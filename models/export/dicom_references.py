"""Which frame of the source each frame of a DICOM SEG is of.

highdicom finds them by where they lie, and takes the frames of all stacks of a file that lie there, and none at all
where a slice is missing; here it is known which they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import Geometry
from .dicom_source import MaskedInstances


def refer(segmentation: Any, masked: MaskedInstances, grid: Geometry) -> None:
    """Let each frame refer to what its plane is a mask of; to nothing where there is no slice.

    Args:
        segmentation: whose frames say where they lie.
        masked: planes on a grid of their own, and their sources.
        grid: where the planes lie.
    """
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    step = grid.affine[:3, 0]
    for groups in segmentation.PerFrameFunctionalGroupsSequence:
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, np.float64)
        source = masked.sources[round(float((position - grid.origin) @ step / (step @ step)))]
        if source is None:
            groups.DerivationImageSequence = []
            continue
        instance, derived, image = masked.instances[source.instance], Dataset(), Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
        if source.frame is not None:
            image.ReferencedFrameNumber = source.frame
        image.PurposeOfReferenceCodeSequence = [_code(codes.cid7202.SourceImageForImageProcessingOperation)]
        image.SpatialLocationsPreserved = "NO" if masked.resampled else "YES"
        derived.DerivationCodeSequence = [_code(codes.cid7203.SegmentationImageDerivation)]
        derived.SourceImageSequence = [image]
        groups.DerivationImageSequence = [derived]


def _code(code: Any) -> Any:
    """A code as DICOM writes it."""
    from highdicom.sr.coding import CodedConcept

    return CodedConcept.from_code(code)
