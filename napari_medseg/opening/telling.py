"""What is found out about an image only while it is looked at, such as damaged frames, is told when it is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..state import PanelState


class Telling:
    """Asks anew each time that the chosen image shows other pixels.

    Args:
        state: what the panel shows.
        tell: called then.
    """

    def __init__(self, state: PanelState, tell: Callable[[], None]) -> None:
        self._state, self._tell = state, tell
        self._image: Any = None
        state.events.image.connect(self._follow)
        self._follow()

    def close(self) -> None:
        """Follow nothing any more."""
        self._state.events.image.disconnect(self._follow)
        self._let_go()

    def _follow(self) -> None:
        self._let_go()
        self._image = self._state.image
        if self._image is not None:
            self._image.events.set_data.connect(self._shown)

    def _let_go(self) -> None:
        if self._image is not None:
            self._image.events.set_data.disconnect(self._shown)
        self._image = None

    def _shown(self) -> None:
        self._tell()
