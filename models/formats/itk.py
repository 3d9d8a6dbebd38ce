"""NRRD and MetaImage (.nrrd, .nhdr, .mha, .mhd) through SimpleITK: in their place in the patient, in memory."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 (its own documentation's name)

from ..errors import ImageError
from ..geometry import Geometry
from ..image import AXES, Array, MedicalImage
from ..itk_source import ItkSource
from ..memory import check_fits_in_memory
from ..units import known_time
from .itk_header import ItkHeader, read_itk_header
from .kinds import content_kind, stem
from .opened import OpenedImage, Part
from .upright import plane_of, upright

_log = logging.getLogger(__name__)

_READERS = {"nrrd": "NrrdImageIO", "metaimage": "MetaImageIO"}

_FLAT = 1e-3
"""Determinant of unit directions below which they do not span the space."""


def parts(path: Path) -> tuple[Part, ...]:
    """The one image of the file."""
    return (Part("", stem(path)),)


def open_part(path: Path, key: str) -> OpenedImage:
    """The image of an NRRD or MetaImage file.

    Its third axis is Z, whatever it runs along in the patient; one slice has none. The fourth is T, components are C.
    The array is turned round along axes of the file that run against what radiologists see; `geometry.stored` tells
    the file's own.

    Raises:
        ImageError: damaged, incomplete, too large, sheared, a broken place, or numbers that are not read.
    """
    header = read_itk_header(path)
    reader = _reader(path)
    _check(reader, header, path)
    numbers = _read(reader, path)
    channels = reader.GetNumberOfComponents()
    axes = AXES[-1 - reader.GetDimension() : -1] + ("C" if channels > 1 else "")
    spacing = tuple(float(length) for length in reader.GetSpacing()[: min(reader.GetDimension(), 3)][::-1])
    coloured = channels in (3, 4) and numbers.dtype == np.uint8
    notices: tuple[str, ...] = ()
    if coloured and channels == 4:
        numbers = np.ascontiguousarray(numbers[..., :3])
        notices += ("Transparency was left out.",)
    geometry = None
    if header.placed:
        numbers, geometry, told = _placed(numbers, axes, _geometry(reader, header), path.name)
        spacing, notices = geometry.spacing[-len(spacing) :], notices + told
    else:
        known = f"voxels are {' x '.join(f'{s:.4g}' for s in spacing[::-1])} {header.unit}"
        lengths = known if header.unit != "pixel" else "lengths are in pixels"
        notices += (f"Where it lies in the patient is not in the file; {lengths}.",)
    numbers, axes = plane_of(numbers, axes)
    spacing = spacing[-sum(axis in "ZYX" for axis in axes) :]
    unit = "mm" if header.placed else header.unit
    origin = () if header.placed else tuple(reader.GetOrigin()[: len(spacing)][::-1])
    time, begin = known_time(0, ""), 0.0
    if "T" in axes:
        step = reader.GetSpacing()[3]
        time = known_time(step, header.time_unit)
        begin = float(reader.GetOrigin()[3]) * (time[0] / step)  # in the unit that the step is in now
    said = ItkSource(header.named_unit, begin)
    image = MedicalImage(numbers, axes, spacing, unit, stem(path), geometry, origin, *time, said)
    return OpenedImage(image, str(path), key, coloured=coloured, notices=notices)


def _reader(path: Path) -> sitk.ImageFileReader:
    """With the header read."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(_READERS[content_kind(path)])
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        _log.info("%s has a header that SimpleITK cannot read: %s", path.name, _said(error, path))
        raise ImageError(
            f"'{path.name}' has a header that cannot be read: a line of it is missing, or a number is not one (NaN). "
            "Export it again; its first lines are text, and can be corrected in an editor."
        ) from error
    return reader


