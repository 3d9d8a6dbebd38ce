"""Prompts in the window: from a click to a change of the mask, and what the object in work is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from napari_medseg.models.errors import PromptError
from napari_medseg.models.prompts.prompts import Point, Prompt, Prompts

from ..background import Background
from ..editing import Editing
from ..engine_link import EngineLink
from ..image_layers import is_image, is_large
from ..looking.camera import bring_into_view
from ..masks import Mask, Masks
from ..on_top import check_seen, reveal
from ..state import PanelState
from .aiming import canvas_pixels, check_pixel, into, is_inside, middle_of_view, position_in, shown_plane
from .answering import Answering
from .asking import Asking
from .foresight import Foresight
from .gesture import Gesture
from .labelling import Labelling
from .mask_ahead import MaskAhead
from .mouse import Mouse, Press
from .objects import Objects
from .overlay import Overlay, nearest
from .tools import TOOLS
from .turns import Turn, Turns

REACH = 9.0
"""Pixels of the screen within which a prompt is meant."""

SOON = 0.2
"""Seconds within which most clicks are answered. Until then a click is not drawn by itself: drawing twice takes the
processor away from the answer."""


class Prompting:
    """The tools of the mouse, and the object that they are about.

    Attributes:
        part_first: asked before a tool is taken up, with what takes it up; True if it has to wait for a part of a large
            image, and is called again then.

    Args:
        viewer: napari's, or its model without a window.
        state: what the panel shows.
        masks: where objects are.
        editing: how they are changed.
        link: to the engine.
        background: where waiting is done.
    """

    def __init__(
        self, viewer: Any, state: PanelState, masks: Masks, editing: Editing, link: EngineLink, background: Background
    ) -> None:
        self.viewer, self._state, self._masks, self._editing = viewer, state, masks, editing
        self._turns = Turns(self._turn_ended, lambda reason: setattr(state, "problem", reason))
        self._asking = Asking(viewer, link, background)
        self.labelling = Labelling(state, masks, editing)
        self._objects = Objects(state, masks, editing, background, self._turns.guarded)
        self._ahead = MaskAhead(viewer, state, masks)
        self._answering = Answering(
            viewer, state, masks, editing, self._objects, self._asking, self._ahead, self._turns
        )
        self._foresight = Foresight(state, masks, editing, self._objects, self._asking)
        self._overlay = Overlay(viewer, background.post)
        self._mouse = Mouse(viewer, self._pressed, self._clicked, self._begun, self._moved, self._ended)
        self.part_first: Callable[[Callable[[], None]], bool] = lambda again: False
        self._background = background
        self._shown: tuple[Any, tuple[Prompt, ...]] | None = None  # image and prompts that are drawn, or soon will be
        self._drawing = False  # whether they soon will be
        self._with_answer: Prompt | None = None  # with whose answer they are to be drawn, if it comes in a moment
        self._gesture: Gesture | None = None
        self._image: Any = None  # that the gesture is made on
        self._token: Any = None
        self._layer: Any = None  # the mask's, whose mode is followed
        viewer.layers.selection.events.active.connect(self._selected)
        viewer.dims.events.current_step.connect(self._looked)
        editing.prompts_changed.connect(self._show)
        self._ahead.drawn_on.connect(self.put_down)
        state.events.mask.connect(self._mask_changed)
        state.events.image.connect(self._image_changed)
        state.events.tool_asks.connect(self._mask_tool_asked)
        state.events.label.connect(self._label_picked)

    @property
    def answered(self) -> Any:
        """Told of every answer that is in the mask: the mask, the plane and the proposal."""
        return self._answering.answered

    def close(self) -> None:
        """Give the mouse back and look no more."""
        self.put_down()
        self._ahead.wait_for(None)
        self._turns.clear()
        self.viewer.layers.selection.events.active.disconnect(self._selected)
        self.viewer.dims.events.current_step.disconnect(self._looked)
        self._editing.prompts_changed.disconnect(self._show)
        self._objects.close()
        self.labelling.close()
        self._overlay.close()
        self._asking.close()
        self.viewer = self._answering.viewer = None

    @property
    def idle(self) -> bool:
        """Whether all that was asked for is answered."""
        return self._turns.idle

    @property
    def settled(self) -> bool:
        """Whether, beside that, the prompts that were given are drawn: that comes a moment after the answer."""
        return self.idle and not self._drawing and self._with_answer is None

    def take_up(self, name: str) -> None:
        """Have the mouse give prompts with a tool; the one that is up already is put down."""
        if name == self._state.prompt_tool:
            self.put_down()
            return
        if self.part_first(partial(self.take_up, name)):
            return
        try:
            image, plane = self._aim()
        except PromptError as error:
            self._state.notice = str(error)
            return
        self._gesture = None
        self._state.notice = self._state.problem = ""
        mask = self._masks.current()
        if mask is not None and mask.layer in self.viewer.layers:
            mask.layer.mode = "pan_zoom"
            reveal(self.viewer, image, mask.layer)
        if not self._is_ours(self.viewer.layers.selection.active):
            self.viewer.layers.selection.active = image if mask is None else mask.layer
        self._state.prompt_tool = name
        self._mouse.take(clicks=name == "click", how=TOOLS[name].how)
        self._asking.send_ahead(image, plane, middle_of_view(self.viewer, image))
        self._show()
        self._background.post(self._prepare)

    def put_down(self) -> None:
        """Have the mouse do what it always does; a pull that is under way is forgotten."""
        if self._gesture is not None:
            self._gesture = self._image = None
            self._turns.drop(self._token)
            self._answering.forget(self._token)
        if self._state.prompt_tool:
            self._state.prompt_tool = ""
            self._mouse.give_back()
            self._background.post(self._prepare)
        self._show()

    def let_keys_go(self) -> None:
        """The keyboard is another window's now: nobody would hear of a key's release, so none counts as held."""
        self._mouse.let_view_go()

    def take_back(self, number: int = -1) -> None:
        """Take one prompt away, by default the newest; the object becomes what the others alone would have made it."""
        self._turns.add(Turn(partial(self._answering.take_back, number)))

    def look_at(self, number: int) -> None:
        """Show the slice of one prompt, and the place if it is out of view."""
        image, given = self._state.image, self._state.given
        if image is None or image not in self.viewer.layers or not 0 <= number < len(given):
            return
        prompt = given[number]
        rows, columns = zip(*prompt.path, strict=True)
        middle = (min(rows) + max(rows)) / 2, (min(columns) + max(columns)) / 2
        bring_into_view(self.viewer, image, (*prompt.plane, *map(round, middle)))

    def accept_object(self) -> None:
        """Done with the object in work: no prompt changes it any more."""
        self._turns.add(Turn(partial(self._answering.accept, "Accept object")))

    def next_object(self) -> None:
        """The same, and have the brush draw the next object, too."""
        self._turns.add(Turn(partial(self._answering.accept, "Next object", advance=True)))

    def _aim(self) -> tuple[Any, tuple[int, ...]]:
        """The chosen image and its shown plane.

        Raises:
            PromptError: there is none, or it is not shown so that prompts can be given; says why.
        """
        image = self._state.image
        if image is None or image not in self.viewer.layers:
            raise PromptError("Open an image first, or pick one.")
        if not self._state.image_usable:
            raise PromptError(self._state.image_about)
        if is_large(image):
            raise PromptError("This image is corrected part by part: zoom in, and press Edit here.")
        return image, shown_plane(self.viewer, image)

    def _see(self, image: Any, world: Sequence[float]) -> None:
        """Have the mask seen where it is about to be changed, also if the user has hidden it since.

        Raises:
            PromptError: another image lies over it there.
        """
        mask = self._masks.current()
        layer = None if mask is None or mask.layer not in self.viewer.layers else mask.layer
        if layer is not None:
            reveal(self.viewer, image, layer)
        check_seen(self.viewer, image, layer, world)

    def _pressed(self, press: Press) -> None:
        """Have the predictor look while the button is held: a hand holds it longer than the predictor takes."""
        if press.removing or not self._turns.idle:
            return
        with contextlib.suppress(PromptError):  # the click will say it
            image, plane = self._aim()
            at = position_in(image, press.world)
            if is_inside(image, at):
                self._foresight.look(image, Point(into(image, at), press.positive, plane))

    def _clicked(self, press: Press) -> None:
        try:
            image, plane = self._aim()
            at = position_in(image, press.world)
            if not press.removing:
                check_pixel(image, plane, at)
            self._see(image, press.world)
        except PromptError as error:
            self._state.notice = str(error)
            return
        self._state.notice = ""
        if press.removing:
            self._remove_at(image, plane, at)
            return
        prompt = Point(into(image, at), press.positive, plane)
        if self._turns.idle:
            self._with_answer = prompt
        self._turns.add(Turn(partial(self._answering.give, image, prompt, object(), final=True), None, prompt))
        if self._with_answer is prompt:
            self._background.post_after(SOON, partial(self._draw_alone, prompt))
        self._show()

    def _remove_at(self, image: Any, plane: tuple[int, ...], at: tuple[float, float]) -> None:
        mask = self._masks.current()
        prompts = self._editing.prompts(mask) if mask else Prompts()
        number = nearest(prompts.items, at, plane, REACH / max(canvas_pixels(self.viewer, image), 1e-6))
        if number is None:
            self._state.notice = "There is no prompt here to be taken back: Ctrl-click one."
        else:
            self.take_back(number)

    def _begun(self, press: Press) -> bool:
        tool = TOOLS.get(self._state.prompt_tool)
        if tool is None or not (press.positive or tool.signed):
            return False
        try:
            image, plane = self._aim()
            at = position_in(image, press.world)
            if tool.signed and not is_inside(image, at):
                raise PromptError("That began outside the image; nothing was changed.")
            self._see(image, press.world)
        except PromptError as error:
            self._state.notice = str(error)
            return False
        self._state.notice = ""
        self._gesture = Gesture(tool.name, into(image, at), positive=press.positive, plane=plane)
        self._token, self._image = object(), image
        self._show()
        return True

    def _moved(self, world: Sequence[float]) -> None:
        if self._gesture is None or not self._gesture.move(into(self._image, position_in(self._image, world))):
            return
        prompt = self._gesture.prompt()
        if prompt is not None:
            give = partial(self._answering.give, self._image, prompt, self._token, final=False)
            self._turns.add(Turn(give, self._token))
        self._show()

    def _ended(self) -> None:
        gesture, self._gesture = self._gesture, None
        if gesture is None:
            return
        image, self._image = self._image, None
        prompt = gesture.prompt()
        if prompt is None:
            self._turns.drop(self._token)
            self._answering.forget(self._token)
            self._state.notice = f"That {gesture.tool} was too small to mean anything; drag it around the object."
        else:
            give = partial(self._answering.give, image, prompt, self._token, final=True)
            self._turns.add(Turn(give, self._token, prompt))
        self._show()

    def _show(self, mask: Mask | None = None) -> None:
        """Draw the prompts that were given, that wait, and the one under the mouse."""
        if self.viewer is None:
            return
        image, mask = self._state.image, self._masks.current()
        given = self._editing.prompts(mask).items if mask is not None else ()
        shown = (*given, *self._turns.prompts())
        if self._gesture is not None and (prompt := self._gesture.prompt()) is not None:
            shown = (*shown, prompt)
        self._shown = (image, shown) if image in self.viewer.layers and (shown or self._state.prompt_tool) else None
        if self._shown is None:
            self._overlay.hide()
        elif self._with_answer is not None:
            return
        elif not self._drawing:
            self._drawing = True
            self._background.post(self._draw)  # later: the predictor is asked first, and looks meanwhile
        self._state.object_about = self._objects.about(mask)
        self._state.given = given

    def _turn_ended(self) -> None:
        self._with_answer = None
        self._objects.pick_label()
        self._show()

    def _draw_alone(self, prompt: Prompt) -> None:
        """Draw a click whose answer takes long."""
        if self._with_answer is prompt:
            self._with_answer = None
            self._show()

    def _draw(self) -> None:
        self._drawing = False
        if self.viewer is not None and self._shown is not None and self._shown[0] in self.viewer.layers:
            self._overlay.show(*self._shown)

    def _prepare(self) -> None:
        """Have a layer wait for the first prompt on an image that has no mask, while a tool is up."""
        if self.viewer is None:
            return
        image = None
        if self._state.prompt_tool and self._state.mask is None:
            with contextlib.suppress(PromptError):  # the click will say it
                image, _ = self._aim()
        self._ahead.wait_for(image)

    def _selected(self, event: Any) -> None:
        """A layer that has nothing to do with the image is worked on now."""
        if self._state.prompt_tool and not self._is_ours(event.value):
            self._state.notice = f"The tool was put down, since layer '{event.value.name}' was selected."
            self.put_down()

    def _is_ours(self, layer: Any) -> bool:
        known = layer is None or is_image(layer) or self._overlay.owns(layer) or self._ahead.owns(layer)
        return known or any(mask.layer is layer for mask in self._masks.all())

    def _mask_changed(self, layer: Any) -> None:
        """Whoever takes the brush of the mask's layer wants to paint."""
        if self._layer is not None:
            self._layer.events.mode.disconnect(self._mode_changed)
        self._layer = layer
        if layer is not None:
            layer.events.mode.connect(self._mode_changed)
        self._background.post(self._prepare)
        self._show()

    def _mode_changed(self, event: Any) -> None:
        if self._state.prompt_tool and str(self._layer.mode) != "pan_zoom":
            self.put_down()

    def _label_picked(self, label: int) -> None:
        """By the user, or because an object of that label is in work."""
        mask = self._masks.current()
        work = self._objects.of(mask) if mask is not None else None
        if work is not None and work.label != label:
            self._turns.add(Turn(self._answering.leave_for_another_label))

    def _mask_tool_asked(self, asks: str) -> None:
        """Another tool wants the clicks."""
        if asks:
            self.put_down()

    def _image_changed(self) -> None:
        if self._state.image is None:
            self.put_down()
        self._looked()
        self._background.post(self._prepare)
        self._show()

    def _looked(self, event: Any = None) -> None:
        """Another slice is shown: have the predictor know it before it is clicked on."""
        if self._state.prompt_tool:
            try:
                image, plane = self._aim()
                self._asking.send_ahead(image, plane, middle_of_view(self.viewer, image))
            except PromptError:
                return
