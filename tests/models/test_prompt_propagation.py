import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from napari_medseg.models.errors import PromptError
from napari_medseg.models.prompts import PromptSegmenter
from napari_medseg.models.prompts.appearance import Appearance
from napari_medseg.models.prompts.contrast import contrast, faded
from napari_medseg.models.prompts.pieces import to_follow
from napari_medseg.models.prompts.propagation import Known, judged, reason_to_stop
from napari_medseg.models.prompts.proposal import Proposal
from napari_medseg.phantom import ORGANS, ct_phantom, ct_phantom_organs

LIMITS = np.array([[0.0, 200.0]])
PLACE = "slice 7"


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
    said = reason_to_stop(proposal(disc(20)), proposal(found), expected, 0.0, PLACE)
    assert (why in said and PLACE in said) if why else not said


def test_less_than_usual_is_doubtful() -> None:
    assert not reason_to_stop(proposal(disc(20)), proposal(disc(20)), 0.75, 0.8, PLACE)
    assert "unsure" in reason_to_stop(proposal(disc(20)), proposal(disc(20)), 0.75, 0.95, PLACE)


def test_small_ends_may_change_as_they_like() -> None:
    assert not reason_to_stop(proposal(disc(3)), proposal(disc(1.5)), 0.9, 0.0, PLACE)
    assert "ended" in reason_to_stop(proposal(disc(1.5)), proposal(disc(1)), 0.9, 0.0, PLACE)


def test_pieces_that_lie_apart_are_followed_by_themselves_with_crumbs_at_the_largest() -> None:
    two = disc(14, (30, 30)) | disc(9, (70, 70))
    crumb = disc(2, (10, 80))

    first, second = (piece.full((96, 96)) for piece in to_follow(proposal(two | crumb)))

    np.testing.assert_array_equal(first, disc(14, (30, 30)) | crumb)
    np.testing.assert_array_equal(second, disc(9, (70, 70)))
    assert len(to_follow(proposal(disc(14)))) == 1
    specks = np.any([disc(4, (row, column)) for row in (10, 40, 70) for column in (10, 40)], axis=0)
    assert len(to_follow(proposal(specks))) == 1, "more than are worth a look each"


def test_both_of_two_small_pieces_far_apart_are_followed() -> None:
    both = np.zeros((400, 400), bool)
    both[20:40, 20:40] = disc(9)[38:58, 38:58]
    both[360:380, 350:370] = disc(9)[38:58, 38:58]
    noise = np.random.default_rng(0).normal(0, 6, (4, 400, 400))
    segmenter = PromptSegmenter.load(device="cpu")
    segmenter.start((70 + 90 * both + noise).clip(0, 255).astype(np.uint8))

    *drawn, last = segmenter.follow(both, (0,), called="slice")

    assert last.reason == "It reached the last slice."
    for followed in drawn:
        found = followed.proposal.full((400, 400))
        assert (found & both).sum() / (found | both).sum() > 0.8


@pytest.fixture(scope="module")
def in_a_body() -> PromptSegmenter:
    segmenter = PromptSegmenter.load(device="cpu")
    segmenter.start(ct_phantom())
    return segmenter


@pytest.mark.parametrize(
    ("organ", "begin", "step", "ends"),
    [("liver", 8, 1, 12), ("lungs", 10, -1, 7), ("liver", 3, -1, None)],
)
def test_an_organ_is_not_followed_into_the_one_behind_it(
    in_a_body: PromptSegmenter, organ: str, begin: int, step: int, ends: int | None
) -> None:
    """The lungs begin just where the liver ends, and a network that only carries a mask on walks into them."""
    truth = ct_phantom_organs() == ORGANS[organ]

    *drawn, last = in_a_body.follow(truth[begin], (begin,), step, called="slice")

    if ends is None:
        assert last.reason in ("It reached the last slice.", "It reached the first slice.")
    else:
        at = last.proposal.plane[0] + step
        assert abs(at - ends) <= 1
        assert truth[at - step].any(), "it is drawn where it is no more"
        assert f"slice {at}" in last.reason
    found = np.zeros_like(truth)
    for each in drawn:
        found[each.proposal.plane] = each.proposal.full(truth.shape[1:])
    here = [each.proposal.plane[0] for each in drawn]
    assert 2 * (found & truth)[here].sum() / (found[here].sum() + truth[here].sum()) > 0.95


