import pytest

from napari_medseg.trainer import pacing
from napari_medseg.trainer.pacing import Pace


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing.time, "monotonic", clock)
    return clock


def done_in(seconds: float, pace: Pace, clock: Clock) -> None:
    with pace.spending():
        clock.now += seconds


def test_nothing_is_due_sooner_than_wanted(clock: Clock) -> None:
    pace = Pace(every=10, share=1, free=0)
    assert not pace.due()
    clock.now = 11
    assert pace.due()
    done_in(1, pace, clock)
    clock.now += 9
    assert not pace.due()


def test_what_takes_long_is_done_so_rarely_that_it_takes_its_share_at_most(clock: Clock) -> None:
    pace, done = Pace(every=10, share=0.1, free=0), 0
    while clock.now < 1000:
        clock.now += 1
        if pace.due():
            done_in(7, pace, clock)
            done += 1
    assert 0.09 * clock.now < pace.spent < 0.11 * clock.now
    assert done > 10


def test_what_is_quick_is_done_as_often_as_wanted(clock: Clock) -> None:
    pace, done = Pace(every=0, share=0.1, free=5), 0
    for _ in range(100):
        clock.now += 0.01
        if pace.due():
            done_in(0.04, pace, clock)
            done += 1
    assert done == 100
