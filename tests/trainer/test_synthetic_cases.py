"""Synthetic images for the training of the prompt network."""

import numpy as np
import pytest
from scipy.ndimage import label

from napari_medseg.trainer.prompt_training.bodies import chest, organs, parenchyma
from napari_medseg.trainer.prompt_training.scenes import anything, cavity, cells, echo, section, skin
from napari_medseg.trainer.prompt_training.synthesis import LARGEST, SMALLEST, synthetic_case, whole_objects

SIDE = 96


@pytest.fixture(scope="module")
def cases() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [synthetic_case(rng, SIDE) for _ in range(100)]


def test_the_same_seed_gives_the_same_case_and_another_another() -> None:
    first, again, other = (synthetic_case(np.random.default_rng(seed), SIDE) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[0].shape != other[0].shape or (first[0] != other[0]).any()


@pytest.mark.parametrize("side", [64, 192, 250])
def test_images_are_as_large_as_asked_for(side: int) -> None:
    image, labels = synthetic_case(np.random.default_rng(1), side)
    assert image.shape[:2] == labels.shape == (side, side)


def test_images_are_bytes_grey_or_coloured(cases: list) -> None:
    assert {image.dtype for image, _ in cases} == {np.dtype(np.uint8)}
    assert {image.shape for image, _ in cases} == {(SIDE, SIDE), (SIDE, SIDE, 3)}


def test_labels_count_from_one_without_gaps_and_each_is_one_piece_of_a_fair_size(cases: list) -> None:
    for _, labels in cases:
        assert labels.dtype == np.uint8
        assert sorted(set(labels.ravel()) | {0}) == list(range(labels.max() + 1))
        assert labels.max() >= 1
        for number in range(1, labels.max() + 1):
            assert SMALLEST <= (labels == number).sum() <= LARGEST * labels.size
            assert label(labels == number)[1] == 1


def test_pieces_too_small_or_too_large_are_no_objects() -> None:
    drawn = np.zeros((50, 50), np.uint8)
    drawn[:40, :40] = 1  # 64 % of the frame
    drawn[45:, :5] = 2  # 25 pixels
    drawn[40:50, 20:40] = 5
    drawn[0, 49] = 5  # a crumb of the same label
    expected = np.zeros_like(drawn)
    expected[40:50, 20:40] = 1
    np.testing.assert_array_equal(whole_objects(drawn), expected)


@pytest.mark.parametrize("scene", [anything, cavity, cells, chest, echo, organs, parenchyma, section, skin])
def test_each_scene_stays_finite(scene) -> None:
    for seed in range(5):
        picture, labels = scene(np.random.default_rng(seed), SIDE)
        assert np.isfinite(picture).all()
        assert picture.shape[:2] == labels.shape == (SIDE, SIDE)


def test_the_cases_vary_in_colour_size_number_contrast_and_place(cases: list) -> None:
    grey = sum(image.ndim == 2 for image, _ in cases)
    shares = np.array([(labels == 1).mean() for _, labels in cases])
    numbers = np.array([labels.max() for _, labels in cases])
    contrasts = np.array([_contrast(image, labels) for image, labels in cases])
    cut = sum(labels[0].any() or labels[-1].any() or labels[:, 0].any() or labels[:, -1].any() for _, labels in cases)
    assert 20 < grey < 80
    assert (shares < 0.03).sum() > 10
    assert (shares > 0.15).sum() > 10
    assert (numbers == 1).sum() > 20
    assert (numbers > 5).sum() > 5
    assert (np.abs(contrasts) < 10).sum() > 7, "objects that hardly differ from what is around them"
    assert (contrasts > 30).sum() > 5
    assert (contrasts < -30).sum() > 5
    assert 10 < cut < 90


def test_hardly_any_image_is_empty(cases: list) -> None:
    assert sum(np.ptp(np.percentile(image, (2, 98))) < 10 for image, _ in cases) <= 5


def _contrast(image: np.ndarray, labels: np.ndarray) -> float:
    """Mean grey of the objects less that of the rest."""
    grey = image.reshape(SIDE, SIDE, -1).mean(2)
    return float(grey[labels > 0].mean() - grey[labels == 0].mean())
