"""What a block of a benchmark takes of time and memory."""

from __future__ import annotations

import threading
import time

import psutil


class Watched:
    """Time, CPU time and memory of a block.

    Attributes:
        seconds: wall time.
        cpu_seconds: of all threads, user and system.
        extra: the most private memory in the block less that at its beginning, bytes.
    """

    def __enter__(self) -> Watched:
        self._process = psutil.Process()
        self._end = threading.Event()
        self._first = self._most = self._private()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._began, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self._began, time.process_time() - self._cpu
        self._end.set()
        self._thread.join()
        self.extra = self._most - self._first

    def _watch(self) -> None:
        while not self._end.wait(0.005):
            self._most = max(self._most, self._private())

    def _private(self) -> int:
        used = self._process.memory_info()
        return int(used.rss - getattr(used, "shared", 0))
