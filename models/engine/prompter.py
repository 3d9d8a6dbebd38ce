"""Prompts, answered in the predictor process in a thread of their own, so that none waits behind a segmentation.

What a window asks for is `answer`, which dask runs beside the predictor's jobs, not as one of them. This module
imports no torch: the window imports it, to name that function. The segmenter is loaded in the predictor alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError, MedSegError
from ..image import MedicalImage
from ..prompts.prompts import Prompts
from ..prompts.proposal import Proposal
from .gate import GATE
from .loading import ALONE
from .once import once
from .region import Region

log = logging.getLogger(__name__)

KEPT = 8
"""Images at most that are kept, the ones last used."""

KEPT_BYTES = 1_000_000_000
"""Bytes at most that they take together; one image is kept, however large."""

REMEMBERED = 32
"""Answers of which it is known that the segmenter remembers them, which remembers twice as many."""


class UnknownSession(Exception):  # noqa: N818  no fault: the image has to be sent (again)
    """The image of this session is not here: it was not sent yet, gave way to others, or the predictor is a new one."""


@dataclass(frozen=True, eq=False)
class _Kept:
    """An image, and the intensities that become 0 and 1 in it; None for percentiles of its own."""

    image: MedicalImage
    limits: npt.NDArray[np.float64] | None


class Prompter:
    """Keeps the images that are worked on, and the segmenter that knows the last one.

    Args:
        load: gives a `PromptSegmenter`; called when the first prompt comes, or to be ready for it.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._segmenter: Any = None
        self._images: OrderedDict[str, _Kept] = OrderedDict()
        self._started = ""  # session whose image the segmenter holds
        self._answered: OrderedDict[Prompts, Region] = OrderedDict()  # what the segmenter remembers of one object

    def warm(self) -> None:
        """Load the segmenter, and run it once: the first click shall not pay for that."""
        image = np.zeros((64, 64), np.uint8)
        image[20:40, 20:40] = 200
        self._ready().start(MedicalImage(image, "YX"))
        self._ready().propose(Prompts().click((30.0, 30.0)))
        self._started = ""

    def start(self, session: str, image: MedicalImage, limits: npt.NDArray[np.float64] | None = None) -> None:
        """Keep an image under the name of a session, ready for its first prompt.

        Others that were not used for long may have to go.

        Args:
            session: a name of the caller's choice.
            image: a plane of it, say, or a part of a plane.
            limits: (C, 2), intensities that become 0 and 1, so that those of all planes mean the same.
        """
        self._images[session] = _Kept(image, limits)
        self._images.move_to_end(session)
        if self._started == session:
            self._started = ""
        while len(self._images) > 1 and (len(self._images) > KEPT or self._bytes() > KEPT_BYTES):
            self._images.popitem(last=False)
        self._turned_to(session)

    def forget(self, sessions: Collection[str]) -> None:
        """Let go of images; nobody will ask about them any more."""
        for session in sessions:
            self._images.pop(session, None)
            if session == self._started:
                self._started = ""
                self._answered.clear()
                self._segmenter.forget()

    def propose(self, session: str, prompts: Prompts, now: Region) -> Proposal:
        """What the newest prompt makes of an object.

        Args:
            session: whose image was sent with `start`.
            prompts: of the object, all on one plane.
            now: the object on that plane as it is without the newest prompt.

        Raises:
            UnknownSession: its image has to be sent first.
            MedSegError: these prompts cannot be answered; says why.
        """
        image = self._turned_to(session)
        before = prompts.but_newest()
        if now.equals(self._answered.get(before)):
            self._answered.move_to_end(before)  # of a long pull, which all its answers begin with
            return self._remembered(prompts, self._segmenter.propose(prompts))
        self._answered.clear()
        proposal = self._segmenter.propose(prompts, now.on_plane(_plane_shape(image)))
        self._answered[before] = now
        return self._remembered(prompts, proposal)

    def propose_anew(self, session: str, prompts: Prompts, begun: Region) -> Proposal:
        """What all prompts together, one after the other, make of an object, for when one of them was taken back.

        Args:
            session: whose image was sent with `start`.
            prompts: of the object, all on one plane.
            begun: the object on that plane as it was before the first of them.

        Raises:
            UnknownSession: its image has to be sent first.
            MedSegError: these prompts cannot be answered; says why.
        """
        image = self._turned_to(session)
        self._segmenter.turn_to(begun.on_plane(_plane_shape(image)) if begun.bits.any() else None)
        self._answered.clear()
        self._answered[replace(prompts, items=())] = begun
        return self._remembered(prompts, self._segmenter.propose(prompts))

    def _turned_to(self, session: str) -> MedicalImage:
        """The image of a session, which the segmenter looks at from now on."""
        kept = self._images.get(session)
        if kept is None:
            raise UnknownSession(session)
        self._images.move_to_end(session)
        if self._started != session:
            self._started = ""  # neither, if it fails half-way
            self._ready().start(kept.image, limits=kept.limits)
            self._started = session
            self._answered.clear()
        return kept.image

    def _remembered(self, prompts: Prompts, proposal: Proposal) -> Proposal:
        self._answered[prompts] = Region.of(proposal.box, proposal.mask)
        while len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        return proposal

    def _ready(self) -> Any:
        if self._segmenter is None:
            self._segmenter = self._load()
        return self._segmenter

    def _bytes(self) -> int:
        return sum(kept.image.data.nbytes for kept in self._images.values())


def _plane_shape(image: MedicalImage) -> tuple[int, int]:
    height, width = image.mask_shape[-2:]
    return height, width


async def answer(method: str, *args: Any) -> Any:
    """In the predictor: call a method of its `Prompter`.

    Returns:
        What it returned, or the error it raised: raised in dask's hands it would be logged, with the image's name.
    """
    return await asyncio.get_running_loop().run_in_executor(_thread(), _answer, method, *args)


def warm() -> None:
    """In the predictor: be ready for the first prompt, soon."""
    _thread().submit(_warm)


@once
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="prompts", initializer=_take_threads)


@once
def _prompter() -> Prompter:
    return Prompter(_load)


def _load() -> Any:
    with ALONE:
        from ..prompts.segmenter import PromptSegmenter

    return PromptSegmenter.load()


def _take_threads() -> None:
    with ALONE:
        from ..devices import use_threads

    use_threads()  # threads that share one window's work would wait for each other while the panel draws


def _warm() -> None:
    try:
        _prompter().warm()
    except Exception:  # the first prompt will fail, too, and says so
        log.exception("prompts cannot be answered")


def _answer(method: str, *args: Any) -> Any:
    try:
        with GATE.closed():
            return getattr(_prompter(), method)(*args)
    except UnknownSession as error:
        return error
    except MedSegError as error:
        log.info("a prompt could not be answered", exc_info=True)
        return error
    except MemoryError:
        log.exception("a prompt ran out of memory")
        return EngineError("There was not enough memory for this prompt. Close other programs, or use a smaller image.")
    except Exception as error:
        log.exception("a prompt failed")
        return EngineError(
            f"Something unexpected went wrong ({type(error).__name__}: {error}). Nothing of yours was changed; "
            "the details are in the engine's log."
        )
