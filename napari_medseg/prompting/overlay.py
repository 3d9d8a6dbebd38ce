"""Prompts, drawn over the image: green on the object, red beside it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from napari.layers import Points, Shapes

from napari_medseg.models.prompts.prompts import Box, Lasso, Point, Position, Prompt, Scribble

from ..image_layers import METADATA_KEY, mask_layer_settings, noted_of
from ..on_top import draw_over
from .aiming import Plane, canvas_pixels

POSITIVE, NEGATIVE = "#43e07f", "#ff5f57"
"""Colours; shapes tell the same to those who cannot tell these apart."""

POINT = 9.0
"""Diameter of a click, in pixels of the screen; napari adds half of it as the border, which has the colour."""

LINE = 1.5
"""Width of the outline of a box or a lasso, in pixels of the screen."""


class Overlay:
    """Two layers of the panel's own, on top, that cannot be selected; there while they are wanted.

    Args:
        viewer: napari's.
        post: has a function called soon.
    """

    def __init__(self, viewer: Any, post: Callable[[Callable[[], None]], None]) -> None:
        self.viewer, self._post = viewer, post
        self._image: Any = None
        self._points: Points | None = None
        self._lines: Shapes | None = None
        self._active: Callable[[], Any] = _nothing  # the layer that was selected last, of the user's own, if it lives
        self._shown_points: list[Point] = []
        self._shown_lines: list[Prompt] = []
        viewer.layers.selection.events.active.connect(self._selected)
        viewer.camera.events.zoom.connect(self._zoomed)
        viewer.dims.events.connect(self._size_points)

    def close(self) -> None:
        """Take the layers away, and look no more."""
        self.hide()
        self.viewer.layers.selection.events.active.disconnect(self._selected)
        self.viewer.camera.events.zoom.disconnect(self._zoomed)
        self.viewer.dims.events.disconnect(self._size_points)
        self.viewer = None

    def owns(self, layer: Any) -> bool:
        """Whether a layer is one of these, also while it is just being added."""
        return isinstance(layer, Points | Shapes) and bool(noted_of(layer).get("overlay"))

    def hide(self) -> None:
        """Take the layers away."""
        for layer in (self._points, self._lines):
            if layer is not None and layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        self._image = self._points = self._lines = None
        self._shown_points, self._shown_lines = [], []

    def show(self, image: Any, prompts: Sequence[Prompt]) -> None:
        """Draw these prompts over an image, each on its plane."""
        if image is not self._image:
            self.hide()
            self._image = image
        points = [prompt for prompt in prompts if isinstance(prompt, Point)]
        lines: list[Prompt] = [prompt for prompt in prompts if not isinstance(prompt, Point)]
        if self._points is None or self._points not in self.viewer.layers:
            self._points, self._shown_points = self._added(_new_points(image)), []
        if lines and (self._lines is None or self._lines not in self.viewer.layers):
            self._lines, self._shown_lines = self._added(_new_lines(image)), []
        if points != self._shown_points:
            shown, self._shown_points = self._shown_points, points
            _draw_points(self._points, points, shown)
            self._size_points()
        if lines != self._shown_lines:
            self._shown_lines = lines
            _draw_lines(self._lines, lines, self._line_width())

    def _added(self, layer: Any) -> Any:
        draw_over(self.viewer, layer)
        return layer

    def _selected(self, event: Any) -> None:
        if self.owns(event.value):
            self._post(self._select_the_users)  # not at once: napari is in the middle of it
        elif event.value is not None:  # which it is for a moment, on the way from one to another
            self._active = weakref.ref(event.value)

    def _select_the_users(self) -> None:
        if self.viewer is None:
            return
        layers = self.viewer.layers
        active = self._active()
        if self.owns(layers.selection.active) and active in layers:
            layers.selection.active = active

    def _size_points(self, event: Any = None) -> None:
        """Where no point is shown napari draws one of size 0 in the corner, which must not be made larger."""
        layer, dims = self._points, self.viewer.dims
        if layer is None or layer not in self.viewer.layers:
            return
        beyond, at = dims.ndim - layer.ndim, np.round(layer.world_to_data(dims.point))
        hidden = [axis - beyond for axis in dims.not_displayed if axis >= beyond]
        here = bool((np.round(layer.data[:, hidden]) == at[hidden]).all(axis=1).any())
        limits = (POINT if here else 0.0, POINT)
        if tuple(layer.canvas_size_limits) != limits:
            layer.canvas_size_limits = limits

    def _line_width(self) -> float:
        return LINE / max(canvas_pixels(self.viewer, self._image), 1e-6)

    def _zoomed(self) -> None:
        """Lines are as wide on the screen as before; scribbles are as wide as what they say."""
        if self._lines is None or self._lines not in self.viewer.layers:
            return
        widths = _widths(self._shown_lines, self._line_width())
        if widths and not np.allclose(widths, self._lines.edge_width, rtol=0.2):
            self._lines.edge_width = widths


def _nothing() -> None:
    """No layer was selected yet."""


def nearest(prompts: Sequence[Prompt], at: Position, plane: Plane, reach: float) -> int | None:
    """Number of the prompt that is drawn nearest to a position, the newest of several; None if none is within reach.

    Args:
        prompts: all of them.
        at: row and column.
        plane: only prompts on this one count.
        reach: pixels of the image.
    """
    found: tuple[float, int] | None = None
    for number, prompt in enumerate(prompts):
        if prompt.plane == plane and (distance := _distance(prompt, at)) <= reach:
            found = min(found or (math.inf, 0), (distance, -number))
    return None if found is None else -found[1]


def _distance(prompt: Prompt, at: Position) -> float:
    """Pixels from a position to the line that is drawn for a prompt."""
    path = np.asarray(prompt.path, float)
    if len(path) == 1:
        return math.dist(path[0], at)
    starts, ends = path, np.roll(path, -1, 0)
    if isinstance(prompt, Scribble):
        starts, ends = path[:-1], path[1:]
    along = ends - starts
    share = ((np.asarray(at) - starts) * along).sum(1) / np.maximum((along**2).sum(1), 1e-12)
    feet = starts + np.clip(share, 0, 1)[:, np.newaxis] * along
    return float(np.hypot(*(feet - at).T).min())


def _settings(image: Any) -> dict[str, Any]:
    return mask_layer_settings(image) | {"metadata": {METADATA_KEY: {"overlay": True}}}


def _new_points(image: Any) -> Points:
    layer = Points(
        np.zeros((0, image.ndim)),
        name="prompts",
        ndim=image.ndim,
        size=1,
        canvas_size_limits=(POINT, POINT),
        face_color="white",
        **_settings(image),
    )
    layer.editable = False
    return layer


def _new_lines(image: Any) -> Shapes:
    layer = Shapes(name="prompt lines", ndim=image.ndim, **_settings(image))
    layer.editable = False
    return layer


def _draw_points(layer: Points, prompts: Sequence[Point], shown: Sequence[Point]) -> None:
    """Draw points where `shown` are drawn; each thing that is set anew has napari make all of the layer anew.

    The viewer is not told of the data, or it would look twice how large the world is now: prompts lie in the image.
    """
    colours = [POSITIVE if prompt.positive else NEGATIVE for prompt in prompts]
    symbols = ["disc" if prompt.positive else "square" for prompt in prompts]
    one_more = bool(prompts) and prompts[:-1] == shown
    if one_more:  # what is added to the data is drawn with these
        layer.current_border_color, layer.current_symbol = colours[-1], symbols[-1]
    with layer.events.data.blocker():
        layer.data = np.array([(*prompt.plane, *prompt.at) for prompt in prompts]).reshape(-1, layer.ndim)
    if not one_more and prompts != shown[: len(prompts)]:
        layer.border_color, layer.symbol = colours, symbols


def _draw_lines(layer: Shapes, prompts: Sequence[Prompt], width: float) -> None:
    """Draw lines instead of those that are there; as for points, the viewer is not told."""
    layer.selected_data = set()
    with layer.events.data.blocker():
        layer.data = []
        if prompts:
            layer.add(
                [np.array([(*prompt.plane, *at) for at in _corners(prompt)]) for prompt in prompts],
                shape_type=["polygon" if isinstance(prompt, Box | Lasso) else "path" for prompt in prompts],
                edge_width=_widths(prompts, width),
                edge_color=[POSITIVE if prompt.positive else NEGATIVE for prompt in prompts],
                face_color="transparent",
            )


def _widths(prompts: Sequence[Prompt], width: float) -> list[float]:
    return [prompt.width if isinstance(prompt, Scribble) else width for prompt in prompts]


def _corners(prompt: Prompt) -> Sequence[Position]:
    """A line needs two corners at least."""
    path = prompt.path
    return path if len(path) > 1 else (path[0], (path[0][0], path[0][1] + 0.01))
