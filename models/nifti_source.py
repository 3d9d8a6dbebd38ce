"""What the header of a NIfTI file says of space and time, word for word, so that a mask of it can say the same.

`Geometry` and spacing are what it means, in mm. There are several ways to say that, and programs read one or the other.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    def mask_shape(self) -> tuple[int, ...]:
        """Lengths of the axes of a mask's file: the source's, without channels and a time that only fills their gap."""
        if all(length == 1 for length in self.shape[4:]):
            return self.shape
        return self.shape[: 4 if self.shape[3] > 1 else 3]

    def write_into(self, raw: Any) -> None:
        """Have nibabel's header of a mask say the same."""
        for name, value in self.fields.items():
            raw[name] = value
