"""Questions to the predictor about a plane of an image, which it is sent once."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from napari_medseg.models.engine.client import Engine
from napari_medseg.models.errors import ImageNotSentError

from ..background import Background
from ..engine_link import EngineLink
from ..image_layers import channel_siblings
from .plane_image import Plane, plane_image

KEPT = 8
"""Planes at most whose names are kept; the predictor keeps as many, or fewer if they are large."""

Result = TypeVar("Result")


class Asking:
    """Reads pixels, sends them and waits for answers in threads of their own.

    Args:
        viewer: whose layers hold the image and its other channels.
        link: to the engine.
        background: where waiting is done.
    """

    def __init__(self, viewer: Any, link: EngineLink, background: Background) -> None:
        self.viewer, self._link, self._background = viewer, link, background
        self._names: OrderedDict[Any, str] = OrderedDict()  # of each plane's session
        self._sent: WeakKeyDictionary[Engine, set[str]] = WeakKeyDictionary()  # to whom, under which names
        self._sending = threading.Lock()
        self._ahead: tuple[Any, Plane] | None = None  # the plane that is being sent ahead of its first prompt
        self._wanted_ahead: tuple[Any, Plane] | None = None

    def send_ahead(self, image: Any, plane: Plane) -> None:
        """Have the predictor know a plane before the first prompt; while one is sent, only the newest waits."""
        self._wanted_ahead = (image, plane)
        if self._ahead is None:
            self._send_next()

    def ask(
        self,
        image: Any,
        plane: Plane,
        question: Callable[[Engine, str], Result],
        then: Callable[[Result], None],
        failed: Callable[[str], None],
    ) -> None:
        """Ask about a plane.

        Args:
            image: the layer.
            plane: index along each leading axis.
            question: called in a thread, with the engine and the name of the session.
            then: called with the answer, in the window's thread.
            failed: called with the reason, in the window's thread.
        """
        siblings = channel_siblings(image, self.viewer.layers)
        name = self._name(image, siblings, plane)

        def send(engine: Engine, *, anew: bool = False) -> None:
            with self._sending:
                sent = self._sent.setdefault(engine, set())
                if anew or name not in sent:
                    engine.prompt_start(name, plane_image(image, siblings, plane))
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

    def _name(self, image: Any, siblings: tuple[Any, ...], plane: Plane) -> str:
        # Pixels that were exchanged are another image; those that were dropped cannot come back under their old name.
        key = (image, *siblings), tuple(_Same(one.data) for one in (image, *siblings)), plane
        name = self._names.setdefault(key, uuid.uuid4().hex)
        self._names.move_to_end(key)
        while len(self._names) > KEPT:
            self._names.popitem(last=False)
        return name

    def _send_next(self) -> None:
        self._ahead, self._wanted_ahead = self._wanted_ahead, None
        if self._ahead is None or self.viewer is None:
            return

        def sent(_: Any = None) -> None:
            self._ahead = None
            self._send_next()

        self.ask(*self._ahead, lambda engine, session: None, sent, sent)


class _Same:
    """Pixels as a key: the very same array, held as long as the key is."""

    def __init__(self, pixels: Any) -> None:
        self._pixels = pixels

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._pixels is other._pixels

    def __hash__(self) -> int:
        return id(self._pixels)
