import numpy as np
import numpy.typing as npt
import pytest

from napari_medseg.models.errors import PromptError
from napari_medseg.models.prompts import PromptSegmenter
from napari_medseg.models.prompts.propagation import reason_to_stop
from napari_medseg.models.prompts.proposal import Proposal


def disc(radius: float, middle: tuple[float, float] = (48, 48)) -> npt.NDArray[np.bool_]:
    rows, columns = np.indices((96, 96))
    return np.hypot(rows - middle[0], columns - middle[1]) < radius


def proposal(mask: npt.NDArray[np.bool_]) -> Proposal:
    return Proposal.of(mask, (7,))


@pytest.fixture(scope="module")
def ball() -> npt.NDArray[np.bool_]:
    """Its radius goes from 0 to 24 and back over 13 planes; nothing is on the outermost three."""
    radii = [0, 0, 0, 12, 18, 22, 24, 22, 18, 12, 0, 0, 0]
    return np.stack([disc(radius) for radius in radii])


@pytest.fixture(scope="module")
def segmenter(ball: npt.NDArray[np.bool_]) -> PromptSegmenter:
    noise = np.random.default_rng(0).normal(0, 8, ball.shape)
    segmenter = PromptSegmenter.load(device="cpu")
    segmenter.start((80 + 90 * ball + noise).clip(0, 255).astype(np.uint8))
    return segmenter


@pytest.mark.parametrize("step", [1, -1])
def test_an_object_is_followed_to_its_end(segmenter: PromptSegmenter, ball: npt.NDArray[np.bool_], step: int) -> None:
    followed = list(segmenter.follow(ball[6], (6,), step))
    planes = [each.proposal.plane[0] for each in followed if not each.reason]
    assert planes == [6 + step * (number + 1) for number in range(len(planes))]
    assert len(planes) >= 3
    assert [bool(each.reason) for each in followed] == [False] * len(planes) + [True]
    assert abs(planes[-1] - 6) <= 4, "it is drawn where it is no more"
    for plane, each in zip(planes[:3], followed, strict=False):
        found = each.proposal.full((96, 96))
        assert (found & ball[plane]).sum() / (found | ball[plane]).sum() > 0.75


def test_the_end_of_the_volume_is_a_reason_too(segmenter: PromptSegmenter) -> None:
    (last,) = segmenter.follow(disc(20), (12,))
    assert "last plane" in last.reason
    assert last.proposal.plane == (12,)


def test_nothing_cannot_be_followed(segmenter: PromptSegmenter) -> None:
    with pytest.raises(PromptError, match="takes a mask of it"):
        next(segmenter.follow(np.zeros((96, 96), bool), (6,)))
    with pytest.raises(PromptError, match="planes up to"):
        next(segmenter.follow(disc(20), (13,)))


@pytest.mark.parametrize(
    ("found", "expected", "why"),
    [
        (disc(20), 0.9, ""),
        (disc(21, (50, 47)), 0.9, ""),
        (disc(0), 0.9, "ended"),
        (disc(40), 0.9, "area"),
        (disc(10), 0.9, "area"),
        (disc(20, (48, 75)), 0.9, "elsewhere"),
        (disc(20, (10, 10)), 0.9, "elsewhere"),
        (disc(20), 0.1, "unsure"),
    ],
)
def test_what_is_doubtful_stops_it(found: npt.NDArray[np.bool_], expected: float, why: str) -> None:
    said = reason_to_stop(proposal(disc(20)), proposal(found), expected)
    assert (why in said) if why else not said


def test_less_than_usual_is_doubtful() -> None:
    assert not reason_to_stop(proposal(disc(20)), proposal(disc(20)), 0.75, usual=0.8)
    assert "unsure" in reason_to_stop(proposal(disc(20)), proposal(disc(20)), 0.75, usual=0.95)


def test_small_ends_may_change_as_they_like() -> None:
    assert not reason_to_stop(proposal(disc(3)), proposal(disc(1.5)), 0.9)
