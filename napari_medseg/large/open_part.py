"""A part of a large image that is open for correction, and how it is put back. For any thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels

from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.mask_copy import store_on

from ..editing.identity import identity_of
from ..image_layers import LARGE, mask_shape, without_pixels
from ..masks import Mask
from .folder import MaskFolder, new_folder
from .layers import part_settings
from .part import Box

FRAME = "#ffd34d"


@dataclass(eq=False)
class LargeMask:
    """The mask of a large image.

    Attributes:
        image: whose; the layer that stands for all of its channels.
        folder: where it is on the disk.
        store: its labels.
        layer: that shows them.
        instead_of: where the mask is that was there before, if it was kept; None if it was not, or there was none.
    """

    image: Image
    folder: MaskFolder
    store: LabelStore
    layer: Labels
    instead_of: Path | None = None


@dataclass(eq=False)
class Part:
    """A part of a large image that is open for correction.

    Attributes:
        of: the mask of the whole.
        box: where the part is, at full size.
        images: a layer for each channel, the first one the image of the mask that is corrected.
        before: the labels that the store has there.
        shown: whether all its layers are there, so that it can be corrected.
        reopened: whether it is open since an earlier window left it open.
        offered: whether corrections that were kept of it are on offer.
        closing: whether it is being put back.
        afterwards: what to call when it is closed, and what if it stays open.
    """

    of: LargeMask
    box: Box
    images: list[Image]
    before: npt.NDArray[Any]
    reopened: bool = False
    shown: bool = False
    offered: bool = False
    closing: bool = False
    afterwards: list[tuple[Callable[[], None], Callable[[], None]]] = field(default_factory=list)

    def stays(self) -> None:
        """It was not put back: say so to whoever waits for that."""
        self.closing = False
        waiting, self.afterwards = self.afterwards, []
        for _, failed in waiting:
            failed()


def mask_to_correct(part: Part) -> Mask:
    """The mask of a part as it is in the mask of the whole; its frame is to be made visible."""
    folder, name = part.of.folder, f"{part.of.image.name} part mask"
    untouched = folder.model is not None and not any(meet(part.box, box) for box in folder.edited)
    labels = Labels(np.array(part.before), name=name, **part_settings(part.of.image, part.box))
    frame = labels.bounding_box
    frame.points, frame.line_color = False, FRAME
    return Mask(part.images[0], labels, part.before if untouched else None, folder.model if untouched else None)


def begun(project: Path, image: Image) -> tuple[MaskFolder, LabelStore]:
    """An empty mask for whoever draws without a model."""
    folder = new_folder(project, identity_of(image, LARGE), mask_shape(image), None, "")
    return folder, store_on(folder.labels, without_pixels(image), durable=True)


def put_back(part: Part, labels: npt.NDArray[Any], *, objects: bool) -> None:
    """First the labels, then that nothing is open: whoever dies in between opens the part again, with its journal.

    The labels are on the disk by then, since the journal goes next.

    Objects that were begun in the part get numbers that no other object of the whole mask has.
    """
    folder = part.of.folder
    if not np.array_equal(labels, part.before):
        there = np.unique(labels)
        largest = part.of.store.largest() if folder.largest is None else folder.largest
        folder.largest = largest
        if objects:
            new = np.setdiff1d(there, np.unique(part.before))
            new = new[new > 0]
            labels = _renumbered(labels, new, np.arange(largest + 1, largest + 1 + len(new)))
            folder.largest += len(new)
        else:
            folder.largest = max(largest, int(there[-1]))
        part.of.store.write(part.box, labels)
        part.before = labels
        folder.written += 1
        if part.box not in folder.edited:
            folder.edited.append(part.box)
    folder.patch = part.box if part.offered else None  # what is on offer is offered again
    folder.note()


def _renumbered(labels: npt.NDArray[Any], old: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not len(old):
        return labels
    where = np.searchsorted(old, labels).clip(0, len(old) - 1)
    return np.where(old[where] == labels, new[where], labels).astype(
        np.result_type(labels, np.min_scalar_type(new[-1]))
    )


def meet(one: Box, other: Box) -> bool:
    """Whether two parts have pixels in common."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))
