"""What the header of a NIfTI file says of space and time, word for word, so that a mask of it can say the same.

`Geometry` and spacing are what it means, in mm. There are several ways to say that, and programs read one or the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

FIELDS = (
    "pixdim",
    "xyzt_units",
    "toffset",
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
)
"""Those of the header that say where voxels lie in space and time, and in which units; none of them names anybody."""


@dataclass(frozen=True, eq=False)
class NiftiSource:
    """A header's own words.

    Attributes:
        shape: lengths of the file's axes (X, Y, Z, T, C, ...), as many as it has; those of length 1 count.
        fields: values of `FIELDS`.
        version: 1 or 2; NIfTI-2 has places in 64 bits.
    """

    shape: tuple[int, ...]
    fields: dict[str, npt.NDArray[Any]]
    version: int = 1

    @classmethod
    def of(cls, raw: Any) -> NiftiSource:
        """Out of nibabel's header."""
        shape = tuple(int(length) for length in raw.get_data_shape())
        fields = {name: np.array(raw[name]).astype(raw[name].dtype.newbyteorder("=")) for name in FIELDS}
        return cls(shape, fields, 2 if int(raw["sizeof_hdr"]) == 540 else 1)

    @property
    def unit(self) -> str:
        """The unit of lengths: "m", "mm" or "um"; "" if the file names none."""
        return {1: "m", 2: "mm", 3: "um"}.get(int(self.fields["xyzt_units"]) & 7, "")

    @property
    def begin(self) -> float:
        """Of time, the fourth axis, in s, or in its own unit if that is none of time; 0 if the file says no number."""
        said = float(self.fields["toffset"])
        seconds = {8: 1.0, 16: 1e-3, 24: 1e-6}.get(int(self.fields["xyzt_units"]) & 56, 1.0)
        return said * seconds if math.isfinite(said) else 0.0

    def from_frame(self, first: int, count: int, step: float) -> NiftiSource:
        """What the header would say of `count` frames from the `first` on; the step of time is the header's own."""
        toffset = self.fields["toffset"]
        begin = (toffset + first * self.fields["pixdim"][4]).astype(toffset.dtype)
        return replace(self, shape=(*self.shape[:3], count, *self.shape[4:]), fields=self.fields | {"toffset": begin})

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Lengths of the axes of a mask's file: the source's, without channels and a time that only fills their gap."""
        if all(length == 1 for length in self.shape[4:]):
            return self.shape
        return self.shape[: 4 if self.shape[3] > 1 else 3]

    def write_into(self, raw: Any) -> None:
        """Have nibabel's header of a mask say the same."""
        for name, value in self.fields.items():
            raw[name] = value
