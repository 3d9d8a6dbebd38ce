import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import (
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
    get_confusion_matrix,
)
from monai.metrics.confusion_matrix import compute_confusion_matrix_metric
from monai.metrics.f_beta_score import compute_f_beta_score

from napari_medseg.trainer.measures import MEASURES, Measures, mean_of, measure, measure_image
from napari_medseg.trainer.metrics import dice, iou
from napari_medseg.trainer.surfaces import surface_measures

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=7)
LABELS = SHAPES.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))] * 2))


def square(shape: tuple[int, ...], *sides: slice) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[sides] = True
    return mask


def of(predicted: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...] = (), tolerance: float = 1.0) -> Measures:
    return measure(predicted, truth, predicted, spacing or (1.0,) * truth.ndim, tolerance)


def certain(labels: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities of a network that has no doubts, (classes, ...)."""
    return np.stack([labels == label for label in range(classes)]).astype(np.float16)


class TestShares:
    def test_they_are_those_of_the_formulas(self) -> None:
        truth, answer = square((10, 10), np.s_[2:6], np.s_[2:6]), square((10, 10), np.s_[2:6], np.s_[3:9])
        found = of(answer, truth)  # TP 12, FP 12, FN 4, TN 72
        assert found.iou == pytest.approx(12 / 28)
        assert found.dice == pytest.approx(24 / 40)
        assert found.precision == 12 / 24
        assert found.recall == 12 / 16
        assert found.specificity == pytest.approx(72 / 84)
        assert found.accuracy == pytest.approx(84 / 100)
        assert found.f2 == pytest.approx(5 * 0.5 * 0.75 / (4 * 0.5 + 0.75))

    @settings(deadline=None, max_examples=40)
    @given(LABELS)
    def test_they_are_those_of_monai(self, masks: tuple[np.ndarray, np.ndarray]) -> None:
        predicted, truth = (mask > 1 for mask in masks)
        if not (predicted.any() and truth.any() and not truth.all()):
            return  # where MONAI has NaN
        found = of(predicted, truth)
        pair = [torch.from_numpy(mask)[None, None].float() for mask in (predicted, truth)]
        assert found.dice == pytest.approx(float(compute_dice(*pair)))
        assert found.iou == pytest.approx(float(compute_iou(*pair)))
        counts = get_confusion_matrix(*pair)
        for name in ("precision", "recall", "specificity", "accuracy"):
            assert getattr(found, name) == pytest.approx(float(compute_confusion_matrix_metric(name, counts)))
        assert found.f2 == pytest.approx(float(compute_f_beta_score(counts, 2)), abs=1e-6)

    def test_two_empty_masks_agree_in_everything(self) -> None:
        empty = np.zeros((8, 8), bool)
        assert of(empty, empty) == Measures(1, 1, 0, 1, 1, 1, 1, 1, 0, 1)

    def test_an_object_that_was_missed_or_invented_has_no_share_and_no_distance(self) -> None:
        empty, there = np.zeros((8, 8), bool), square((8, 8), np.s_[:4])
        missed, invented = of(empty, there), of(there, empty)
        for found in (missed, invented):
            assert found.iou == found.dice == found.precision == found.recall == found.f2 == found.nsd == 0
            assert found.hd95 is None
        assert (missed.specificity, invented.specificity) == (1, 0.5)
        assert missed.accuracy == invented.accuracy == 0.5

    def test_without_background_nothing_can_be_taken_for_foreground(self) -> None:
        full = np.ones((8, 8), bool)
        assert of(full, full).specificity == 1
        assert of(square((8, 8), np.s_[:4]), full).specificity == 1

    def test_masks_of_other_shapes_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"\(4, 4\), \(4, 5\)"):
            of(np.zeros((4, 4), bool), np.zeros((4, 5), bool))


class TestMae:
    def test_it_is_the_distance_of_the_probability_and_not_of_the_mask(self) -> None:
        truth = square((2, 2), np.s_[0])
        probability = np.array([[0.75, 1.0], [0.5, 0.0]], np.float16)
        assert measure(probability > 0.5, truth, probability, (1, 1), 1).mae == pytest.approx((0.25 + 0.5) / 4)

    def test_of_a_certain_answer_it_is_the_share_of_wrong_pixels(self) -> None:
        truth, answer = square((10, 10), np.s_[2:6], np.s_[2:6]), square((10, 10), np.s_[2:6], np.s_[3:9])
        assert of(answer, truth).mae == pytest.approx(1 - of(answer, truth).accuracy)


class TestSurfaces:
    def test_a_shifted_square_is_as_far_as_it_was_shifted(self) -> None:
        truth, answer = square((30, 30), np.s_[5:15], np.s_[5:15]), square((30, 30), np.s_[5:15], np.s_[8:18])
        hd95, nsd = surface_measures(answer, truth, (1, 1), 3)
        assert hd95 == pytest.approx(3)
        assert nsd == 1
        assert surface_measures(answer, truth, (1, 1), 2.9)[1] < 1

    def test_lengths_follow_the_spacing_of_each_axis(self) -> None:
        truth = square((30, 30), np.s_[5:15], np.s_[5:15])
        for axis, length in ((0, 3 * 0.5), (1, 3 * 2.0)):
            assert surface_measures(np.roll(truth, 3, axis), truth, (0.5, 2.0), length)[0] == pytest.approx(length)

    def test_a_distance_equal_to_the_tolerance_is_within_it(self) -> None:
        truth = square((9, 9), np.s_[4], np.s_[4])
        assert surface_measures(np.roll(truth, 3, 1), truth, (0.1, 0.1), 0.3)[1] == 1
        assert surface_measures(np.roll(truth, 3, 1), truth, (0.1, 0.1), 0.29)[1] == 0

    def test_a_few_far_pixels_do_not_count_for_hd95_but_for_nsd(self) -> None:
        truth = square((60, 60), np.s_[10:40], np.s_[10:40])
        answer = truth.copy()
        answer[58, 58] = True
        hd95, nsd = surface_measures(answer, truth, (1, 1), 1)
        outline = 4 * 29
        assert hd95 == 0
        assert nsd == pytest.approx(2 * outline / (2 * outline + 1))

    def test_volumes_are_measured_across_planes(self) -> None:
        truth = square((9, 20, 20), np.s_[2:5], np.s_[5:15], np.s_[5:15])
        assert surface_measures(np.roll(truth, 2, 0), truth, (5.0, 1.0, 1.0), 1)[0] == pytest.approx(10)

    def test_a_volume_of_one_plane_is_measured_like_the_plane(self) -> None:
        truth, answer = square((30, 30), np.s_[5:15], np.s_[5:15]), square((30, 30), np.s_[4:18], np.s_[5:17])
        volume = surface_measures(answer[np.newaxis], truth[np.newaxis], (5, 1, 1), 1)
        assert volume == surface_measures(answer, truth, (1, 1), 1)

    def test_nothing_is_near_at_another_time(self) -> None:
        truth = np.zeros((3, 20, 20), bool)
        truth[0, 5:9, 5:9] = truth[1, 5:9, 5:9] = True  # frame 2 is empty in both
        answer = truth.copy()
        answer[1] = np.roll(answer[1], 4, 1)
        hd95, nsd = surface_measures(answer, truth, (1, 1), 1)
        alone = surface_measures(answer[1], truth[1], (1, 1), 1)
        assert hd95 == pytest.approx((0 + alone[0] + 0) / 3)
        assert nsd == pytest.approx((1 + alone[1] + 1) / 3)

    @settings(deadline=None, max_examples=40)
    @given(LABELS, st.floats(0.1, 5), st.floats(0.1, 3))
    def test_they_are_those_of_monai_on_the_whole_image(
        self, masks: tuple[np.ndarray, np.ndarray], across: float, tolerance: float
    ) -> None:
        predicted, truth = (mask > 2 for mask in masks)
        if not (predicted.any() and truth.any()):
            return
        spacing = [across, *[1.0] * (truth.ndim - 1)]
        pair = [torch.from_numpy(mask)[None, None] for mask in (predicted, truth)]
        options = {"include_background": True, "spacing": spacing}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = (
                float(compute_hausdorff_distance(*pair, percentile=95, **options)),
                float(compute_surface_dice(*pair, class_thresholds=[tolerance * (1 + 1e-6)], **options)),
            )
        assert surface_measures(predicted, truth, spacing, tolerance) == pytest.approx(theirs)


class TestClasses:
    @settings(deadline=None, max_examples=40)
    @given(LABELS)
    def test_an_image_has_the_mean_over_the_classes_that_either_mask_has(
        self, masks: tuple[np.ndarray, np.ndarray]
    ) -> None:
        predicted, truth = masks
        image, classes = measure_image(predicted, truth, certain(predicted, 4), (1,) * truth.ndim, 1)
        assert set(classes) == (set(np.unique(predicted)) | set(np.unique(truth))) - {0}
        assert image.dice == pytest.approx(dice(predicted, truth))
        assert image.iou == pytest.approx(iou(predicted, truth))
        if classes:
            assert image.recall == pytest.approx(np.mean([found.recall for found in classes.values()]))

    def test_each_class_is_measured_against_all_others(self) -> None:
        truth = np.zeros((8, 8), np.uint8)
        truth[:4], truth[4:6] = 1, 2
        answer = np.where(truth == 2, 1, truth)
        image, classes = measure_image(answer, truth, certain(answer, 3), (1, 1), 1)
        assert classes[1].precision == pytest.approx(32 / 48)
        assert classes[1].recall == 1
        assert classes[2].dice == 0
        assert classes[2].hd95 is None
        assert image.hd95 == classes[1].hd95
        assert classes[1].mae == classes[2].mae == 0.25

    def test_accuracy_of_an_image_is_the_share_of_right_labels(self) -> None:
        truth = np.array([[0, 1, 2, 2]])
        answer = np.array([[0, 2, 1, 2]])
        image, classes = measure_image(answer, truth, certain(answer, 3), (1, 1), 1)
        assert image.accuracy == 0.5
        assert classes[1].accuracy == 0.5
        assert classes[2].accuracy == 0.5

    def test_an_image_without_any_class_agrees_but_for_its_doubts(self) -> None:
        empty = np.zeros((4, 4), np.uint8)
        doubtful = np.stack([np.full((4, 4), share) for share in (0.75, 0.125, 0.125)])
        image, classes = measure_image(empty, empty, doubtful, (1, 1), 1)
        assert (image.dice, image.mae, classes) == (1, 0.25, {})

    def test_a_binary_model_is_judged_by_its_foreground(self) -> None:
        truth, answer = np.array([[0, 1, 2, 3]]), np.array([[0, 1, 1, 0]])
        image, classes = measure_image(answer, truth, certain(answer > 0, 2)[1:], (1, 1), 1)
        assert image.recall == pytest.approx(2 / 3)
        assert classes == {}


class TestMeans:
    def test_hd95_is_averaged_over_those_that_have_one(self) -> None:
        there = square((8, 8), np.s_[:4])
        means = mean_of([of(there, there), of(np.zeros_like(there), there)])
        assert means["hd95"] == 0
        assert means["dice"] == 0.5

    def test_of_nothing_there_are_no_means(self) -> None:
        assert mean_of([]) == dict.fromkeys(MEASURES)
