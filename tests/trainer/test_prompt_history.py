from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_medseg.models.prompts.channels import MASK, MASKED, NEGATIVE, POSITIVE, RADIUS
from napari_medseg.models.prompts.network import PROMPT_CHANNELS
from napari_medseg.models.prompts.window import SIDE
from napari_medseg.trainer.prompt_training.cases import CLICKS, SMALLEST, Case, Cases, Labelled, begun
from napari_medseg.trainer.prompt_training.history import carried, corrected, guess

Mask = npt.NDArray[np.bool_]


def ellipse(row: float = 64, column: float = 60, high: float = 30, wide: float = 18) -> Mask:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return np.asarray(((rows - row) / high) ** 2 + ((columns - column) / wide) ** 2 <= 1)


def long_correction(truth: Mask, clicks: int, seed: int) -> npt.NDArray[np.float32]:
    drawn = np.zeros((PROMPT_CHANNELS, SIDE, SIDE), np.float32)
    corrected(drawn, truth, np.zeros_like(truth), clicks, np.random.default_rng(seed))
    return drawn


def iou(mask: Mask, truth: Mask) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


@settings(deadline=None, max_examples=30)
@given(st.integers(1, CLICKS), st.integers(0, 10**6))
def test_clicks_lie_where_they_belong_and_there_is_a_mask(clicks: int, seed: int) -> None:
    truth = ellipse()
    drawn = long_correction(truth, clicks, seed)
    surely_in = ndimage.binary_dilation(truth, iterations=2 * RADIUS)
    surely_out = ndimage.binary_dilation(~truth, iterations=2 * RADIUS)
    assert drawn[POSITIVE].any()
    assert not (drawn[POSITIVE] > 0)[~surely_in].any()
    assert not (drawn[NEGATIVE] > 0)[~surely_out].any()
    assert drawn[MASKED].all()
    assert set(np.unique(drawn[MASK])) <= {0, 1}


def test_the_mask_is_the_better_the_more_was_clicked() -> None:
    truth = ellipse()
    after = {
        clicks: np.mean([iou(long_correction(truth, clicks, seed)[MASK] > 0, truth) for seed in range(25)])
        for clicks in (1, 5, 20)
    }
    assert after[1] < after[5] < after[20]
    assert after[20] > 0.9


def test_the_last_click_has_not_yet_had_its_effect() -> None:
    truth = ellipse()
    drawn = [long_correction(truth, 3, seed) for seed in range(20)]
    assert sum(bool(((one[MASK] > 0) ^ truth).any()) for one in drawn) >= 18


def test_a_guess_is_about_the_object_but_not_it() -> None:
    truth, rng = ellipse(), np.random.default_rng(0)
    found = [iou(guess(truth, np.zeros_like(truth), rng), truth) for _ in range(40)]
    assert max(found) < 1
    assert np.median(found) > 0.5


def case_of(truth: Mask) -> Case:
    image, inside = torch.zeros(3, SIDE, SIDE), torch.ones(1, SIDE, SIDE)
    return Case(image, inside, truth, np.zeros_like(truth), float(truth.sum()))


def test_some_long_corrections_are_of_borders_that_the_image_does_not_show() -> None:
    truth, rng = ellipse(), np.random.default_rng(0)
    cases = [begun(case_of(truth), rng) for _ in range(60)]
    assert all(2 <= case.clicks <= CLICKS for case in cases)
    other = [case for case in cases if (case.truth ^ truth).any()]
    assert 10 <= len(other) <= 35
    assert all(case.cells == pytest.approx(case.truth.sum()) for case in other)


def test_an_object_that_is_cut_off_stays_as_much_larger_as_it_was() -> None:
    whole, rng = replace(case_of(ellipse()), cells=3 * float(ellipse().sum())), np.random.default_rng(0)
    for _ in range(20):
        case = begun(whole, rng)
        assert case.cells == pytest.approx(3 * case.truth.sum())


def test_a_border_that_is_not_seen_lies_inside_the_image_all_the_same() -> None:
    inside, rng = torch.ones(1, SIDE, SIDE), np.random.default_rng(0)
    inside[..., 66:] = 0
    cut = ellipse() & (inside[0].numpy() > 0)
    for _ in range(20):
        assert not begun(replace(case_of(cut), inside=inside), rng).truth[:, 66:].any()


def test_a_coarser_image_is_smoothed_for_wide_windows_as_any_is() -> None:
    labels = np.ones((1000, 1000), np.uint8)
    assert len(Labelled.of(labels, labels).coarser(1.5, np.random.default_rng(0)).levels) == 3


@pytest.mark.parametrize("factor", [1.5, 4.0])
def test_a_coarser_image_has_its_objects_in_the_same_place(factor: float) -> None:
    labels = np.zeros((96, 120), np.uint8)
    labels[20:60, 30:80] = 1
    labels[70:73, 100:103] = 2  # too small to be seen then
    coarse = Labelled.of(labels * 100, labels).coarser(factor, np.random.default_rng(0))
    assert list(coarse.boxes) == [1]
    rows, columns = coarse.boxes[1]
    assert abs(rows.start - 20 / factor) <= 1
    assert abs(columns.stop - 80 / factor) <= 1
    assert coarse.levels[0].shape[2:] == coarse.labels.shape[2:]
    seen = coarse.levels[0][0, 0, rows, columns]
    assert float(seen.mean()) > 85
    assert (coarse.labels == 1).sum() >= SMALLEST


def test_cases_of_all_kinds_come() -> None:
    cases = Cases([], drawn=6, share=1.0, seed=0)
    given = [cases.next() for _ in range(40)]
    assert 4 <= sum(case.clicks > 0 for case in given) <= 22
    assert all(case.truth.sum() >= 12 and not (case.truth & case.others).any() for case in given)


def test_an_object_that_is_followed_comes_with_its_neighbour_and_a_click_in_the_middle_of_that() -> None:
    truth, rng = ellipse(), np.random.default_rng(0)
    overlaps, sizes = [], []
    for _ in range(40):
        drawn = np.zeros((PROMPT_CHANNELS, SIDE, SIDE), np.float32)
        carried(drawn, truth, np.zeros_like(truth), rng)
        before = drawn[MASK] > 0
        assert drawn[MASKED].all()
        assert (truth & (drawn[POSITIVE] > 0)).any()
        assert not drawn[NEGATIVE].any() or not (before & truth).any()
        overlaps.append(iou(before, truth))
        sizes.append(before.sum() / truth.sum())
    assert 0.3 < np.median(overlaps) < 0.9
    assert min(sizes) < 0.7
    assert max(sizes) > 1.4
