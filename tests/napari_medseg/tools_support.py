"""Mask tools without a window: the real layers, the real background threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.background import Background
from napari_medseg.tools import MaskTools

from ..held_processes import WAIT
from .editing_support import Desk


class Watched(Background):
    """Tells when what it was last given has been done, before the window hears of it."""

    done = False
    looks = 0

    def run(self, work: Callable[[], Any], *rest: Any, **options: Any) -> None:
        self.done, self.looks = False, self.looks + 1

        def watched() -> Any:
            try:
                return work()
            finally:
                self.done = True

        super().run(watched, *rest, **options)


class ToolDesk(Desk):
    """Layers of a viewer, and the mask tools."""

    def __init__(self, project: Path, mask: np.ndarray, **settings: Any) -> None:
        super().__init__(project, np.zeros(mask.shape, np.uint8))
        for name, value in settings.items():
            setattr(self.image, name, value)
        self.at_work = Watched(self._calls.append)
        self.tools = MaskTools(self.viewer, self.state, self.masks, self.editing, self.at_work)
        self.viewer.add_labels(mask.copy(), name="mask", **settings)

    def run(self, name: str, **values: Any) -> str:
        """Runs a tool and gives what the panel would say then."""
        self.tools.run(name, **values)
        self.until(lambda: self.state.tool_working is None)
        return self.state.notice or self.state.problem

    def wait_for_the_look(self) -> None:
        """Until the tool has looked at the mask; the window has not heard of it yet."""
        deadline = time.monotonic() + WAIT
        while not self.at_work.done:
            assert time.monotonic() < deadline, "the tool did not come to an end"
            time.sleep(0.002)

    def take_the_answer(self) -> None:
        """Let the window hear of it, until the tool looks again or has ended."""
        looks, deadline = self.at_work.looks, time.monotonic() + WAIT
        while self.at_work.looks == looks and self.state.tool_working is not None:
            assert time.monotonic() < deadline, "the answer was not taken"
            if self._calls:
                self._calls.pop(0)()
            else:
                time.sleep(0.002)

    def close(self, *, lose: bool = True) -> None:
        self.tools.close()
        self.at_work.close()
        super().close(lose=lose)
