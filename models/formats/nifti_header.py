"""What a NIfTI file says of itself, held against what can be in it, before any memory is taken for it."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt
from nibabel.nifti1 import Nifti1Header, unit_codes
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from ..errors import ImageError
from ..memory import check_fits_in_memory
from ..units import known_time

DEFLATE_AT_BEST = 1032
"""Deflate makes nothing so many times smaller."""

_SHORTEST = 348
"""Bytes of the header of NIfTI-1."""


@dataclass(frozen=True)
class NiftiHeader:
    """A header that can be true.

    Attributes:
        raw: nibabel's.
        shape: lengths of (X, Y, Z, T, C); 1 for those that the file has not.
        dtype: of the stored numbers, in the file's byte order; three or four named fields for colours.
        offset: of the first number, in bytes after decompression.
        compressed: whether the file is gzipped.
    """

    raw: Nifti1Header
    shape: tuple[int, int, int, int, int]
    dtype: npt.DTypeLike
    offset: int
    compressed: bool

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def scaling(self) -> tuple[float, float] | None:
        """Slope and intercept from stored to meant values; None where they are the same."""
        try:
            slope, inter = self.raw.get_slope_inter()
        except HeaderDataError:  # a slope, but an intercept that is no number
            slope, inter = float(self.raw["scl_slope"]), 0.0
        return None if slope is None or (slope, inter) == (1.0, 0.0) else (slope, inter)

    @property
    def window(self) -> tuple[float, float] | None:
        """Values to be shown as black and as white, if the file says so."""
        low, high = float(self.raw["cal_min"]), float(self.raw["cal_max"])
        return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None

    @property
    def time(self) -> tuple[float, str]:
        """Step from frame to frame and its unit, see `time_of`."""
        return time_of(self.raw)


def units(raw: Nifti1Header) -> tuple[str, str]:
    """NIfTI's names of the units of space and time; "unknown" for a code that is none, which spoils not the other."""
    code = int(raw["xyzt_units"])
    space, time = (unit_codes.label.get(part, "unknown") for part in (code & 7, code & 56))
    return str(space), str(time)


def time_of(raw: Nifti1Header) -> tuple[float, str]:
    """Step from frame to frame and its unit, see `MedicalImage`; in no unit where the file names none of time."""
    return known_time(float(raw["pixdim"][4]), units(raw)[1])


def opened(path: Path) -> IO[bytes]:
    """The file's bytes after decompression."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if compressed else path.open("rb")


def read_header(path: Path) -> NiftiHeader:
    """Read the header of a NIfTI-1 or NIfTI-2 file, of either byte order, gzipped or not.

    Raises:
        ImageError: one of a pair of files, no voxels, axes or numbers that are not read, or more than the file holds.
    """
    try:
        with opened(path) as file:
            raw = _parsed(file, path)
    except (EOFError, OSError) as error:
        raise ImageError(
            f"'{path.name}' ends within its header, or is damaged there. Copy or export it again."
        ) from error
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    smallest = raw.sizeof_hdr + 4  # of the format: what the file says of it may be damaged
    stated = float(raw["vox_offset"])
    offset = int(stated) if math.isfinite(stated) and stated > smallest else smallest
    header = NiftiHeader(raw, _shape(raw, path), _dtype(raw, path), offset, compressed)
    _check_holds(header, path)
    return header


def _parsed(file: IO[bytes], path: Path) -> Nifti1Header:
    start = file.read(540)
    file.seek(0)
    if len(start) < _SHORTEST:
        raise EOFError
    if start[344:348] == b"ni1\0" or start[4:8] == b"ni2\0":
        raise ImageError(
            f"'{path.name}' is the header of a pair of NIfTI files (.hdr and .img). Save it as one file that ends in "
            ".nii or .nii.gz; most programs that open the pair do."
        )
    if start[4:8] == b"n+2\0":
        return Nifti2Header.from_fileobj(file, check=False)
    if start[344:348] != b"n+1\0":
        raise ImageError(
            f"'{path.name}' is not NIfTI-1 or NIfTI-2, whatever its ending says; it may be of the older ANALYZE "
            "format. Save it as NIfTI from the program that made it."
        )
    return Nifti1Header.from_fileobj(file, check=False)


def _shape(raw: Nifti1Header, path: Path) -> tuple[int, int, int, int, int]:
    shape = [int(length) for length in raw.get_data_shape()]
    said = " x ".join(map(str, shape))
    if not 1 <= int(raw["dim"][0]) <= 7 or min(shape, default=0) < 1:
        raise ImageError(f"'{path.name}' has no voxels: it is said to be {said or 'empty'}. Export it again.")
    if len(shape) < 2 or max(shape[5:], default=1) > 1:
        raise ImageError(
            f"'{path.name}' is {said} long along its axes; an image has two to five: columns, rows, slices, times, "
            "channels. Save one volume of it as a file of its own."
        )
    x, y, z, t, c = (*shape[:5], 1, 1, 1)[:5]
    return x, y, z, t, c


def _dtype(raw: Nifti1Header, path: Path) -> npt.DTypeLike:
    try:
        dtype = np.dtype(raw.get_data_dtype())
    except (HeaderDataError, KeyError):  # a code that nibabel does not know
        dtype = np.dtype(bool)
    coloured = dtype.names is not None
    if not coloured and (dtype.kind not in "uif" or dtype.itemsize > 8):
        kind = "complex numbers" if dtype.kind == "c" else f"numbers of a kind (code {int(raw['datatype'])})"
        raise ImageError(
            f"'{path.name}' holds {kind} that are not read here; whole and real numbers of up to 64 bits and colours "
            "are. Save its magnitude, or convert it to 32-bit real numbers."
        )
    return dtype


def _check_holds(header: NiftiHeader, path: Path) -> None:
    """Raise before memory is taken for numbers that cannot be in the file, or that do not fit."""
    size = path.stat().st_size
    needed = header.offset + header.nbytes
    holds = size * DEFLATE_AT_BEST if header.compressed else size
    if needed > holds:
        x, y, z, t, c = header.shape
        raise ImageError(
            f"'{path.name}' is said to hold {' x '.join(map(str, (x, y, z, t, c)))} voxels, more than its {size} bytes "
            "can. It is incomplete or its header is wrong; copy or export it again."
        )
    if header.compressed:
        check_fits_in_memory(needed, path.name)
