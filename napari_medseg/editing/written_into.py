"""What somebody wrote into a mask's array himself, of which napari tells nobody, is found out beside the window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..background import Background
from ..masks import Mask
from .boxes import Array
from .keeping import Keeping
from .packing import Packed

_SOON = 1.0
"""Seconds after which it is looked again if the mask was changed by what we know of meanwhile."""


class WrittenInto:
    """Compares masks with what the journal knows of them.

    Args:
        keeping: the way to the journal.
        background: the way back.
        drawing: tells whether a stroke is being drawn on a mask that is not noted yet.
        found: called with a mask, and with what was written into it.
    """

    def __init__(
        self,
        keeping: Keeping,
        background: Background,
        drawing: Callable[[Mask], bool],
        found: Callable[[Mask, list[Packed]], None],
    ) -> None:
        self._keeping, self._background, self._drawing, self._found = keeping, background, drawing, found
        self._looking: dict[Mask, bool] = {}  # at which masks; whether that has to be done again

    def look(self, mask: Mask) -> None:
        """Look at a mask; what is found is told soon. Costs the window's thread nothing."""
        array = mask.layer.data
        if not isinstance(array, np.ndarray):
            return
        if mask in self._looking:
            self._looking[mask] = True
            return
        self._looking[mask] = False
        changes = mask.changes

        def compared(written: list[Packed]) -> None:
            self._background.post(lambda: self._tell(mask, array, changes, written))

        self._keeping.compare(mask, array, compared)

    def _tell(self, mask: Mask, array: Array, changes: int, written: list[Packed]) -> None:
        again = self._looking.pop(mask)
        if written and mask.layer.data is array:
            if mask.changes != changes or self._drawing(mask):  # it may have been that
                self._background.post_after(_SOON, lambda: self.look(mask))
            else:
                self._found(mask, written)
        if again:
            self.look(mask)
