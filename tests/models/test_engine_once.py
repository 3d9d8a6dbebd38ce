"""What a process makes once, however many of its threads want it at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_medseg.models.engine.once import once

THREADS = 8


def test_threads_that_come_at_once_get_one_and_the_same() -> None:
    made: list[object] = []
    all_here = threading.Barrier(THREADS)

    @once
    def network() -> object:
        made.append(object())
        return made[-1]

    def wanted() -> object:
        all_here.wait()
        return network()

    with ThreadPoolExecutor(THREADS) as threads:
        given = [job.result() for job in [threads.submit(wanted) for _ in range(THREADS)]]

    assert len(made) == 1
    assert given == made * THREADS


def test_a_thread_that_comes_while_it_is_made_waits_for_it() -> None:
    begun, go_on = threading.Event(), threading.Event()
    made: list[int] = []

    @once
    def network() -> int:
        begun.set()
        go_on.wait()
        made.append(1)
        return 5

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(network)
        begun.wait()
        second = threads.submit(network)
        go_on.set()
        assert (first.result(), second.result()) == (5, 5)

    assert made == [1]


def test_what_fails_is_tried_again() -> None:
    tries: list[int] = []

    @once
    def network() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the disk was away")
        return 5

    with pytest.raises(OSError, match="away"):
        network()
    assert network() == 5
    assert network() == 5
    assert len(tries) == 2
