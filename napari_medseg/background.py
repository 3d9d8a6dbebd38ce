"""Work away from the window's thread, and its results brought back to it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from napari_medseg.models.errors import MedSegError

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Background:
    """Runs slow things in threads of its own and calls back in the window's thread.

    Args:
        post: has a function called in the window's thread, soon; may be called from any thread.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="medseg")
        self._unfinished: set[Future[None]] = set()  # what has to be waited for
        self._closed = False

    def run(
        self,
        work: Callable[[], Result],
        then: Callable[[Result], None] | None = None,
        failed: Callable[[str], None] | None = None,
        *,
        finish: bool = False,
    ) -> None:
        """Call `work` in a thread, then `then` with its result or `failed` with a sentence, in the window's thread.

        With `finish`, `close` waits for it: it writes what must not be lost.
        """

        def task() -> None:
            try:
                result = work()
            except Exception as error:
                said = in_words(error)
                if failed:
                    self.post(lambda: failed(said))
            else:
                if then:
                    self.post(lambda: then(result))

        if self._closed:
            return
        future = self._threads.submit(task)
        if finish:
            self._unfinished.add(future)
            future.add_done_callback(self._unfinished.discard)

    def post(self, call: Callable[[], Any]) -> None:
        """Have `call` called in the window's thread, unless the panel is gone by then."""
        if not self._closed:
            self._post(lambda: None if self._closed else call())

    def post_after(self, seconds: float, call: Callable[[], Any]) -> None:
        """The same, some time later."""
        timer = threading.Timer(seconds, self.post, (call,))
        timer.daemon = True  # nobody waits for it at the end
        timer.start()

    def close(self) -> None:
        """Deliver nothing any more; wait only for what has to be finished, such as a mask on its way to the disk."""
        self._closed = True
        wait(tuple(self._unfinished))
        self._threads.shutdown(wait=False, cancel_futures=True)


def in_words(error: BaseException) -> str:
    """What to tell the user of an error; the traceback goes to the log."""
    if isinstance(error, MedSegError):
        log.info("%s", error, exc_info=error)
        return str(error)
    log.error("unexpected", exc_info=error)
    return f"Something unexpected went wrong ({type(error).__name__}: {error}). The details are in the log."
