"""The planes of DICOM files, one by one: where each lies, what its numbers mean, and what tells it from the others.

A classic file is one plane, a film or an enhanced file is many. Enhanced files keep what differs from plane to plane
in functional groups (DICOM PS3.3 C.7.6.16); here all of them look the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from ..errors import ImageError
from ..geometry import Affine
from ..image import Array
from .dicom_header import Header
from .dicom_pixels import StoredPixels
from .dicom_spacing import PixelDistance, pixel_distance
from .dicom_tags import first_item, items, number, numbers, value_of, word, words
from .dicom_values import Values, Window, values_of, window_of

_RIGHT_ANGLE = 0.01
"""Largest cosine between rows and columns; more is a damaged orientation."""

_SLICE_VECTOR, _FRAME_TIME, _FRAME_TIMES, _GRID_OFFSETS = 0x00540080, 0x00181063, 0x00181065, 0x3004000C
_FILMS = ("US", "XA", "RF", "ES", "XC", "GM", "IVUS", "ECG", "OP", "OT", "DICOM", "SC")
"""Modalities whose frames follow each other in time where nothing else is said."""


Group = Callable[[str], Dataset]
"""Gives a functional group of a frame by its keyword, or the elements of the file where there is none."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where a plane lies in the patient.

    Attributes:
        position: (L, P, S) of the centre of the first pixel, in mm.
        along_y: unit vector along which Y runs: down a column of the picture.
        along_x: unit vector along which X runs: along a row.
        in_patient: whether (L, P, S) are the patient's; else they are those of an ultrasound probe.
    """

    position: Affine
    along_y: Affine
    along_x: Affine
    in_patient: bool = True

    @property
    def normal(self) -> Affine:
        """Unit vector at right angles to the plane, to the side on which X, Y and it are right-handed."""
        return np.cross(self.along_x, self.along_y)


@dataclass(frozen=True, eq=False)
class Frame:
    """A plane.

    Attributes:
        header: of the file that it is in.
        index: which frame of it.
        distance: of its pixels.
        values: what its numbers mean.
        place: where it lies; None if the file does not say, or nonsense.
        window: what is to be shown as black and white, in the values that come out.
        kinds: what makes another image of the same place: image type, echo, inversion, phase or magnitude.
        acquisition: number of the acquisition.
        times: in the order of time, for planes at the same place.
        time: seconds within a repetition or a day, for the distance of two time points; None if it is not said.
        stack: name of the stack that an enhanced file puts it in.
        number: of the file in its series.
        step: between slices as the file has it, in mm; None if it is not said.
        thickness: of the slice, in mm; None if it is not said.
    """

    header: Header
    index: int
    distance: PixelDistance
    values: Values
    place: Place | None
    window: Window | None
    kinds: tuple[str, ...]
    acquisition: float
    times: tuple[float, ...]
    time: float | None
    stack: str
    number: float
    step: float | None
    thickness: float | None

    @property
    def pixels(self) -> StoredPixels:
        """How the planes of its file are stored."""
        return self.header.pixels

    def read(self, dtype: np.dtype[Any]) -> Array:
        """Its values, (Y, X), or (Y, X, 3) of colours.

        Raises:
            ImageError: as `StoredPixels.frame`.
        """
        return self.values.apply(self.pixels.frame(self.index), dtype)


def frames_of(header: Header) -> tuple[Frame, ...]:
    """The planes of a file, in the order in which they are stored.

    Raises:
        ImageError: what the file says of them is damaged.
    """
    dataset = header.dataset
    try:
        shared = first_item(dataset, "SharedFunctionalGroupsSequence")
        groups = list(items(dataset, "PerFrameFunctionalGroupsSequence"))
        return tuple(
            _frame(header, index, shared, groups[index] if index < len(groups) else Dataset())
            for index in range(header.pixels.frames)
        )
    except Exception as error:  # damaged elements fail their conversion in any way
        raise ImageError(
            f"'{header.path.name}' is damaged: what it says of its image cannot be understood. Copy or export it again."
        ) from error


def runs_in_time(header: Header) -> bool:
    """Whether the frames of a file without places follow each other in time; in space else."""
    pointer = value_of(header.dataset, "FrameIncrementPointer")
    pointers = [int(tag) for tag in (pointer if isinstance(pointer, list) else [pointer]) if tag]
    if any(tag in pointers for tag in (_FRAME_TIME, _FRAME_TIMES)):
        return True
    if any(tag in pointers for tag in (_SLICE_VECTOR, _GRID_OFFSETS)):
        return False
    return header.modality in _FILMS


def _frame(header: Header, index: int, shared: Dataset, own: Dataset) -> Frame:
    dataset = header.dataset

    def group(keyword: str) -> Dataset:
        """A functional group of this frame, or the file where it has none."""
        for holder in (own, shared):
            if keyword in holder:
                return first_item(holder, keyword)
        return dataset

    content, measures = group("FrameContentSequence"), group("PixelMeasuresSequence")
    transformed = group("PixelValueTransformationSequence")
    values = values_of(dataset, header.pixels, transformed, header.modality)
    preset = window_of(group("FrameVOILUTSequence"))
    times, time = _times(dataset, group, content)
    return Frame(
        header,
        index,
        distance=pixel_distance(dataset, measures, header.modality),
        values=values,
        place=_place(header, group, index),
        window=values.window(preset) if preset and not header.pixels.coloured else None,
        kinds=_kinds(dataset, group),
        acquisition=number(dataset, "AcquisitionNumber") or 0.0,
        times=times,
        time=time,
        stack=word(content, "StackID"),
        number=number(dataset, "InstanceNumber") or 0.0,
        step=number(measures, "SpacingBetweenSlices"),
        thickness=number(measures, "SliceThickness"),
    )


def _kinds(dataset: Dataset, group: Group) -> tuple[str, ...]:
    """What makes two images of the same place different images, not different times."""
    types = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
    frame_types = next((found for name in types if (found := words(group(name), "FrameType"))), ())
    echo, inversion = group("MREchoSequence"), group("MRModifierSequence")
    return (
        *(frame_types or words(dataset, "ImageType")),
        f"TE {number(echo, 'EffectiveEchoTime') or number(echo, 'EchoTime') or number(echo, 'EchoNumbers')}",
        f"TI {number(inversion, 'InversionTimes') or number(inversion, 'InversionTime')}",
        word(group(types[0]), "ComplexImageComponent"),
    )


def _times(dataset: Dataset, group: Group, content: Dataset) -> tuple[tuple[float, ...], float | None]:
    """What puts frames of the same place in order, and the time of this one in s, if it is said."""
    beat = group("CardiacSynchronizationSequence")
    position = number(content, "TemporalPositionIndex") or number(dataset, "TemporalPositionIdentifier")
    trigger = number(beat, "NominalCardiacTriggerDelayTime") or number(dataset, "TriggerTime")
    decay = number(dataset, "FrameReferenceTime")
    diffusion = number(group("MRDiffusionSequence"), "DiffusionBValue")
    clock = _seconds(value_of(content, "FrameAcquisitionDateTime") or value_of(dataset, "AcquisitionTime"))
    known = trigger / 1000 if trigger is not None else decay / 1000 if decay is not None else clock
    return tuple(value or 0.0 for value in (position, diffusion, trigger, decay, clock)), known


def _seconds(value: object) -> float | None:
    """Of the day, from "HHMMSS.ffffff" or "YYYYMMDDHHMMSS.ffffff+ZZZZ"."""
    text = str(value or "").split("+")[0].split("-")[0].strip()
    clock = text[8:] if len(text.split(".")[0]) >= 14 else text
    try:
        return int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + float(clock[4:])
    except ValueError:
        return None


def _place(header: Header, group: Group, index: int) -> Place | None:
    positioned, oriented = group("PlanePositionSequence"), group("PlaneOrientationSequence")
    detector, probe = first_item(header.dataset, "DetectorInformationSequence"), group("PlanePositionVolumeSequence")
    if positioned is header.dataset and "ImagePositionPatient" in detector:  # nuclear medicine
        positioned = oriented = detector
    place = _facing(numbers(positioned, "ImagePositionPatient", 3), numbers(oriented, "ImageOrientationPatient", 6))
    if place is None and "ImagePositionVolume" in probe:  # enhanced ultrasound
        faced = numbers(group("PlaneOrientationVolumeSequence"), "ImageOrientationVolume", 6)
        place = _facing(numbers(probe, "ImagePositionVolume", 3), faced, in_patient=False)
    if place is None or "MOSAIC" in words(header.dataset, "ImageType"):  # of Siemens: slices side by side in one plane
        return None
    of_all_frames = positioned is header.dataset or positioned is detector
    if header.pixels.frames == 1 or not of_all_frames or not place.in_patient:
        return place
    offsets = numbers(header.dataset, "GridFrameOffsetVector", header.pixels.frames)  # of a dose
    if offsets is None:
        return place if runs_in_time(header) else _stepped(place, header, index)
    return replace(place, position=place.position + (offsets[index] - offsets[0]) * place.normal)


def _facing(
    position: tuple[float, ...] | None, orientation: tuple[float, ...] | None, *, in_patient: bool = True
) -> Place | None:
    """None where one is missing, or the directions are none."""
    if position is None or orientation is None:
        return None
    along_x, along_y = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(along_x), np.linalg.norm(along_y)
    if min(lengths) < 0.5 or max(lengths) > 2 or abs(along_x @ along_y) > _RIGHT_ANGLE * lengths[0] * lengths[1]:
        return None
    return Place(np.array(position), along_y / lengths[1], along_x / lengths[0], in_patient)


def _stepped(place: Place, header: Header, index: int) -> Place | None:
    """Of a frame in a file with one position for all (nuclear medicine); None if the distance is not said."""
    step = number(header.dataset, "SpacingBetweenSlices") or number(header.dataset, "SliceThickness")
    if not step:
        return None
    return replace(place, position=place.position + index * step * place.normal)
