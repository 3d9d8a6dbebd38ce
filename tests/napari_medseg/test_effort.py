"""Effort: seconds at work, not seconds with the window open."""

from __future__ import annotations

from napari_medseg.effort import PAUSE, EffortClock


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_time_between_signs_of_life_counts() -> None:
    clock = Clock()
    effort = EffortClock(clock)
    for clock.now in (2.0, 5.0, 9.0):
        effort.touch()

    assert effort.seconds == 9.0


def test_a_coffee_break_counts_as_a_pause_only() -> None:
    clock = Clock()
    effort = EffortClock(clock)
    clock.now = 3600.0
    effort.touch(edit=True)

    assert effort.seconds == PAUSE


def test_edits_are_counted_until_the_restart() -> None:
    effort = EffortClock()
    effort.touch(edit=True)
    effort.touch()
    assert effort.edits == 1

    effort.restart()

    assert effort.edits == 0
    assert effort.seconds < 1
