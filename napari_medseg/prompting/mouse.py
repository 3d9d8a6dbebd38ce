"""The mouse while a tool is up: what it does on the canvas belongs to the tool, and the view can still be moved."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

JITTER = 4.0
"""Pixels of the screen that the mouse may move in a click; if it moves farther, the view is moved."""

LEFT, RIGHT = 1, 2


@dataclass(frozen=True)
class Press:
    """Where and how the mouse was pressed.

    Attributes:
        world: position in napari's world.
        positive: whether it was the left button, without Alt.
        removing: whether Ctrl was held: what is clicked on shall go.
    """

    world: Sequence[float]
    positive: bool = True
    removing: bool = False


class Mouse:
    """Takes the canvas from napari for a tool, and gives it back.

    Double clicks count as two clicks, and Alt means "not the object", so napari's own use of both rests meanwhile. The
    wheel zooms as ever; with the space bar held, or in a click that turns into a pull, the mouse moves the view.

    Args:
        viewer: napari's.
        pressed: called when the button goes down for what may become a click.
        clicked: called for a click, with what `pressed` was called with.
        begun: called when a pull begins; False if there is nothing to pull.
        moved: called with the position in the world, while it is pulled.
        ended: called when it ends.
    """

    def __init__(
        self,
        viewer: Any,
        pressed: Callable[[Press], None],
        clicked: Callable[[Press], None],
        begun: Callable[[Press], bool],
        moved: Callable[[Sequence[float]], None],
        ended: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._foreseen, self._clicked, self._begun, self._moved, self._ended = pressed, clicked, begun, moved, ended
        self._clicks = False
        self._moving_view = False
        self._resting: dict[str, list[Any]] = {}
        self._help = ""

    def take(self, *, clicks: bool, how: str) -> None:
        """Have the mouse from now on.

        Args:
            clicks: whether the tool clicks, or pulls.
            how: what to do, for napari's status bar.
        """
        self._clicks = clicks
        viewer = self._viewer
        if not self._resting:
            for name, ours in (("mouse_drag_callbacks", self._pressed), ("mouse_double_click_callbacks", self._again)):
                callbacks = getattr(viewer, name)
                self._resting[name] = [one for one in callbacks if one.__module__.startswith("napari.")]
                callbacks[:] = [*(one for one in callbacks if one not in self._resting[name]), ours]
            viewer.bind_key("Space", self._hold_view, overwrite=True)
            viewer.layers.selection.events.active.connect(self._show_cursor)
            self._help = viewer.help
        viewer.help = how
        self._show_cursor()

    def give_back(self) -> None:
        """Let napari have the mouse again."""
        if not self._resting:
            return
        viewer = self._viewer
        for name, resting in self._resting.items():
            callbacks = getattr(viewer, name)
            callbacks[:] = [*resting, *(one for one in callbacks if one not in (self._pressed, self._again))]
        self._resting = {}
        viewer.bind_key("Space", None)
        viewer.layers.selection.events.active.disconnect(self._show_cursor)
        active = viewer.layers.selection.active
        viewer.help, viewer.cursor.style = self._help, "standard" if active is None else active.cursor

    def _show_cursor(self, event: Any = None) -> None:
        self._viewer.cursor.style = "crosshair"

    def _hold_view(self, viewer: Any) -> Generator[None, None, None]:
        """While the key is held."""
        self._moving_view, viewer.cursor.style = True, "standard"
        yield
        self.let_view_go()

    def let_view_go(self) -> None:
        """The key is held no more, or nobody would hear of its release."""
        self._moving_view = False
        if self._resting:
            self._show_cursor()

    def _again(self, viewer: Any, event: Any) -> None:
        """The second press of a double click."""
        if self._clicks and event.button in (LEFT, RIGHT) and not self._moving_view:
            event.handled = True
            self._clicked(_press(event))

    def _pressed(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        if self._moving_view or event.button not in (LEFT, RIGHT):
            return
        press, pressed_at = _press(event), tuple(event.pos)
        if self._clicks or press.removing:
            yield from self._click(event, press, pressed_at)
        elif self._begun(press):
            yield from self._pull(event)

    def _click(self, event: Any, press: Press, pressed_at: Sequence[float]) -> Generator[None, None, None]:
        """A click, or a pull that moves the view.

        The view is moved here and not by napari, which at each press would draw the scene once to see what was hit and
        once more to show it, and which would move the view along with the trembling of a hand.
        """
        event.handled = True
        pulled, taken = False, self._resting
        self._foreseen(press)
        yield
        while event.type == "mouse_move":
            event.handled = True
            pulled = pulled or math.dist(pressed_at, event.pos) > JITTER
            if pulled:
                self._move_view(press.world, event.position)
            yield
        event.handled = True
        meant = self._resting is taken and (self._clicks or press.removing)  # not put down, or changed, meanwhile
        if meant and not pulled and math.dist(pressed_at, event.pos) <= JITTER:
            self._clicked(press)

    def _move_view(self, held: Sequence[float], at: Sequence[float]) -> None:
        """Bring the place in the world that is held back under the mouse."""
        camera, shown = self._viewer.camera, self._viewer.dims.displayed
        away = [at[axis] - held[axis] for axis in shown]
        center = list(camera.center)
        center[-len(away) :] = [middle - by for middle, by in zip(center[-len(away) :], away, strict=True)]
        camera.center = tuple(center)

    def _pull(self, event: Any) -> Generator[None, None, None]:
        event.handled = True  # or the view would move along
        yield
        while event.type == "mouse_move":
            event.handled = True
            self._moved(event.position)
            yield
        event.handled = True
        self._moved(event.position)
        self._ended()


def _press(event: Any) -> Press:
    positive = event.button == LEFT and "Alt" not in event.modifiers
    return Press(tuple(event.position), positive, "Control" in event.modifiers)
