"""Whatever image is chosen, its events and no other's are heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..state import PanelState


class ChosenImage:
    """Follows the chosen image from one layer to the next.

    Args:
        state: what the panel shows.
        names: of the layer's events.
        happened: called at each of them.
        chosen: called with each image that is chosen, now too; with None for none.
    """

    def __init__(
        self,
        state: PanelState,
        names: Sequence[str],
        happened: Callable[[], None],
        chosen: Callable[[Any], object] = lambda image: None,
    ) -> None:
        self._state, self._names, self._happened, self._chosen = state, names, happened, chosen
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
        self._chosen(self._image)
        for event in self._events():
            event.connect(self._heard)

    def _let_go(self) -> None:
        for event in self._events():
            event.disconnect(self._heard)
        self._image = None

    def _events(self) -> list[Any]:
        return [] if self._image is None else [getattr(self._image.events, name) for name in self._names]

    def _heard(self) -> None:
        self._happened()
