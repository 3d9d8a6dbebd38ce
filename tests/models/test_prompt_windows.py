"""Windows, and what is drawn in them: nothing moves on the way from pixels to cells and back."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medseg.models.prompts import Prompts
from napari_medseg.models.prompts.candidates import around, scales
from napari_medseg.models.prompts.channels import BOX, LASSO, NEGATIVE, POSITIVE, draw, wanted_signs
from napari_medseg.models.prompts.plane import Plane
from napari_medseg.models.prompts.proposal import Proposal
from napari_medseg.models.prompts.rastering import changed_near, raised, sampled
from napari_medseg.models.prompts.window import SIDE, Window

UNIT = np.array([[0.0, 1.0]])


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    return np.hypot(rows - centre[0], columns - centre[1]) < radius


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


@settings(deadline=None, max_examples=60)
@given(st.integers(40, 400), st.integers(40, 400), st.floats(0.2, 0.8), st.floats(0.2, 0.8), st.floats(8, 60))
def test_a_mask_comes_back_from_a_window_where_it_was(
    height: int, width: int, row: float, column: float, radius: float
) -> None:
    mask = disc((height, width), (row * height, column * width), radius)
    proposal = Proposal.of(mask, ())
    assert proposal.extent
    window = around(proposal.extent)
    cells = sampled(proposal, window)
    back = raised(np.where(cells, 4.0, -4.0).astype(np.float32), window, mask.shape, ())
    assert iou(back.full(mask.shape), mask) > 0.9
    middle, found = (np.argwhere(whole).mean(0) for whole in (mask, back.full(mask.shape)))
    assert np.abs(middle - found).max() < 0.75 * max(1, window.side / SIDE)


@settings(deadline=None, max_examples=60)
@given(st.integers(-40, 300), st.integers(-40, 300), st.integers(20, 500))
def test_what_the_network_sees_lies_where_prompts_are_drawn(top: int, left: int, side: int) -> None:
    row, column = 120, 90
    pixels = np.zeros((240, 260, 1), np.uint8)
    size = max(1, side // 40)
    pixels[row - size : row + size + 1, column - size : column + size + 1] = 255
    window = Window(top, left, side)
    seen, inside = Plane(pixels, np.array([[0.0, 255.0]])).look(window)
    middle = window.cells(((row, column),))[0]
    if not (4 < middle[0] < SIDE - 5 and 4 < middle[1] < SIDE - 5):
        return
    weights = (seen[0] * inside[0]).numpy()
    rows, columns = np.indices(weights.shape)
    found = np.array([(rows * weights).sum(), (columns * weights).sum()]) / weights.sum()
    assert np.abs(found - middle).max() < 0.6


def test_beyond_the_border_there_is_nothing() -> None:
    seen, inside = Plane(np.full((64, 64, 3), 200, np.uint8), np.repeat(UNIT * 255, 3, 0)).look(Window(-64, 0, 128))
    assert inside[0, :63].max() == 0
    assert inside[0, 65:, :63].min() == 1
    assert float(seen[:, :63].abs().max()) == 0


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_becomes_three(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (50, 70, channels), np.uint8)
    seen, _ = Plane(pixels, np.repeat(UNIT * 255, channels, 0)).look(Window(0, 0, 70))
    assert seen.shape == (3, SIDE, SIDE)


def test_each_prompt_has_its_channel() -> None:
    prompts = (
        Prompts()
        .click((10, 10))
        .click((30, 30), positive=False)
        .scribble([(60, 10), (60, 40)])
        .box((80, 80), (100, 110))
        .lasso([(10, 80), (10, 120), (40, 100)])
    )
    drawn = draw(prompts, Window(0, 0, SIDE))
    assert drawn[POSITIVE, 10, 10] == drawn[POSITIVE, 60, 25] == drawn[NEGATIVE, 30, 30] == 1
    assert drawn[BOX, 90, 95] == 1
    assert drawn[BOX, 70, 95] == 0
    assert drawn[LASSO, 20, 100] == 1
    assert drawn[POSITIVE, 30, 30] == 0


def test_a_long_scribble_has_no_gaps() -> None:
    drawn = draw(Prompts().scribble([(5, 5), (120, 100)]), Window(0, 0, SIDE))[POSITIVE]
    for share in np.linspace(0, 1, 200):
        assert drawn[round(5 + 115 * share), round(5 + 95 * share)] == 1


def test_of_contradictory_clicks_the_newest_is_right() -> None:
    prompts = Prompts().click((50, 50)).click((50, 50), positive=False)
    assert wanted_signs(prompts, Window(0, 0, SIDE))[50, 50] == -1


def test_windows_at_a_first_click_reach_from_a_nucleus_to_the_whole_image() -> None:
    windows = scales(Prompts().click((2000, 3000)), (4096, 4096))
    sides = [window.side for window in windows]
    assert min(sides) <= 40
    assert max(sides) >= 4096
    assert all(later <= 2.3 * earlier for earlier, later in itertools.pairwise(sides))


def test_a_correction_changes_only_what_the_click_touches() -> None:
    before = disc((100, 100), (30, 30), 12) | disc((100, 100), (70, 70), 12)
    found = Proposal.of(disc((100, 100), (30, 30), 16), ())
    prompt = Prompts().click((30, 45)).items[0]
    after = changed_near(found, Proposal.of(before, ()), prompt).full((100, 100))
    assert after[30, 44]
    assert np.array_equal(after[60:, 60:], before[60:, 60:])
