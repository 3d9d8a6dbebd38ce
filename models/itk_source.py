"""What the header of an NRRD or MetaImage file says that ITK's programs compare, whatever it means: for its masks."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class ItkSource:
    """A header's own words.

    Attributes:
        unit: of its lengths: "m", "mm", "um", ...; "" if the file names none.
        begin: of time, the fourth axis, in the image's `time_unit`; 0 without.
    """

    unit: str = ""
    begin: float = 0.0

    @property
    def written(self) -> str:
        """The unit to write lengths in; those of a file that names none are in mm."""
        return self.unit or "mm"

    def from_frame(self, first: int, count: int, step: float) -> ItkSource:
        """What the header would say of `count` frames from the `first` on, which are `step` of time apart."""
        return replace(self, begin=self.begin + first * step)
