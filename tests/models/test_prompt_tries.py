"""What is looked through while the size of the object is not known, and what a click says about it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_medseg.models.prompts import Prompts, PromptSegmenter
from napari_medseg.models.prompts.candidates import around, scales
from napari_medseg.models.prompts.mistaking import mistaken
from napari_medseg.models.prompts.prompts import Point, Scribble
from napari_medseg.models.prompts.proposal import Proposal
from napari_medseg.models.prompts.reach import COARSE
from napari_medseg.models.prompts.tries import CHOSEN, MISTAKEN, possible

SHAPE = (400, 420)


def disc(middle: tuple[float, float], radius: float, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.asarray(np.hypot(rows - middle[0], columns - middle[1]) < radius)


BODY = Proposal.of(disc((200, 200), 150), ())


@pytest.mark.parametrize("scale", [1, COARSE // 50])
def test_a_click_that_takes_away_the_thickest_of_a_mask_says_that_another_thing_is_meant(scale: int) -> None:
    shape = (100 * scale, 100 * scale)
    mask = Proposal.of(disc((50 * scale, 50 * scale), 30 * scale, shape), ())
    assert mistaken(mask, Point((50 * scale, 55 * scale), positive=False))
    assert not mistaken(mask, Point((50 * scale, 75 * scale), positive=False))


def test_no_other_prompt_says_so() -> None:
    assert not mistaken(BODY, Point((200, 200)))
    assert not mistaken(BODY, Point((5, 5), positive=False))
    assert not mistaken(BODY, Scribble(((200, 200), (200, 210)), positive=False))
    assert not mistaken(Proposal.nothing(()), Point((200, 200), positive=False))


def test_a_line_too_thin_to_have_a_depth_says_nothing() -> None:
    line = Proposal.of(np.eye(2 * COARSE, dtype=bool)[::-1], ())
    assert not mistaken(line, Point((COARSE, COARSE - 1), positive=False))


@given(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))
def test_whether_another_thing_is_meant_hangs_on_the_depth_of_the_click_alone(row: int, column: int) -> None:
    away = float(np.hypot(row - 200, column - 200))
    if abs(away - 60) > 3:
        assert mistaken(BODY, Point((row, column), positive=False)) == (away < 60)


def test_from_nothing_windows_of_all_widths_are_possible() -> None:
    prompts = Prompts().click((200, 260))
    tries, most = possible(prompts, SHAPE, Proposal.nothing(()), ((200, 260), (200, 260)))
    assert [one.window for one in tries] == scales(prompts, SHAPE)
    assert not any(one.handicap or one.begun.extent for one in tries)
    assert most == CHOSEN


def test_a_click_near_the_border_leaves_the_width_about_as_it_is() -> None:
    assert BODY.extent
    prompts = Prompts().click((200, 260)).click((200, 340), positive=False)
    tries, most = possible(prompts, SHAPE, BODY, BODY.extent)
    side = around(BODY.extent).side
    assert all(side / 2 <= one.window.side <= 2 * side for one in tries)
    assert tries[-1].begun is BODY
    assert not any(one.handicap for one in tries)
    assert most == CHOSEN


def test_where_another_thing_is_meant_all_widths_are_possible_again_and_the_wide_ones_less_likely() -> None:
    assert BODY.extent
    prompts = Prompts().click((200, 260)).click((200, 190), positive=False)
    tries, most = possible(prompts, SHAPE, BODY, BODY.extent)
    assert {one.window for one in tries} >= set(scales(prompts, SHAPE))
    assert tries[-1].begun is BODY
    side = around(BODY.extent).side
    assert [one.handicap > 0 for one in tries] == [one.window.side >= 0.75 * side for one in tries]
    assert most == MISTAKEN


def test_a_first_click_on_one_of_a_kind_is_looked_at_as_if_it_was_as_large_as_the_others() -> None:
    prompts = Prompts().click((200, 260)).expecting((20, 40))
    tries, _ = possible(prompts, SHAPE, Proposal.nothing(()), ((200, 260), (200, 260)))
    assert [one.window.side for one in tries if not one.handicap] == [32, 64]


def test_what_is_known_of_sizes_stays_with_the_prompts_of_an_object() -> None:
    prompts = Prompts().expecting((20, 40)).click((1, 2)).click((3, 4), plane=(2,))
    for other in (prompts.but_newest(), prompts.without(0), prompts.moved(1, 1), prompts.on((2,)), prompts.flat()):
        assert other.sizes == (20, 40)
    assert prompts.but_newest() == Prompts().expecting((20, 40)).click((1, 2))
    assert prompts.flat().plane == ()


@pytest.mark.parametrize("radius", [6, 10])
def test_of_a_spot_in_a_noisy_body_one_click_in_the_body_leaves_the_spot(radius: int) -> None:
    rows, columns = np.indices((512, 512))
    body = ((rows - 256) / 170) ** 2 + ((columns - 250) / 210) ** 2 < 1
    spot = disc((230, 300), radius, body.shape)
    noise = np.random.default_rng(1).normal(0, 15, body.shape)
    image = np.clip(gaussian_filter(20.0 + 100 * body + 25 * spot, 1) + noise, 0, 255).astype(np.uint8)
    segmenter = PromptSegmenter.load(device="cpu")
    segmenter.start(image)
    prompts = Prompts().click((230, 300))
    assert (segmenter.update(prompts) & body).sum() > 0.8 * body.sum()

    found = segmenter.update(prompts.click((256, 190), positive=False))

    assert (found & spot).sum() / (found | spot).sum() > 0.75
