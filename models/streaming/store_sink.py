"""Rows of an answer into stores on disk, by a thread of its own, while the network goes on."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..label_store import CHUNK, LabelStore
from .blending import Block
from .partial import Partial
from .sinks import labels_of

Rows = npt.NDArray[Any]

BEHIND = 1
"""Strips that may wait to be written before the network waits for them."""

WIDE = 4 * CHUNK
"""Columns that are written at once: the smaller levels take some times their memory."""


class StoreSink:
    """Into a store, a row of chunks at a time; what is written is noted, and not wanted again.

    A context: at its end all has been written that was given, or the error is raised that kept it from being.

    Args:
        partial: what the stores belong to; knows how far they are.
        labels: store of the labels.
        confidence: store of the confidence, if that is wanted.
    """

    def __init__(self, partial: Partial, labels: LabelStore, confidence: LabelStore | None) -> None:
        self._partial = partial
        self._stores = [labels] if confidence is None else [labels, confidence]
        self._shape = labels.shape
        self._height, self._width = labels.shape[-2:]
        self._begin = (0, 0)
        self._held = self._nothing()
        self._whole = 0  # rows of those that are there from border to border
        self._plane, self._first = 0, 0  # of the rows that are held
        self._waiting: deque[Future[None]] = deque()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")

    def __enter__(self) -> StoreSink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._writer.shutdown(wait=True)
        if error is None:
            while self._waiting:
                self._waiting.popleft().result()

    def begin(self, tile: int) -> tuple[int, int]:
        """Where the earlier call stopped; the beginning, if it had tiles of another side."""
        while self._waiting:
            self._waiting.popleft().result()
        if self._partial.tile != tile:
            self._partial.tile, self._partial.plane, self._partial.row = tile, 0, 0
            self._partial.note()
        self._begin = self._plane, self._first = self._partial.plane, self._partial.row
        self._held, self._whole = self._nothing(), 0
        return self._begin

    def put(self, block: Block) -> None:
        """Take a part of the answer; rows that were done earlier are passed over."""
        known = self._begin[1] if block.plane == self._begin[0] else 0
        if block.bottom <= known:
            return
        answers = [answer[max(0, known - block.top) :] for answer in labels_of(block)]
        bottom = self._whole + len(answers[0])
        if block.left == 0:
            more = np.empty((len(answers[0]), self._width), np.uint8)
            self._held = [np.concatenate((held, more)) for held in self._held]
        for held, answer in zip(self._held, answers, strict=False):
            held[self._whole : bottom, block.left : block.right] = answer
        if block.right < self._width:
            return
        self._plane, self._whole = block.plane, bottom
        stop = self._first + self._whole
        if stop == self._height or stop // CHUNK > self._first // CHUNK:
            self._hand_over(stop if stop == self._height else stop // CHUNK * CHUNK)

    def _hand_over(self, stop: int) -> None:
        """Have the writer write the rows before `stop`."""
        count = stop - self._first
        rows = [held[:count] for held in self._held]
        self._held, self._whole = [held[count:].copy() for held in self._held], self._whole - count
        while len(self._waiting) >= BEHIND or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._writer.submit(self._write, self._plane, self._first, rows))
        self._first = stop
        if stop == self._height:
            self._first, self._held = 0, self._nothing()

    def _nothing(self) -> list[Rows]:
        """No rows yet, for each store."""
        return [np.empty((0, self._width), np.uint8) for _ in self._stores]

    def _write(self, plane: int, start: int, answers: list[Rows]) -> None:
        index = tuple(int(i) for i in np.unravel_index(plane, self._shape[:-2]))
        stop = start + len(answers[0])
        planes = [slice(i, i + 1) for i in index]
        for store, rows in zip(self._stores, answers, strict=True):
            for left in range(0, self._width, WIDE):
                part = rows[:, left : left + WIDE]
                here = *planes, slice(start, stop), slice(left, left + part.shape[1])
                store.write(here, part.reshape(*(1,) * len(index), *part.shape))
        self._partial.reached(*((plane + 1, 0) if stop == self._height else (plane, stop)))
