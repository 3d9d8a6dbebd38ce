"""The text at the beginning of NRRD and MetaImage files: what SimpleITK does not tell, or believes too readily."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError
from ..units import METRES, known_length
from .beside import file_beside

DEFLATE_AT_BEST = 1032
"""Deflate makes nothing so many times smaller."""

_LONGEST = 1 << 20
"""Bytes in which a header ends; those of long lists of files take most."""

_NRRD_PLACE = ("space directions",)
_META_PLACE = ("transformmatrix", "rotation", "orientation", "offset", "origin", "position")


@dataclass(frozen=True)
class ItkHeader:
    """What such a text says.

    Attributes:
        fields: its lines, names in lower case.
        stored: bytes of the file, or files, that hold the pixels.
        packed: whether they are compressed.
    """

    fields: dict[str, str]
    stored: int
    packed: bool

    @property
    def placed(self) -> bool:
        """Whether it says where the image lies."""
        return any(name in self.fields for name in (*_NRRD_PLACE, *_META_PLACE))

    @property
    def named_unit(self) -> str:
        """Unit of its lengths, as it says; "" if it names none, or several."""
        said = self.fields.get("space units") or self.fields.get("units") or self.fields.get("distanceunits", "")
        named = {known_length(1.0, unit)[1] for unit in re.findall(r"[^\s\"]+", said)} - {"pixel"}
        return named.pop() if len(named) == 1 else ""

    @property
    def unit(self) -> str:
        """Unit of its lengths: as it says; else mm, for which both formats stand, or "pixel" without any length."""
        if self.named_unit:
            return self.named_unit
        return "mm" if self.placed or {"elementspacing", "spacings"} & self.fields.keys() else "pixel"

    @property
    def time_unit(self) -> str:
        """As the file spells the unit of its fourth axis; "" where it does not say."""
        named = re.findall(r"\"([^\"]*)\"", self.fields.get("space units") or self.fields.get("units") or "")
        return named[3] if len(named) > 3 else ""

    @property
    def in_mm(self) -> float:
        """What its unit of length is in mm; 1 for "pixel"."""
        return METRES[self.unit] / METRES["mm"] if self.unit in METRES else 1.0

    @property
    def origin_is_broken(self) -> bool:
        """Whether the place of the first voxel is no number; MetaImage readers take 0 for it."""
        said = " ".join(self.fields.get(name, "") for name in ("offset", "origin", "position"))
        return any(not _finite(number) for number in said.split())

    @property
    def held(self) -> int:
        """How many bytes of pixels there can be at most."""
        return self.stored * DEFLATE_AT_BEST if self.packed else self.stored


def read_itk_header(path: Path) -> ItkHeader:
    """Read the text of an NRRD or MetaImage file, and find the files with its pixels, which must lie beside it.

    Raises:
        ImageError: it does not end, or names a file that is missing or in another folder.
    """
    with path.open("rb") as file:
        start = file.read(_LONGEST)
    nrrd = start.startswith(b"NRRD")
    fields, rest = _nrrd_fields(start) if nrrd else _meta_fields(start)
    named = fields.get("data file", fields.get("datafile", "")) if nrrd else fields.get("elementdatafile", "")
    if not nrrd and not named:
        raise ImageError(f"'{path.name}' ends within its header. Copy or export it again.")
    if nrrd:
        packed = fields.get("encoding", "raw").lower() != "raw"
    else:
        packed = fields.get("compresseddata", "").lower() == "true" or fields.get("binarydata", "").lower() == "false"
    local = not named or named.upper() == "LOCAL"
    files = [path] if local else [_there(path, name) for name in _names(named, rest)]
    return ItkHeader(fields, sum(file.stat().st_size for file in files), packed)


def _nrrd_fields(start: bytes) -> tuple[dict[str, str], list[str]]:
    """Fields, and the lines that follow on "data file: LIST"."""
    fields: dict[str, str] = {}
    lines = _lines(start)
    for at, line in enumerate(lines[1:], 2):
        if not line.strip():
            break
        name, colon, value = line.partition(": ")
        if colon and not line.startswith("#") and ":=" not in line:
            fields[name.strip().lower()] = value.strip()
            if name.strip().lower() in ("data file", "datafile") and value.startswith("LIST"):
                return fields, [line.strip() for line in lines[at:] if line.strip()]
    return fields, []


def _meta_fields(start: bytes) -> tuple[dict[str, str], list[str]]:
    """Fields up to ElementDataFile, and the lines after it, which are names of files on "LIST"."""
    fields: dict[str, str] = {}
    lines = _lines(start)
    for at, line in enumerate(lines, 1):
        name, _, value = line.partition("=")
        fields[name.strip().lower()] = value.strip()
        if name.strip().lower() == "elementdatafile":
            return fields, [line.strip() for line in lines[at:] if line.strip()] if "LIST" in value else []
    return fields, []


def _lines(start: bytes) -> list[str]:
    """Lines of text, after which there may be pixels."""
    return [line.rstrip(b"\r").decode(errors="surrogateescape") for line in start.split(b"\n")]


def _names(named: str, rest: list[str]) -> list[str]:
    """Names of files out of a name, a pattern with a range ("a%03d.raw 1 10 1"), or a list."""
    if named.upper().startswith("LIST"):
        return rest
    pattern = re.fullmatch(r"(.*%\d*d\S*)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)(?:\s+\d+)?", named)
    if pattern is None:
        return [named]
    form, first, last, step = pattern.group(1), *(int(number) for number in pattern.group(2, 3, 4))
    numbers = range(first, last + (1 if step > 0 else -1), step or 1)
    return [form % number for number in numbers[:100_000]]


def _there(path: Path, name: str) -> Path:
    file = file_beside(path, name)
    if not file.is_file():
        raise ImageError(
            f"The pixels of '{path.name}' are in a file of their own, '{name}', which is missing. Copy both into one "
            "folder."
        )
    return file


def _finite(number: str) -> bool:
    try:
        return math.isfinite(float(number))
    except ValueError:
        return False
