"""Rows of an answer into stores on disk, by a thread of its own, while the network goes on."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..label_store import CHUNK, LabelStore
from .blending import Band
from .partial import Partial
from .sinks import labels_of

Rows = npt.NDArray[Any]

BEHIND = 2
"""Strips that may wait to be written before the network waits for them."""


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
        self._height = labels.shape[-2]
        self._begin = (0, 0)
        self._held: list[tuple[Rows, ...]] = []  # for each store
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
        self._held = []
        return self._begin

    def put(self, band: Band) -> None:
        """Take rows of the answer; those that were done earlier are passed over."""
        known = self._begin[1] if band.plane == self._begin[0] else 0
        if band.stop <= known:
            return
        skipped = max(0, known - band.start)
        answers = labels_of(band)[: len(self._stores)]
        self._held.append(tuple(rows[skipped:] for rows in answers))
        self._plane = band.plane
        stop = self._first + sum(len(rows[0]) for rows in self._held)
        if stop == self._height or stop // CHUNK > self._first // CHUNK:
            self._hand_over(stop if stop == self._height else stop // CHUNK * CHUNK)

    def _hand_over(self, stop: int) -> None:
        """Have the writer write the rows before `stop`."""
        parts = [np.concatenate(part) for part in zip(*self._held, strict=True)]
        count = stop - self._first
        self._held = [tuple(part[count:].copy() for part in parts)]
        while len(self._waiting) >= BEHIND or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()
        rows = [part[:count] for part in parts]
        self._waiting.append(self._writer.submit(self._write, self._plane, self._first, rows))
        self._first = stop
        if stop == self._height:
            self._first, self._held = 0, []

    def _write(self, plane: int, start: int, answers: list[Rows]) -> None:
        index = tuple(int(i) for i in np.unravel_index(plane, self._shape[:-2]))
        stop = start + len(answers[0])
        here = (*(slice(i, i + 1) for i in index), slice(start, stop))
        for store, rows in zip(self._stores, answers, strict=True):
            store.write(here, rows.reshape(*(1,) * len(index), *rows.shape))
        self._partial.reached(*((plane + 1, 0) if stop == self._height else (plane, stop)))
