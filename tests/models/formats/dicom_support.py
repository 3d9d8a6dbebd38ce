"""DICOM files as scanners write them, made by the tests that read them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

Array = np.ndarray[Any, np.dtype[Any]]

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
CORONAL = (1, 0, 0, 0, 0, -1)
FEET_FIRST_PRONE = (-1, 0, 0, 0, -1, 0)
PRONE = (-1, 0, 0, 0, 1, 0)
"""Directions in which X and Y run, in (L, P, S)."""


def turned(orientation: Sequence[float], degrees: Sequence[float]) -> tuple[float, ...]:
    """An orientation turned about L, then P, then S."""
    rotation = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        about = np.eye(3)
        i, j = [other for other in range(3) if other != axis]
        about[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        rotation = about @ rotation
    along_x, along_y = np.reshape(orientation, (2, 3)) @ rotation.T
    return (*along_x.tolist(), *along_y.tolist())


def image(pixels: Array, **elements: Any) -> Dataset:
    """A CT slice with these pixels, (Y, X), (frames, Y, X) or (..., 3); None among the elements takes one away."""
    pixels = np.ascontiguousarray(pixels)
    coloured = pixels.shape[-1] == 3 and pixels.ndim > 2
    plane = pixels.shape[-3:-1] if coloured else pixels.shape[-2:]
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Modality = "CT"
    dataset.PatientName, dataset.PatientID = "Mustermann^Erika", "PID-4711"
    dataset.SamplesPerPixel = 3 if coloured else 1
    dataset.PhotometricInterpretation = "RGB" if coloured else "MONOCHROME2"
    if coloured:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = plane
    frames = pixels.size // (plane[0] * plane[1] * dataset.SamplesPerPixel)
    if frames > 1:
        dataset.NumberOfFrames = frames
    if pixels.dtype.kind == "f":
        dataset.BitsAllocated = 32
        dataset.FloatPixelData = pixels.astype(np.float32).tobytes()
    else:
        dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    return dataset


def save(dataset: Dataset, path: Path, syntax: UID = ExplicitVRLittleEndian) -> Path:
    """Write a data set with its preamble."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CTImageStorage)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID") or generate_uid()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(
        path, enforce_file_format=True, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian
    )
    return path


def series(
    folder: Path,
    volume: Array,
    *,
    orientation: Sequence[float] = AXIAL,
    spacing: Sequence[float] = (2.0, 0.8, 0.5),
    origin: Sequence[float] = (-30.0, 20.0, 700.0),
    tilt: Sequence[float] = (0.0, 0.0),
    leave_out: Sequence[int] = (),
    **elements: Any,
) -> list[Path]:
    """Write a volume (Z, Y, X) as a series, under names and numbers that say nothing of the order of its slices.

    Args:
        folder: made if need be.
        volume: slices along the normal of X and Y.
        orientation: directions of X and Y.
        spacing: along Z, Y, X, in mm.
        origin: (L, P, S) of the first voxel.
        tilt: mm by which each slice is moved along Y and X against the one before.
        leave_out: slices that are not written.
        elements: of every slice.
    """
    along_x, along_y = np.reshape(np.array(orientation, float), (2, 3))
    step = np.cross(along_x, along_y) * spacing[0] + along_y * tilt[0] + along_x * tilt[1]
    shared = {"SeriesInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid(), **elements}
    shuffled = np.random.default_rng(3).permutation(len(volume))
    paths = []
    for z, plane in enumerate(volume):
        if z in leave_out:
            continue
        dataset = image(
            plane,
            ImageOrientationPatient=[f"{value:.10g}"[:16] for value in orientation],
            ImagePositionPatient=[f"{value:.10g}"[:16] for value in np.array(origin) + z * step],
            PixelSpacing=[f"{value:.10g}" for value in spacing[1:]],
            SliceThickness=5,
            InstanceNumber=int(shuffled[z]) + 1,
            **shared,
        )
        paths.append(save(dataset, folder / f"{shuffled[(z + 1) % len(volume)]:03d}.dcm"))
    return paths


def enhanced(path: Path, frames: Array, groups: Sequence[Dataset], **elements: Any) -> Path:
    """Write an enhanced file whose frames, (F, Y, X), have these functional groups; all are 0.8 by 0.5 mm."""
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.5], 5
    shared.PixelMeasuresSequence = [measures]
    return save(
        image(
            frames,
            SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1",
            SharedFunctionalGroupsSequence=[shared],
            PerFrameFunctionalGroupsSequence=list(groups),
            **elements,
        ),
        path,
    )


def functional_group(position: Sequence[float], *, stack: str = "1", time: int = 1, slope: float = 1.0) -> Dataset:
    """What an enhanced file says of an axial frame."""
    group, content, placed, oriented, transformed = (Dataset() for _ in range(5))
    content.StackID, content.TemporalPositionIndex = stack, time
    placed.ImagePositionPatient = [float(value) for value in position]
    oriented.ImageOrientationPatient = list(AXIAL)
    transformed.RescaleSlope, transformed.RescaleIntercept, transformed.RescaleType = slope, -1000, "HU"
    group.FrameContentSequence, group.PlanePositionSequence = [content], [placed]
    group.PlaneOrientationSequence, group.PixelValueTransformationSequence = [oriented], [transformed]
    return group


def probe_group(height: float) -> Dataset:
    """What an enhanced ultrasound says of a frame: where it lies before the probe, not where in the patient."""
    group, placed, oriented = (Dataset() for _ in range(3))
    placed.ImagePositionVolume, oriented.ImageOrientationVolume = [0.0, 0.0, height], list(AXIAL)
    group.PlanePositionVolumeSequence, group.PlaneOrientationVolumeSequence = [placed], [oriented]
    return group


def numbered(*shape: int) -> Array:
    """Voxels that are all different, so that each can be found again."""
    return np.arange(1, np.prod(shape) + 1, dtype=np.uint16).reshape(shape)
