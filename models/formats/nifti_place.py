"""Where a NIfTI file says that its voxels lie: in the sform, else the qform, else nowhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.spatialimages import HeaderDataError

from ..errors import ImageError
from ..geometry import Affine, Geometry
from .nifti_header import units

_MM = {"mm": 1.0, "micron": 1e-3, "meter": 1e3, "unknown": 1.0}
"""What the unit of a place is in mm; scanners that do not name it mean mm."""

_UNITS = {"mm": "mm", "micron": "um", "meter": "m", "unknown": "pixel"}

_AGREE_MM = 1e-3
"""Origins further apart are not one origin that was rounded."""

_AGREE = 2e-3
"""A qform turns by up to 1.2e-3 too much or too little: its quaternion has 24 bits, and lacks one of four parts."""


@dataclass(frozen=True)
class NiftiPlace:
    """Where voxels lie and how far apart they are.

    Attributes:
        geometry: of the file's own array; None if the file does not say.
        spacing: along Z, Y, X.
        unit: of `spacing`; "mm" where there is a geometry.
        notices: what the user has to know.
    """

    geometry: Geometry | None
    spacing: tuple[float, float, float]
    unit: str
    notices: tuple[str, ...]


def place(raw: Nifti1Header) -> NiftiPlace:
    """What a header says of the place: nibabel's choice, which is the sform if its code is not 0, then the qform.

    One that is broken (zeros, NaN, flat) is passed over with a notice. Without any the spacing is that of pixdim, and
    the image has no place; its unit is then "pixel" if the file names none.
    """
    in_mm = _MM[_spatial_unit(raw)]
    said = {"sform": _sform(raw), "qform": _qform(raw)}
    good = {name: found for name, affine in said.items() if (found := _geometry(affine, in_mm)) is not None}
    broken = [name for name, affine in said.items() if affine is not None and name not in good]
    notices = [f"The file's {name} is broken (zeros, or not numbers) and was not used." for name in broken]
    if not good:
        return _without_place(raw, tuple(notices), broken=bool(broken))
    if len(good) == 2 and (off := _apart(good["sform"], good["qform"], raw.get_data_shape()[:3][::-1])) > 0:
        notices.append(
            f"The file says twice where it lies, and its sform and qform are {off:.3g} mm apart. The sform is used, as "
            "most programs do; one that uses the qform shows masks in another place."
        )
    geometry = next(iter(good.values()))
    return NiftiPlace(geometry, geometry.spacing, "mm", tuple(notices))


def _apart(sform: Geometry, qform: Geometry, shape: Sequence[int]) -> float:
    """How far the corners of a volume, whose Z, Y, X are `shape` long, are apart in mm; 0 for nothing but rounding."""
    between = sform.affine - qform.affine
    turned = np.linalg.norm(between[:3, :3], axis=0) / sform.spacing
    if np.linalg.norm(between[:3, 3]) <= _AGREE_MM and turned.max() <= _AGREE:
        return 0.0
    lengths = (*(1,) * (3 - len(shape)), *shape)
    corners = np.array([(*index, 1) for index in np.ndindex(2, 2, 2)]) * (*(n - 1 for n in lengths), 1)
    return float(np.linalg.norm(corners @ between.T, axis=1).max())


def _spatial_unit(raw: Nifti1Header) -> str:
    unit = units(raw)[0]
    return unit if unit in _MM else "unknown"


def _sform(raw: Nifti1Header) -> Affine | None:
    return np.asarray(raw.get_sform(), np.float64) if int(raw["sform_code"]) > 0 else None


def _qform(raw: Nifti1Header) -> Affine | None:
    if int(raw["qform_code"]) <= 0:
        return None
    raw = raw.copy()
    raw["pixdim"][1:4] = np.abs(raw["pixdim"][1:4])  # as all programs take lengths below 0; flips are in the rotation
    try:
        with np.errstate(all="ignore"):
            return np.asarray(raw.get_qform(), np.float64)
    except (HeaderDataError, ValueError):  # no quaternion of length 1
        return np.full((4, 4), np.nan)


def _geometry(affine: Affine | None, in_mm: float) -> Geometry | None:
    if affine is None:
        return None
    try:
        return Geometry.from_ras(np.diag([in_mm, in_mm, in_mm, 1.0]) @ affine)
    except ImageError:
        return None


def _without_place(raw: Nifti1Header, notices: tuple[str, ...], *, broken: bool) -> NiftiPlace:
    lost = "Where it lies in the patient " + ("cannot be told" if broken else "is not in the file")
    x, y, z = (abs(float(length)) for length in raw["pixdim"][1:4])
    if int(raw["dim"][0]) < 3 or (int(raw["dim"][3]) == 1 and not 0 < z < math.inf):
        z = x  # one slice, of which many programs say no thickness
    if not all(0 < length < math.inf for length in (x, y, z)):
        again = f"{lost}, and its voxel sizes are broken; lengths are in pixels. Export it again to measure in mm."
        return NiftiPlace(None, (1.0, 1.0, 1.0), "pixel", (*notices, again))
    unit = _UNITS[_spatial_unit(raw)]
    if broken and unit == "pixel":
        unit = "mm"  # a scanner's file, as its broken place shows
    known = f"voxels are {x:.4g} x {y:.4g} x {z:.4g} {unit}" if unit != "pixel" else "lengths are in pixels"
    return NiftiPlace(None, (z, y, x), unit, (*notices, f"{lost}; {known}."))
