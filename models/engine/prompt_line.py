"""A window's line to the predictor for prompts: past its jobs, and silently anew when it was restarted."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any

from ..errors import EngineError, ImageNotSentError, MedSegError
from ..image import MedicalImage
from . import prompter
from .start import START

KEPT = 8
"""Images at most that are kept for a predictor that needs them again, the ones last used."""

ATTEMPTS = 3
"""How often a prompt is asked before it is given up: it may be what the predictor dies of."""

LOST = "The predictor does not answer. Nothing of yours was lost; try again."


class PromptLine:
    """Asks the predictor, from any thread.

    Args:
        client: dask's.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._address = ""
        self._images: OrderedDict[str, MedicalImage] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, session: str, image: MedicalImage) -> None:
        """Send an image; see `Engine.prompt_start`."""
        with self._lock:
            self._images[session] = image
            self._images.move_to_end(session)
            while len(self._images) > KEPT:
                self._images.popitem(last=False)
        self._answered("start", session, image)

    def ask(self, method: str, session: str, *args: Any) -> Any:
        """Ask about an image that was sent; see `Engine.prompt`."""
        with self._lock:
            if session in self._images:
                self._images.move_to_end(session)
        for _ in range(ATTEMPTS):
            try:
                return self._answered(method, session, *args)
            except prompter.UnknownSession:
                with self._lock:
                    image = self._images.get(session)
                if image is None:
                    raise ImageNotSentError("No image was sent that this prompt could be about.") from None
                self._answered("start", session, image)
        raise EngineError(LOST)

    def _answered(self, method: str, *args: Any) -> Any:
        for _ in range(ATTEMPTS):
            try:
                address = self._predictor()
                (answer,) = self._client.run(prompter.answer, method, *args, workers=[address]).values()
            except (OSError, KeyError, ValueError, RuntimeError) as error:
                if isinstance(error, MedSegError):
                    raise
                self._address = ""  # it died, and another one comes
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer
        raise EngineError(LOST)

    def _predictor(self) -> str:
        """Where the predictor is, waited for while it is started (again)."""
        deadline = time.monotonic() + START
        while not self._address:
            if self._client.status != "running" or time.monotonic() > deadline:
                raise EngineError(LOST)
            self._address = self._client.run_on_scheduler(_predictor_address)
            if not self._address:
                time.sleep(0.05)
        return self._address


def _predictor_address(dask_scheduler: Any = None) -> str:
    """In the scheduler: the worker that takes the predictor's jobs; "" if there is none at this moment."""
    from distributed.core import Status

    workers = dask_scheduler.workers.values()
    return next((w.address for w in workers if "predictor" in w.resources and w.status == Status.running), "")