def seen(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pixels (96, 96, 1) with some noise."""
    return (values + np.random.default_rng(0).normal(0, 3, values.shape))[..., None]


LIGHT = seen(np.where(disc(20), 150.0, 60.0))
KNOWN = Known.of(0.9, [(LIGHT, proposal(disc(20)))], LIMITS)


def judge(found: npt.NDArray[np.bool_], pixels: npt.NDArray[np.float64], before: float = 20):
    return judged(proposal(disc(before)), proposal(found), 0.9, KNOWN, pixels, LIMITS, PLACE)


def test_what_does_not_look_like_the_object_is_left_out() -> None:
    narrower = seen(np.where(disc(18), 150.0, 60.0))

    found = judge(disc(20), narrower)

    assert not found.reason
    kept = found.proposal.full((96, 96))
    assert (kept & disc(18)).sum() / (kept | disc(18)).sum() > 0.97


def test_holes_that_look_otherwise_stay() -> None:
    with_vessel = np.where(disc(20), 150.0, 60.0)
    with_vessel[40:44, 40:44] = 199

    kept = judge(disc(20), seen(with_vessel)).proposal.full((96, 96))

    assert kept[40:44, 40:44].all()
    assert (kept & disc(20)).sum() / disc(20).sum() > 0.99


def test_where_most_of_it_looks_otherwise_it_stops_and_says_how() -> None:
    found = judge(disc(20), seen(np.where(disc(12), 150.0, 20.0)), before=20)

    assert "slice 7" in found.reason
    assert "looks different (mean 66 instead of 150)" in found.reason
    np.testing.assert_array_equal(found.proposal.full((96, 96)), disc(20))


def test_where_it_does_not_stand_out_any_more_it_stops() -> None:
    found = judge(disc(20), seen(np.full((96, 96), 150.0)))

    assert "stand out" in found.reason


def judge_on(found: npt.NDArray[np.bool_], planes: list[npt.NDArray[np.float64]]) -> list[str]:
    """Reasons to stop on planes that follow one another, each with the same answer; the first shows the object."""
    known, reasons = Known.of(0.9, [(planes[0], proposal(found))], LIMITS), []
    for pixels in planes[1:]:
        followed = judged(proposal(found), proposal(found), 0.9, known, pixels, LIMITS, PLACE)
        reasons.append(followed.reason)
        known = followed.known
        assert known is not None
    return reasons


def spots(seed: int) -> npt.NDArray[np.float64]:
    """A disc with a pattern of its own inside, always of the same brightness."""
    inside = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, (96, 96)), 2)
    return np.where(disc(20), 120 + 25 * inside / inside.std(), 20)


def test_where_another_object_of_the_same_brightness_begins_it_stops() -> None:
    first, second = spots(1), spots(2)
    fading = [0.8 * first + 0.2 * 120, 0.7 * first + 0.3 * 120]

    *fine, last = judge_on(disc(20), [seen(pixels) for pixels in (first, first, *fading, second)])

    assert fine == [""] * 3
    assert PLACE in last
    assert "does not go on" in last


def test_what_other_labels_left_of_it_is_compared_where_it_is() -> None:
    known = Known.of(0.9, [(seen(spots(1)), proposal(disc(20)))], LIMITS)
    left = disc(20) & (np.indices((96, 96))[0] < 50)

    followed = judged(proposal(left), proposal(disc(20)), 0.9, known, seen(spots(1)), LIMITS, PLACE)

    assert followed.known is not None
    (step,) = followed.known.steps
    assert step.likeness > 0.9


def test_an_object_without_a_pattern_is_followed_through_noise() -> None:
    rng = np.random.default_rng(0)
    planes = [np.where(disc(20), 120, 20)[..., None] + rng.normal(0, 10, (96, 96, 1)) for _ in range(6)]

    assert judge_on(disc(20), planes) == [""] * 5


def test_where_bright_and_dark_are_shared_out_otherwise_it_stops() -> None:
    """Half of it is as dark as the darkest spots of the object were, so none of it is left out."""
    rng = np.random.default_rng(0)
    mottled = np.where(disc(20), np.where(rng.random((96, 96)) < 0.1, 60, 150), 20)
    darker = np.where(disc(20), np.where(rng.random((96, 96)) < 0.1, 150, 60), 20)

    fine, last = judge_on(disc(20), [seen(pixels) for pixels in (mottled, mottled, darker)])

    assert fine == ""
    assert "bright and dark" in last
    assert PLACE in last


def test_a_little_more_light_is_no_other_object() -> None:
    planes = [seen(np.where(disc(20), 120 + drift, 20)) for drift in (0, 2, 4)]

    assert judge_on(disc(20), planes) == ["", ""]


def test_several_slices_show_better_how_an_object_looks() -> None:
    dim = seen(np.where(disc(20), 120.0, 60.0))
    one = Appearance.of([(LIGHT, proposal(disc(20)))], LIMITS)
    both = Appearance.of([(LIGHT, proposal(disc(20))), (dim, proposal(disc(20)))], LIMITS)

    assert one.kept(dim, proposal(disc(20))).extent is None
    np.testing.assert_array_equal(both.kept(dim, proposal(disc(20))).full((96, 96)), disc(20))


def test_the_confidence_of_what_is_left_is_that_of_the_network() -> None:
    found = Proposal.of(disc(20), (7,))
    found.confidence[:] = np.arange(found.confidence.size).reshape(found.mask.shape) % 251
    narrower = seen(np.where(disc(15), 150.0, 60.0))

    kept = KNOWN.appearance.kept(narrower, found)

    whole = np.zeros((96, 96), np.uint8)
    whole[found.box] = found.confidence
    np.testing.assert_array_equal(kept.confidence, whole[kept.box])


SQUARE = np.zeros((40, 40), bool)
SQUARE[10:20, 10:20] = True


def test_contrast_is_how_much_brighter_an_object_is_than_around_it() -> None:
    own = Proposal.of(SQUARE, ())
    image = np.where(SQUARE, 150, 50).astype(np.uint8)[..., None]
    colours = np.concatenate([image, image // 2], -1)
    cut = np.s_[8:22, 8:22]

    np.testing.assert_allclose(contrast(image, own, LIMITS), [0.5])
    np.testing.assert_allclose(contrast(colours, own, np.repeat(LIMITS, 2, 0)), [0.5, 0.25])
    np.testing.assert_allclose(contrast(image[cut], Proposal.of(SQUARE[cut], ()), LIMITS), [0.5])


def test_who_fades_is_gone_and_who_never_stood_out_cannot_fade() -> None:
    bright, dim, none, dark = (np.array([value]) for value in (0.5, 0.3, 0.05, -0.5))

    assert not faded(bright, dim)
    assert faded(bright, none)
    assert faded(bright, dark)
    assert not faded(none, -none)
