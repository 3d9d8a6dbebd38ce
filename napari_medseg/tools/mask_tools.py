"""The mask tools as the user has them: picked, run, told where by clicks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from napari_medseg.models.errors import MedSegError
from napari_medseg.models.image import PLANE_CALLED
from napari_medseg.models.mask_tools import MaskToolError

from ..background import Background
from ..editing import Editing
from ..image_layers import axes_of
from ..masks import Mask, Masks
from ..on_top import check_seen, reveal
from ..state import PanelState
from .brightness import LimitedBrush, shown_brightness
from .catalogue import TOOLS, Tool
from .clicking import Clicks
from .place import PIXELS, Place, plane, volume
from .running import Order, Running


class MaskTools:
    """Everything that can be done with mask tools, on the current mask.

    Args:
        viewer: tells what is shown, and hears of clicks.
        state: what the panel shows.
        masks: whose current mask is worked on.
        editing: through which it is changed.
        background: where tools run.

    Attributes:
        values: what is chosen for each tool, by its name.
        label_only: whether to work on the selected label alone, and not on all.
        extent: "volume", "slice" for the shown one alone, or "each" for every slice on its own.
        part_first: asked before a tool is used, with what uses it; True if it has to wait for a part of a large image,
            and is called again then.
    """

    def __init__(self, viewer: Any, state: PanelState, masks: Masks, editing: Editing, background: Background) -> None:
        self._viewer, self._state, self._masks = viewer, state, masks
        self.values: dict[str, dict[str, Any]] = {name: tool.defaults() for name, tool in TOOLS.items()}
        self.label_only, self.extent = True, "volume"
        self.part_first: Callable[[Callable[[], None]], bool] = lambda again: False
        self._running = Running(viewer, state, editing, background)
        self._clicks = Clicks(viewer, self._clicked, self.put_down, self._left_for)
        self._first: tuple[tuple[int, ...], int] | None = None  # where the first of two clicks was, and on what label
        self._brush = LimitedBrush()
        state.events.mask.connect(self._mask_picked)
        state.events.prompt_tool.connect(self._prompt_tool_picked)
        state.events.paint_range.connect(self._limit_the_brush)

    def use(self, name: str) -> None:
        """Do what a tool's key does: run it, arm it for clicks or put it down, switch the limited brush on or off."""
        if self.part_first(partial(self.use, name)):
            return
        tool = TOOLS[name]
        was_armed = self._clicks.layer is not None and self._state.tool == name
        self.pick(name)
        if tool.kind == "clicks":
            if was_armed:
                self.put_down()
            else:
                self._arm(tool)
        elif tool.kind == "brush":
            self._state.problem = self._state.notice = ""
            self._state.paint_range = None if self._state.paint_range else self._upper_half()
        else:
            self.run(name)

    def pick(self, name: str) -> None:
        """Show what a tool asks for."""
        if name != self._state.tool:
            self.put_down()
            self._state.tool = name

    def run(self, name: str, **values: Any) -> None:
        """Run a tool with the chosen values, some of which may be given here."""
        tool, mask = TOOLS[name].along(self.called()), self._mask()
        if mask is None:
            return
        label = int(mask.layer.selected_label) if self.label_only and tool.kind != "clicks" else None
        if label is not None and label <= 0:
            self._state.notice = ""
            what = "is the background" if label == 0 else "is below 0"
            self._state.problem = (
                f"Label {label} {what}. Pick an object's label first, 1 or more (5, then click on it)."
            )
            return
        reveal(self._viewer, mask.image, mask.layer)
        self._running.start(
            Order(
                tool, mask, {**self.values[name], **values}, label, self.extent, lambda place: self._follow(tool, place)
            )
        )

    def cancel(self) -> None:
        """Stop the tool at work; the mask stays as it is."""
        self._running.cancel()

    def put_down(self) -> None:
        """Listen to no more clicks."""
        self._clicks.disarm()
        self._first = None
        self._state.tool_asks = ""

    def close(self) -> None:
        """Let go of the viewer and its layers."""
        self.put_down()
        self._brush.let_go()
        self._running.close()
        self._state.events.mask.disconnect(self._mask_picked)
        self._state.events.prompt_tool.disconnect(self._prompt_tool_picked)
        self._state.events.paint_range.disconnect(self._limit_the_brush)
        self._viewer = None

    def units(self) -> tuple[str, ...]:
        """What distances can be given in for the current mask: pixels, and its image's unit."""
        place = self._seen()
        return (PIXELS,) if place is None or place.unit == "pixel" else (PIXELS, place.unit)

    def axes(self) -> int:
        """Number of axes that tools work along: 3 for a volume, unless they keep to slices."""
        place = self._seen()
        return 2 if place is None or place.across is None or self.extent != "volume" else 3

    def called(self) -> str:
        """What one plane of the current mask's stack is called: "frame" in a film of planes, "slice" else."""
        mask = self._masks.current()
        try:
            axes = "" if mask is None else axes_of(mask.image)
        except MedSegError:
            axes = ""
        return PLANE_CALLED["T" if "T" in axes and "Z" not in axes else "Z"]

    def has_slices(self) -> bool:
        """Whether the current mask is a volume."""
        place = self._seen()
        return place is not None and place.across is not None

    def _seen(self) -> Place | None:
        mask = self._masks.current()
        try:
            return None if mask is None or self._state.mask is None else volume(mask, self._viewer)
        except MedSegError:
            return None

    def _mask(self) -> Mask | None:
        mask = self._masks.current()
        if mask is None or self._state.mask is None:
            self._state.problem = "There is no mask yet: segment the image, or add a Labels layer of its size."
            return None
        return mask

    def _follow(self, tool: Tool, place: Place) -> None:
        """After a copy, show the slice that was copied to."""
        by = {"copy_next": 1, "copy_previous": -1}.get(tool.name, 0)
        if by and place.across is not None and self._viewer is not None and self._has_something(place):
            layer, dims = place.mask.layer, self._viewer.dims
            axis = [axis for axis, at in enumerate(place.index) if isinstance(at, slice)][place.across]
            at = np.array(layer.world_to_data(dims.point))
            at[axis] = place.shown + by
            dims.set_point(axis + dims.ndim - layer.ndim, float(layer.data_to_world(at)[axis]))

    def _has_something(self, place: Place) -> bool:
        """Whether the shown slice has anything of the labels that are meant."""
        assert place.across is not None
        shown = np.take(place.pixels, place.shown, place.across)
        return bool(np.any(shown == place.mask.layer.selected_label if self.label_only else shown))

    def _arm(self, tool: Tool) -> None:
        if (mask := self._mask()) is not None:
            reveal(self._viewer, mask.image, mask.layer)
            self._clicks.arm(mask.layer)
            self._state.problem = self._state.notice = ""
            self._state.tool_asks = tool.asks[0]

    def _clicked(self, at: tuple[float, ...]) -> None:
        """The first of two clicks is kept, the second one sets the tool to work; after that it asks for two more."""
        tool, mask = TOOLS[self._state.tool], self._mask()
        if mask is None:
            return
        try:
            index, label = self._label_at(mask, at)
        except MedSegError as error:
            self._state.problem, self._state.notice = str(error), ""
            return
        self._state.problem = self._state.notice = ""
        if self._first is None:
            self._first = index, label
            self._state.tool_asks = f"Label {label}. {tool.asks[1]}"
            return
        first, self._first = self._first, None
        self._state.tool_asks = tool.asks[0]
        self.run(tool.name, clicks=(first[0], index), labels=(first[1], label))

    def _label_at(self, mask: Mask, at: tuple[float, ...]) -> tuple[tuple[int, ...], int]:
        if self._viewer.dims.ndisplay != 2:
            raise MaskToolError("Clicks are for the slice view; leave the 3D view first.")
        place = (plane if self.extent == "slice" else volume)(mask, self._viewer)
        index = place.position(at)
        if not all(0 <= number < side for number, side in zip(index, place.pixels.shape, strict=True)):
            raise MaskToolError("That click was outside the mask; nothing was changed.")
        label = int(place.pixels[index])
        if label == 0:
            raise MaskToolError("That click was on the background; click on an object.")
        world = (*self._viewer.dims.point[: -mask.layer.ndim], *mask.layer.data_to_world(at))
        check_seen(self._viewer, mask.image, mask.layer, world)
        return index, label

    def _left_for(self, layer: Any) -> None:
        """Clicks belong to another layer now."""
        self.put_down()
        self._state.notice = f"The tool was put down, since layer '{layer.name}' was selected."

    def _prompt_tool_picked(self, name: str) -> None:
        """Another tool has the mouse now."""
        if name:
            self._clicks.disarm(keep_mode=True)
            self.put_down()

    def _upper_half(self) -> tuple[float, float] | None:
        """What the limited brush begins with: the upper half of the brightness that is shown."""
        if (mask := self._mask()) is None:
            return None
        low, high = shown_brightness(mask.image)
        middle = (low + high) / 2
        return float(round(middle)) if np.dtype(mask.image.dtype).kind in "ui" else middle, high

    def _limit_the_brush(self) -> None:
        mask = self._masks.current()
        if self._state.paint_range is None or mask is None or self._state.mask is None:
            self._brush.let_go()
            return
        try:
            self._brush.hold(mask.layer, mask.image, self._state.paint_range)
        except MedSegError as error:
            self._state.paint_range = None
            self._state.problem = str(error)

    def _mask_picked(self) -> None:
        if self._clicks.layer is not None and self._clicks.layer is not self._state.mask:
            self.put_down()
        mask = self._masks.current()
        if self._brush.image is not None and (mask is None or mask.image is not self._brush.image):
            self._state.paint_range = None  # another image, another brightness
        self._limit_the_brush()