def _check(reader: sitk.ImageFileReader, header: ItkHeader, path: Path) -> None:
    """Raise before memory is taken for what cannot be in the file, does not fit, or is not read."""
    size = reader.GetSize()
    dtype = _numpy_type(reader, path)
    if not 2 <= len(size) <= 4 or min(size) < 1:
        raise ImageError(
            f"'{path.name}' is {' x '.join(map(str, size))} long along its axes; an image has two to four of at least "
            "1: columns, rows, slices, times. Save one volume of it as a file of its own."
        )
    needed = math.prod(size) * reader.GetNumberOfComponents() * dtype.itemsize
    if needed > header.held:
        raise ImageError(
            f"'{path.name}' is said to hold {' x '.join(map(str, size))} voxels, more than its {header.stored} bytes "
            "can. It is incomplete or its header is wrong; copy or export it again."
        )
    check_fits_in_memory(2 * needed, path.name)  # SimpleITK's and NumPy's for a moment
    place = np.array([*reader.GetSpacing(), *reader.GetOrigin(), *reader.GetDirection()])
    broken = not np.isfinite(place).all() or min(reader.GetSpacing()) <= 0 or header.origin_is_broken
    if broken or abs(np.linalg.det(np.reshape(reader.GetDirection(), (len(size), len(size))))) < _FLAT:
        raise ImageError(
            f"Where '{path.name}' lies, or how large its voxels are, is broken in its header (zeros, or not numbers). "
            "Export it again; its first lines are text, and can be corrected in an editor."
        )


def _numpy_type(reader: sitk.ImageFileReader, path: Path) -> np.dtype[np.generic]:
    pixel = sitk.GetPixelIDValueAsString(reader.GetPixelID())  # "vector of 8-bit unsigned integer", ...
    kinds = {"unsigned integer": "u", "signed integer": "i", "float": "f"}
    bits = {"8-bit": "1", "16-bit": "2", "32-bit": "4", "64-bit": "8"}
    for kind, letter in kinds.items():
        for width, count in bits.items():
            if pixel.removeprefix("vector of ").startswith(f"{width} {kind}"):
                return np.dtype(letter + count)
    raise ImageError(
        f"'{path.name}' holds numbers that are not read here ({pixel}); whole and real numbers are. Save its "
        "magnitude, or convert it to 32-bit real numbers."
    )


def _read(reader: sitk.ImageFileReader, path: Path) -> Array:
    try:
        return np.asarray(sitk.GetArrayFromImage(reader.Execute()))
    except RuntimeError as error:
        _log.info("%s cannot be read by SimpleITK: %s", path.name, _said(error, path))
        raise ImageError(
            f"'{path.name}' is damaged or incomplete: its pixels cannot be read to their end, or they are packed in a "
            "way that is not known here (gzip is). Copy or export it again."
        ) from error


def _said(error: Exception, path: Path) -> str:
    """What SimpleITK says, without the folder, which may be called after the patient."""
    return str(error).replace(str(path), path.name)


def _geometry(reader: sitk.ImageFileReader, header: ItkHeader) -> Geometry:
    """Of the file's own array. A plane of two axes lies at S 0, upright."""
    dimension = reader.GetDimension()
    direction = np.reshape(reader.GetDirection(), (dimension, dimension))
    spacing, origin = list(reader.GetSpacing()), list(reader.GetOrigin())
    if dimension == 2:
        upright_plane = np.eye(3)
        upright_plane[:2, :2] = direction
        direction, spacing, origin = upright_plane, [*spacing, spacing[0]], [*origin, 0.0]
    in_mm = header.in_mm
    return Geometry.from_lps(
        [in_mm * length for length in origin[:3]], [in_mm * length for length in spacing[:3]], direction[:3, :3]
    )


def _placed(numbers: Array, axes: str, geometry: Geometry, called: str) -> tuple[Array, Geometry, tuple[str, ...]]:
    """Turn the spatial axes of an array with any axes upright."""
    volume = numbers if "Z" in axes else np.expand_dims(numbers, axes.index("Y"))
    if "C" not in axes:
        volume = volume[..., np.newaxis]
    turned, placed, notices = upright(np.moveaxis(volume, -1, 0), geometry, called)  # (C, ..., Z, Y, X)
    return np.ascontiguousarray(np.moveaxis(turned, 0, -1)).reshape(numbers.shape), placed, notices
