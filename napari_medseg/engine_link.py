"""The panel's line to the engine: found or started in the background, and again after it died."""

from __future__ import annotations

import threading
from collections.abc import Callable

from napari_medseg.models.engine.client import Engine
from napari_medseg.models.errors import EngineError

from .background import Background
from .state import PanelState


class EngineLink:
    """Keeps `state.engine` true, and hands the engine to whoever needs it.

    Args:
        state: what the panel shows.
        background: where waiting is done.
    """

    def __init__(self, state: PanelState, background: Background) -> None:
        self._state, self._background = state, background
        self._engine: Engine | None = None
        self._waiting: list[tuple[Callable[[Engine], None], Callable[[str], None]]] = []
        self._lock = threading.Lock()
        self._closed = False

    def use(self, work: Callable[[Engine], None], failed: Callable[[str], None]) -> None:
        """Have `work` called with an engine that answers, in a thread; `failed` in the window's, with the reason."""
        engine = self._engine
        if engine is not None and engine.alive:
            self._background.run(lambda: work(engine), failed=failed)
            return
        self._waiting.append((work, failed))
        if len(self._waiting) == 1:
            self._connect()

    def start(self) -> None:
        """Have an engine ready before it is needed."""
        self.use(lambda engine: None, self._lost)

    def close(self) -> None:
        """Let go of the engine, also of one that is just being reached; it ends by itself when nobody needs it."""
        with self._lock:
            self._closed = True
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _connect(self) -> None:
        self._state.engine_ready = False
        self._state.engine = "Starting the engine ..."
        old, self._engine = self._engine, None

        def connect() -> str:
            if old is not None:
                old.close()
            engine = Engine.connect()
            with self._lock:
                if not self._closed:
                    self._engine = engine
            if self._closed:
                engine.close()
                raise EngineError("The panel was closed while the engine started.")
            return engine.describe()

        self._background.run(connect, self._connected, self._lost)

    def _connected(self, device: str) -> None:
        self._state.engine = f"Predictor ready on {device}"
        self._state.engine_ready = True
        waiting, self._waiting = self._waiting, []
        for work, failed in waiting:
            self.use(work, failed)

    def _lost(self, reason: str) -> None:
        self._state.engine = "The engine is not running"
        self._state.engine_ready = False
        waiting, self._waiting = self._waiting, []
        self._state.problem = reason
        for _, failed in waiting:
            failed(reason)
