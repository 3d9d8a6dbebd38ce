"""Sample images that come with the package; LICENSES.md beside them says whose they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from napari_medseg.models.errors import ImageError
from napari_medseg.models.image import Array, MedicalImage
from napari_medseg.models.reading import read_image, read_mask

KINDS = ("fluorescence", "histology", "brightfield", "ultrasound")
"""What `samples` can be asked for."""

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """A real image and the mask that people drew on it.

    Attributes:
        file: name of the image in this folder.
        mask_file: name of its mask.
        kind: one of `KINDS`.
        title: what is to be seen.
        source_id: the image's name at its source.
        licence: "CC0 1.0" or "CC BY 4.0"; LICENSES.md has the attribution that goes with it.
        split: "training" or "validation": where the shipped networks have it from.
    """

    file: str
    mask_file: str
    kind: str
    title: str
    source_id: str
    licence: str
    split: str

    def image(self) -> MedicalImage:
        """The pixels, (Y, X) or (Y, X, 3), uint8; spacing unknown; named after the title."""
        image = read_image(_FOLDER / self.file)
        return MedicalImage(image.data, image.axes, image.spacing, image.unit, name=self.title)

    def mask(self) -> Array:
        """Labels, (Y, X): 0 is background; one number a nucleus, or 1 for a fetal head."""
        return read_mask(_FOLDER / self.mask_file)


def samples(kind: str | None = None) -> list[Sample]:
    """All samples, or those of one of `KINDS`, in a fixed order.

    Raises:
        ImageError: there is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise ImageError(f"There are no samples of kind {kind!r}; there are {', '.join(KINDS)}.")
    return [sample for sample in _all() if kind in (None, sample.kind)]


@cache
def _all() -> tuple[Sample, ...]:
    listed = json.loads((_FOLDER / "index.json").read_text(encoding="utf-8"))["samples"]
    return tuple(Sample(mask_file=entry.pop("mask"), **entry) for entry in listed)
