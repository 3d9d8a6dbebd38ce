"""What DICOM images are called: to the person who chooses among them, and afterwards, when it must tell nobody who
the patient is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread

from ..errors import ImageError
from .dicom_frames import Frame, Place
from .dicom_header import Header
from .dicom_order import at_places
from .dicom_tags import number
from .dicom_tolerance import as_it_is
from .dicom_volume import Volume, volume_of
from .kinds import stem

_IDENTIFYING = (
    *("PatientName", "PatientID", "OtherPatientIDs", "PatientBirthDate", "AccessionNumber", "StudyID"),
    *("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "InstitutionName", "ReferringPhysicianName"),
)

_SHORTEST = 3
"""Letters of a name that are worth hiding; shorter ones are in every word."""


def titles_of(stacks: Sequence[list[Frame]]) -> list[str]:
    """For the chooser, no two alike, e.g. "CT, 120 slices of 512 x 512, 0.7 x 0.7 x 2.5 mm, axial, 'Thorax'".

    Those that would be alike are told apart by the number of their series, and if need be by their place in the list.
    Only here does the description of the series appear, in the words of whoever ran the scanner.
    """
    titles = [_title(stack) for stack in stacks]
    numbers = [number(stack[0].header.dataset, "SeriesNumber") for stack in stacks]
    titles = [
        f"{title}, series {series:g}" if titles.count(title) > 1 and series is not None else title
        for title, series in zip(titles, numbers, strict=True)
    ]
    return [
        f"{title}, image {place}" if titles.count(title) > 1 else title for place, title in enumerate(titles, start=1)
    ]


def _title(stack: list[Frame]) -> str:
    said = str(stack[0].header.dataset.get("SeriesDescription", "") or "").strip()
    words = [_kind(stack[0]), *_extent(stack), *([f"'{said[:60]}'"] if said else [])]
    return ", ".join(word for word in words if word)


def name_of(path: Path, header: Header, key: str) -> str:
    """The name of the file or folder; the modality and a number where it has, or may have, the patient's name or an ID.

    Args:
        path: as the user gave it.
        header: of a file of the image.
        key: of the part.
    """
    name = path.name if path.is_dir() else stem(path)
    identifying = _identifying(header)
    pieces = {piece.casefold() for value in identifying or [] for piece in _pieces(value)}
    if identifying is None or any(piece in name.casefold() for piece in pieces):
        return f"{header.modality} {(key or header.instance)[:6]}"
    return name


def patient_of(header: Header) -> str:
    """A hash of the patient's ID and of who issued it, or of name and birth date where there is no ID; "" without."""
    keywords = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")
    try:
        with as_it_is():
            known = dcmread(header.path, stop_before_pixels=True, force=True, specific_tags=list(keywords))
            number, issuer, name, born = (str(known.get(keyword, "") or "").strip() for keyword in keywords)
    except Exception:  # a damaged value fails its conversion in any way
        return ""
    told = (number, issuer) if number else (name, born) if name else None
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32] if told else ""


def _identifying(header: Header) -> list[str] | None:
    """What tells whose image it is; None where that cannot be read."""
    try:
        with as_it_is():
            known = dcmread(header.path, stop_before_pixels=True, force=True, specific_tags=list(_IDENTIFYING))
            return [str(known.get(keyword, "")) for keyword in _IDENTIFYING]
    except Exception:  # a damaged value fails its conversion in any way
        return None


def _pieces(value: str) -> Iterable[str]:
    """A value, and the words of a name in it."""
    words = value.replace("^", " ").replace("=", " ").replace(",", " ").replace("_", " ").split()
    return [piece for piece in (value, *words) if len(piece) >= _SHORTEST]


def _kind(frame: Frame) -> str:
    return {"SEG": "Segmentation", "RTDOSE": "Dose"}.get(frame.header.modality, frame.header.modality)


def _extent(stack: list[Frame]) -> list[str]:
    rows, columns = stack[0].pixels.shape[:2]
    if stack[0].header.is_segmentation:
        places = len(at_places(stack)) if stack[0].place else len(stack)
        return [f"{places} planes with labels, {columns} x {rows}", _plane(stack[0].place)]
    colour = ["colour"] if stack[0].pixels.coloured else []
    try:
        volume = volume_of(stack)
    except ImageError:
        return [f"{len(stack)} slices of {columns} x {rows}", *colour, "unevenly spaced"]
    return [f"{_count(volume)}{columns} x {rows}", *colour, _spacing(volume), _plane(stack[0].place)]


def _count(volume: Volume) -> str:
    if volume.slices == 1:
        return f"{volume.times} frames of " if volume.times > 1 else ""
    times = f"{volume.times} times " if volume.times > 1 else ""
    return f"{times}{volume.slices} slices of "


def _spacing(volume: Volume) -> str:
    if volume.unit != "mm":
        return ""
    z, y, x = volume.spacing
    return " x ".join(f"{length:.3g}" for length in ((x, y, z) if volume.slices > 1 else (x, y))) + " mm"


def _plane(place: Place | None) -> str:
    if place is None:
        return ""
    normal = np.abs(place.normal)
    name = ("sagittal", "coronal", "axial")[int(normal.argmax())]
    return name if normal.max() > 0.99 else f"oblique {name}"
