"""A window's line to the predictor for prompts: past its jobs, and silently anew when it was restarted."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError, ImageNotSentError, MedSegError
from ..image import MedicalImage
from . import prompter
from .start import START

KEPT = 8
"""Images at most that are kept for a predictor that needs them again, the ones last used."""

KEPT_BYTES = 200_000_000
"""Bytes at most that they take together; one image is kept, however large. Others are asked for again."""

ATTEMPTS = 3
"""How often a prompt is asked before it is given up: it may be what the predictor dies of."""

GRACE = 5.0
"""Seconds for which one that did not answer is not asked again: the scheduler comes to know later that it died."""

LOST = "The predictor does not answer. Nothing of yours was lost; try again."


@dataclass(frozen=True, eq=False)
class _Sent:
    """An image, and the intensities that become 0 and 1 in it; None for percentiles of its own."""

    image: MedicalImage
    limits: npt.NDArray[np.float64] | None


class PromptLine:
    """Asks the predictor, from any thread.

    Args:
        client: dask's.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._address = ""
        self._lost = ("", 0.0)  # who did not answer, and when
        self._images: OrderedDict[str, _Sent] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, session: str, image: MedicalImage, limits: npt.NDArray[np.float64] | None = None) -> None:
        """Send an image; see `Engine.prompt_start`."""
        with self._lock:
            self._images[session] = _Sent(image, limits)
            self._images.move_to_end(session)
            while len(self._images) > 1 and (len(self._images) > KEPT or self._bytes() > KEPT_BYTES):
                self._images.popitem(last=False)
        self._answered("start", session, image, limits)

    def forget(self, sessions: Collection[str]) -> None:
        """Let go of images, here and in the predictor if it is there; see `Engine.prompt_forget`."""
        with self._lock:
            for session in sessions:
                self._images.pop(session, None)
        if self._address:
            with contextlib.suppress(OSError, KeyError, ValueError, RuntimeError):  # it has just died
                self._client.run(prompter.answer, "forget", tuple(sessions), workers=[self._address])

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
                    sent = self._images.get(session)
                if sent is None:
                    raise ImageNotSentError("No image was sent that this prompt could be about.") from None
                self._answered("start", session, sent.image, sent.limits)
        raise EngineError(LOST)

    def _answered(self, method: str, *args: Any) -> Any:
        for _ in range(ATTEMPTS):
            address = ""
            try:
                address = self._predictor()
                (answer,) = self._client.run(prompter.answer, method, *args, workers=[address]).values()
            except (OSError, KeyError, ValueError, RuntimeError) as error:
                if isinstance(error, MedSegError):
                    raise
                self._address = ""  # it died, and another one comes
                self._lost = (address, time.monotonic())
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer
        raise EngineError(LOST)

    def _bytes(self) -> int:
        return sum(sent.image.data.nbytes for sent in self._images.values())

    def _predictor(self) -> str:
        """Where the predictor is, waited for while it is started (again)."""
        deadline = time.monotonic() + START
        while not (address := self._address):
            if self._client.status != "running" or time.monotonic() > deadline:
                raise EngineError(LOST)
            found = self._client.run_on_scheduler(_predictor_address)
            lost, when = self._lost
            if found != lost or time.monotonic() > when + GRACE:
                self._address = found
            if not self._address:
                time.sleep(0.05)
        return address


def _predictor_address(dask_scheduler: Any = None) -> str:
    """In the scheduler: the worker that takes the predictor's jobs; "" if there is none at this moment."""
    from distributed.core import Status

    workers = dask_scheduler.workers.values()
    return next((w.address for w in workers if "predictor" in w.resources and w.status == Status.running), "")
