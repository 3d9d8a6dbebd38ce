"""Where the labels of the shown volume lie, kept from tool to tool while the mask is worked on."""

from __future__ import annotations

from napari_medseg.models.mask_tools import LabelBoxes, Region

from ..masks import Mask
from .place import Place


class KeptBoxes:
    """The boxes of one place, the last one that was asked for.

    They follow every change that `Editing` tells of; nothing else may write into a mask.
    """

    def __init__(self) -> None:
        self._place: Place | None = None
        self._boxes: LabelBoxes | None = None

    def of(self, place: Place) -> LabelBoxes | None:
        """The boxes of a volume's labels; None for a plane, which is looked through in no time."""
        if place.across is None:
            return None
        known = self._place
        if self._boxes is None or known is None or known.data is not place.data or known.index != place.index:
            self._place, self._boxes = place, LabelBoxes(place.pixels)
        return self._boxes

    def changed(self, mask: Mask, region: Region) -> None:
        """Pixels of a region of a mask are different now, or its layer has another array."""
        place = self._place
        if place is None or self._boxes is None or mask is not place.mask:
            return
        if mask.layer.data is not place.data:
            self.forget()
        elif (reached := place.reach(region)) is not None:
            self._boxes.changed(reached)

    def forget(self) -> None:
        """Hold no array any more."""
        self._place = self._boxes = None
