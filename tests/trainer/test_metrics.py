import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_medseg.trainer.metrics import dice, iou

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, max_side=8)
MASKS = SHAPES.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))] * 2))


@given(MASKS)
def test_figures_are_from_0_to_1_and_do_not_care_who_is_first(masks: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = masks
    for measure in (dice, iou):
        assert 0 <= measure(one, other) <= 1
        assert measure(one, other) == measure(other, one)
        assert measure(one, one) == 1
        assert (measure(one, other) == 1) == np.array_equal(one, other)


@given(MASKS)
def test_of_one_label_dice_and_iou_say_the_same(masks: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = (mask > 0 for mask in masks)
    overlap = iou(one, other)
    assert dice(one, other) == pytest.approx(2 * overlap / (1 + overlap))


@given(MASKS, st.integers(2, 250))
def test_neither_type_nor_names_of_labels_matter(masks: tuple[np.ndarray, np.ndarray], factor: int) -> None:
    one, other = (mask.astype(np.uint32) * factor for mask in masks)
    assert dice(one, other) == dice(*masks)


def test_figures_are_those_of_the_formula() -> None:
    truth, answer = np.zeros((2, 10, 10), np.uint8)
    truth[2:6, 2:6], answer[2:6, 4:8] = 1, 1
    assert dice(answer, truth) == 0.5
    assert iou(answer, truth) == pytest.approx(1 / 3)


def test_labels_count_alike_whatever_their_size() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[:8], truth[9, 9] = 1, 2
    answer = truth * (truth == 1)
    assert dice(answer, truth) == iou(answer, truth) == 0.5


def test_two_empty_masks_agree_and_one_empty_mask_does_not() -> None:
    empty, full = np.zeros((4, 4)), np.ones((4, 4))
    assert dice(empty, empty) == iou(empty, empty) == 1
    assert dice(empty, full) == iou(full, empty) == 0


def test_masks_of_other_shapes_are_refused() -> None:
    for measure in (dice, iou):
        with pytest.raises(ValueError, match=r"\(4, 4\) and \(4, 5\)"):
            measure(np.zeros((4, 4)), np.zeros((4, 5)))
