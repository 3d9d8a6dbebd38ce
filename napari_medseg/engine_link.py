"""The panel's line to the engine: found or started in the background, and again after it died."""

from __future__ import annotations

from collections.abc import Callable

from napari_medseg.models.engine.client import Engine

from .background import Background
from .state import PanelState


class EngineLink:
    """Keeps `state.engine` true, and hands the engine to whoever needs it.

    Args:
        state: what the panel shows.
        background: where waiting is done.
        address: of somebody else's engine; by default this user's own.
    """

    def __init__(self, state: PanelState, background: Background, address: str | None = None) -> None:
        self._state, self._background, self._address = state, background, address
        self._engine: Engine | None = None
        self._waiting: list[tuple[Callable[[Engine], None], Callable[[str], None]]] = []

    def use(self, work: Callable[[Engine], None], failed: Callable[[str], None]) -> None:
        """Have `work` called with an engine that answers, in a thread; `failed` in the window's, with the reason."""
        if self._engine is not None and self._engine.alive:
            engine = self._engine
            self._background.run(lambda: work(engine), failed=failed)
            return
        self._waiting.append((work, failed))
        if len(self._waiting) == 1:
            self._connect()

    def start(self) -> None:
        """Have an engine ready before it is needed."""
        self.use(lambda engine: None, self._lost)

    def close(self) -> None:
        """Let go of the engine; it ends by itself when nobody needs it."""
        if self._engine is not None:
            self._engine.close()

    def _connect(self) -> None:
        self._state.engine_ready = False
        self._state.engine = "Starting the engine ..."
        old = self._engine

        def connect() -> tuple[Engine, str]:
            if old is not None:
                old.close()
            engine = Engine.connect(self._address)
            return engine, engine.describe()

        self._background.run(connect, self._connected, self._lost)

    def _connected(self, found: tuple[Engine, str]) -> None:
        self._engine, device = found
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
