"""Questions to the predictor about a plane of an image, which it is sent once."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from napari_medseg.models.engine.client import Engine
from napari_medseg.models.engine.region import NOTHING, Region
from napari_medseg.models.errors import ImageNotSentError
from napari_medseg.models.prompts.prompts import Position, Prompts
from napari_medseg.models.prompts.proposal import Proposal

from ..background import Background
from ..engine_link import EngineLink
from ..image_layers import channel_siblings, in_order, mask_shape
from .limits import image_limits
from .part import Part, part_for
from .plane_image import Plane, plane_image

KEPT = 8
"""Planes at most whose names are kept; the predictor keeps as many, or fewer if they are large."""

Limits = npt.NDArray[np.float64]


class Asking:
    """Reads pixels, sends them and waits for answers in threads of their own.

    Args:
        viewer: whose layers hold the image and its other channels.
        link: to the engine.
        background: where waiting is done.
    """

    def __init__(self, viewer: Any, link: EngineLink, background: Background) -> None:
        self.viewer, self._link, self._background = viewer, link, background
        self._names: OrderedDict[_Pixels, dict[tuple[Plane, Part], str]] = OrderedDict()  # of each part's session
        self._limits: dict[_Pixels, Limits] = {}
        self._sent: WeakKeyDictionary[Engine, set[str]] = WeakKeyDictionary()  # to whom, under which names
        self._sending = threading.Lock()
        self._last: Part | None = None  # of the plane that was asked about last
        self._ahead: _Ahead | None = None  # what is being sent ahead of its first prompt
        self._wanted_ahead: _Ahead | None = None
        viewer.layers.events.removed.connect(self._removed)

    def close(self) -> None:
        """Look no more."""
        self.viewer.layers.events.removed.disconnect(self._removed)
        self._forget(list(self._names))
        self.viewer = None

    def send_ahead(self, image: Any, plane: Plane, at: Position) -> None:
        """Have the predictor know a plane before the first prompt; while one is sent, only the newest waits.

        Args:
            image: the layer.
            plane: index along each leading axis.
            at: where the first prompt is likely to be.
        """
        self._wanted_ahead = (image, plane, at)
        if self._ahead is None:
            self._send_next()

    def prompt(
        self,
        image: Any,
        plane: Plane,
        prompts: Prompts,
        now: Region,
        then: Callable[[Proposal], None],
        failed: Callable[[str], None],
    ) -> None:
        """Ask what the newest prompt makes of an object; see `Engine.prompt`.

        Args:
            image: the layer.
            plane: index along each leading axis.
            prompts: of the object, on that plane.
            now: the object there without the newest prompt.
            then: called with the answer, in the window's thread.
            failed: called with the reason, in the window's thread.
        """
        part = self._part(image, prompts, now)
        asked, region = part.asked(prompts), part.region(now)
        answered = _in_plane(part, then)
        self._ask(image, plane, part, lambda engine, name: engine.prompt(name, asked, region), answered, failed)

    def prompt_anew(
        self,
        image: Any,
        plane: Plane,
        prompts: Prompts,
        begun: Region,
        then: Callable[[Proposal], None],
        failed: Callable[[str], None],
    ) -> None:
        """Ask what all prompts together make of what an object began with; see `Engine.prompt_anew`."""
        part = self._part(image, prompts, begun)
        asked, region = part.asked(prompts), part.region(begun)
        answered = _in_plane(part, then)
        self._ask(image, plane, part, lambda engine, name: engine.prompt_anew(name, asked, region), answered, failed)

    def _ask(
        self,
        image: Any,
        plane: Plane,
        part: Part,
        question: Callable[[Engine, str], Any],
        then: Callable[[Any], None],
        failed: Callable[[str], None],
    ) -> None:
        siblings = channel_siblings(image, self.viewer.layers)
        pixels = _Pixels(image, *siblings)
        name = self._name(pixels, plane, part)

        def send(engine: Engine, *, anew: bool = False) -> None:
            with self._sending:
                sent = self._sent.setdefault(engine, set())
                if anew or name not in sent:
                    limits = self._limits_of(pixels, in_order(image, siblings))
                    engine.prompt_start(name, plane_image(image, siblings, plane, part.box), limits)
                    sent.add(name)

        def work(engine: Engine) -> None:
            send(engine)
            try:
                answer = question(engine, name)
            except ImageNotSentError:  # others came since, and it had to go
                send(engine, anew=True)
                answer = question(engine, name)
            self._background.post(lambda: then(answer))

        self._link.use(work, failed)

    def _part(self, image: Any, prompts: Prompts, region: Region) -> Part:
        height, width = mask_shape(image)[-2:]
        self._last = part_for((height, width), prompts, region, self._last)
        return self._last

    def _name(self, pixels: _Pixels, plane: Plane, part: Part) -> str:
        names = self._names.setdefault(pixels, {})
        self._names.move_to_end(pixels)
        name = names.pop((plane, part), None) or uuid.uuid4().hex
        names[plane, part] = name  # the last one is the newest
        while sum(map(len, self._names.values())) > KEPT:
            oldest = next(iter(self._names))
            if len(self._names[oldest]) > 1:
                self._names[oldest].pop(next(iter(self._names[oldest])))
            else:
                self._forget([oldest])
        return name

    def _limits_of(self, pixels: _Pixels, layers: list[Any]) -> Limits:
        """In a thread: the same for all planes of an image, so that its intensities mean the same on each."""
        limits = self._limits.get(pixels)
        if limits is None:
            limits = image_limits(layers)
            if pixels in self._names:  # not closed meanwhile
                self._limits[pixels] = limits
        return limits

    def _removed(self, event: Any) -> None:
        """An image was closed: it is kept here no more, nor in the predictor."""
        self._forget([pixels for pixels in self._names if pixels.of(event.value)])

    def _forget(self, all_pixels: list[_Pixels]) -> None:
        names: set[str] = set()
        for pixels in all_pixels:
            names.update(self._names.pop(pixels, {}).values())
            self._limits.pop(pixels, None)
        if not names:
            return
        for engine, sent in list(self._sent.items()):
            sent.difference_update(names)
            self._background.run(partial(engine.prompt_forget, names))

    def _send_next(self) -> None:
        self._ahead, self._wanted_ahead = self._wanted_ahead, None
        if self._ahead is None or self.viewer is None:
            return
        image, plane, at = self._ahead

        def sent(_: Any = None) -> None:
            self._ahead = None
            self._send_next()

        part = self._part(image, Prompts().click(at), NOTHING)
        self._ask(image, plane, part, lambda engine, name: None, sent, sent)


_Ahead = tuple[Any, Plane, Position]


def _in_plane(part: Part, then: Callable[[Proposal], None]) -> Callable[[Proposal], None]:
    return lambda answer: then(part.answer(answer))


class _Pixels:
    """Layers with the pixels that they have now, as a key.

    Pixels that were exchanged are another image. The arrays are held as long as the key is, so that no other can come
    to lie at the same place.
    """

    def __init__(self, *layers: Any) -> None:
        self._layers, self._data = layers, tuple(layer.data for layer in layers)

    def of(self, layer: Any) -> bool:
        """Whether a layer is one of them."""
        return any(one is layer for one in self._layers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Pixels) and self._ids() == other._ids()

    def __hash__(self) -> int:
        return hash(self._ids())

    def _ids(self) -> tuple[int, ...]:
        return tuple(map(id, (*self._layers, *self._data)))
