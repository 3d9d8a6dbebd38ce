"""The DICOM instances that a mask is of, and its planes in their order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError
from ..formats.kinds import content_kind
from ..formats.opened import OpenedImage
from ..formats.opening import open_image
from ..geometry import Geometry, turn
from ..image import Array

_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
"""What the standard wants to be there, but lets be empty; files without the patient's data lack it."""

_OTHERWISE = "Nothing was written; NIfTI (.nii.gz) would work."


@dataclass(frozen=True)
class PlaneSource:
    """What a plane is a mask of.

    Attributes:
        instance: number among the instances.
        frame: number of the frame, from 1; None for an instance of one plane.
    """

    instance: int
    frame: int | None


@dataclass(frozen=True, eq=False)
class MaskedInstances:
    """A mask, and what it is a mask of.

    Attributes:
        instances: pydicom data sets without pixels.
        planes: of the mask, (Z, Y, X), in the order of the instances, or of the frames of the only one.
        grid: where the planes lie; None for a picture that lies nowhere.
        own_grid: whether the planes are not those of the instances, one by one: after resampling, where some of the
            instances are missing, and where a file has other frames, too.
        sources: what each plane is a mask of, None where an instance is missing; only with an own grid.
        resampled: whether the pixels of the planes lie elsewhere than those of the instances.
    """

    instances: list[Any]
    planes: Array
    grid: Geometry | None
    own_grid: bool
    sources: tuple[PlaneSource | None, ...] = ()
    resampled: bool = False


def masked_instances(source: OpenedImage | str | os.PathLike[str] | None, mask: Array) -> MaskedInstances:
    """Find the instances that an image was read from.

    Args:
        source: what the image was read from, or the path of it.
        mask: as the image is seen: (Z, Y, X), or (Y, X).

    Raises:
        ImageError: no DICOM image, another one than the mask's, or one that a DICOM SEG cannot refer to.
    """
    from ..formats.dicom_folder import found_in
    from ..formats.dicom_tolerance import as_it_is
    from ..formats.dicom_volume import volume_of

    opened = _opened(source)
    path = Path(opened.path)
    stack = found_in(path).stacks.get(opened.part)
    if stack is None:
        raise ImageError(f"'{path.name}' no longer holds the images that the mask is of. Nothing was written.")
    volume = volume_of(stack)
    if volume.times > 1:
        raise ImageError(f"A DICOM SEG holds one point in time, but '{path.name}' has {volume.times}. {_OTHERWISE}")
    planes = mask.reshape(-1, *mask.shape[-2:])
    if planes.shape != (volume.slices, *volume.plane):
        raise ImageError(
            f"The mask has shape {planes.shape}, but its DICOM images have {(volume.slices, *volume.plane)}. "
            "Nothing was written; open the images again."
        )
    if volume.geometry is None and volume.slices > 1:
        raise ImageError(
            f"'{path.name}' does not say where its slices lie, and a DICOM SEG of several needs to. {_OTHERWISE}"
        )
    if volume.geometry is not None:
        planes = turn(planes, volume.geometry.as_seen())
    frames = [frame for frame in volume.grid[0] if frame is not None]
    files = list(dict.fromkeys(frame.header.path for frame in frames))
    with as_it_is():
        instances = [_instance(file) for file in files]
        _share(instances, frames[0].index)
    stored = int(instances[0].get("NumberOfFrames", 1) or 1)
    own_grid = bool(volume.shifts) or len(frames) < volume.slices or stored > len(frames)
    if stored > 1 and not own_grid:
        planes = planes[np.argsort([frame.index for frame in frames])]
    if not own_grid:
        return MaskedInstances(instances, planes, volume.geometry, own_grid)
    numbers = {file: number for number, file in enumerate(files)}
    sources = tuple(
        None if frame is None else PlaneSource(numbers[frame.header.path], frame.index + 1 if stored > 1 else None)
        for frame in volume.grid[0]
    )
    return MaskedInstances(instances, planes, volume.geometry, own_grid, sources, bool(volume.shifts))


def _opened(source: OpenedImage | str | os.PathLike[str] | None) -> OpenedImage:
    if source is None:
        raise ImageError(
            f"A DICOM SEG refers to the DICOM images that it is of, and it is not known which these are. {_OTHERWISE}"
        )
    path = Path(source.path if isinstance(source, OpenedImage) else source)
    if content_kind(path) != "dicom":
        raise ImageError(f"A DICOM SEG refers to DICOM images, but '{path.name}' is none. {_OTHERWISE}")
    return source if isinstance(source, OpenedImage) else open_image(path)


def _instance(path: Path) -> Any:
    from pydicom import dcmread

    dataset = dcmread(path, stop_before_pixels=True, force=True)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in dataset or not _is_valid(keyword, dataset.get(keyword)):
            setattr(dataset, keyword, "")
    missing = [name for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID") if not dataset.get(name)]
    if missing:
        raise ImageError(
            f"'{path.name}' has no {missing[0]}, so nothing can refer to it, and it can have no DICOM SEG. {_OTHERWISE}"
        )
    _as_unicode(dataset)
    return dataset


def _as_unicode(dataset: Any) -> None:
    """Names in any script, and the labels' names beside them; highdicom takes few of the character sets there are."""
    dataset.decode()
    dataset.SpecificCharacterSet = "ISO_IR 192"


def _is_valid(keyword: str, value: Any) -> bool:
    """Whether a date or a time is one; a 30 February, as some archives write, cannot be handed on."""
    from pydicom.valuerep import DA, TM

    kind = DA if keyword.endswith("Date") else TM if keyword.endswith("Time") else str
    try:
        kind(value or "")
    except ValueError:
        return False
    return True


def _share(instances: list[Any], frame: int) -> None:
    """Say once what is the same for all planes, as highdicom wants it; the planes of a stack face one way."""
    first = instances[0]
    if "ImageOrientationPatient" in first:
        for other in instances[1:]:
            other.ImageOrientationPatient = first.ImageOrientationPatient
    if "PerFrameFunctionalGroupsSequence" in first and "SharedFunctionalGroupsSequence" in first:
        shared, own = first.SharedFunctionalGroupsSequence[0], first.PerFrameFunctionalGroupsSequence[frame]
        for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
            if keyword not in shared and keyword in own:
                setattr(shared, keyword, own[keyword].value)
