from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_medseg.models import MedicalImage
from napari_medseg.models.durable import WriteError
from napari_medseg.trainer.pictures import (
    BOTH,
    CONFUSED,
    PREDICTED,
    TRUTH,
    draw,
    most_different_plane,
    open_picture_folder,
    shown,
    write_picture,
)

GREY = np.full((800, 800, 3), 100, np.uint8)


def square(rows: slice, columns: slice, label: int = 1, side: int = 800) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    mask[rows, columns] = label
    return mask


def tinted(colour: tuple[int, ...]) -> list[int]:
    """GREY under a tint."""
    return [round(0.6 * 100 + 0.4 * part) for part in colour]


class TestDraw:
    truth, answer = square(np.s_[100:300], np.s_[100:300]), square(np.s_[100:300], np.s_[200:400])
    drawn = draw(GREY, answer, truth)

    def test_the_truth_is_outlined_in_green_and_the_prediction_in_blue(self) -> None:
        assert tuple(self.drawn[200, 100]) == TRUTH
        assert tuple(self.drawn[200, 399]) == PREDICTED

    def test_shared_outlines_have_a_colour_of_their_own(self) -> None:
        assert tuple(self.drawn[100, 250]) == BOTH

    def test_what_is_right_is_as_in_the_image_and_what_is_not_is_tinted(self) -> None:
        assert self.drawn[200, 250].tolist() == self.drawn[500, 500].tolist() == [100, 100, 100]
        assert self.drawn[200, 150].tolist() == tinted(TRUTH)
        assert self.drawn[200, 350].tolist() == tinted(PREDICTED)

    def test_one_class_for_another_is_told_from_missed_and_invented(self) -> None:
        drawn = draw(GREY, self.truth * 2, self.truth)
        assert drawn[200, 200].tolist() == tinted(CONFUSED)

    def test_small_images_are_magnified_so_that_outlines_stay_thin(self) -> None:
        mask = square(np.s_[10:12], np.s_[10:12], side=64)
        drawn = draw(np.full((64, 64, 3), 100, np.uint8), mask, mask)
        assert drawn.shape == (768, 768, 3)
        assert drawn[132, 132].tolist() == [100, 100, 100]  # of an object of two pixels more is seen than its outline

    def test_outlines_of_large_images_are_wider(self) -> None:
        mask = square(np.s_[500:1500], np.s_[500:1500], side=3072)
        drawn = draw(np.full((3072, 3072, 3), 100, np.uint8), mask, mask)
        assert [bool((drawn[1000, 500 + depth] == BOTH).all()) for depth in (0, 2, 3)] == [True, True, False]
        assert drawn[1000, 499].tolist() == [100, 100, 100]


class TestPlanes:
    def test_of_a_volume_the_plane_that_differs_most_is_shown(self) -> None:
        truth = np.zeros((4, 40, 40), np.uint8)
        truth[1:3, 5:30, 5:30] = 1
        answer = truth.copy()
        answer[2, :10] = 0
        assert most_different_plane(answer, truth) == (2,)

    def test_of_a_right_answer_the_plane_with_most_objects_is_shown(self) -> None:
        truth = np.zeros((2, 3, 40, 40), np.uint8)
        truth[1, 2, :20] = 1
        assert most_different_plane(truth, truth) == (1, 2)
        assert most_different_plane(truth[0, 0], truth[0, 0]) == ()

    def test_colours_are_as_they_are_and_other_intensities_are_stretched(self) -> None:
        colours = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
        assert np.array_equal(shown(MedicalImage(colours, "YXC"), ()), colours)
        ramp = np.linspace(500, 4000, 2000).reshape(40, 50).astype(np.uint16)
        grey = shown(MedicalImage(ramp, "YX"), ())
        assert (grey.shape, grey.dtype, grey.min(), grey.max()) == ((40, 50, 3), np.uint8, 0, 255)

    @pytest.mark.parametrize(
        ("axes", "shape"), [("YX", (64, 48)), ("ZYX", (3, 64, 48)), ("ZYXC", (3, 64, 48, 2)), ("TZYX", (2, 3, 64, 48))]
    )
    def test_any_image_makes_one_picture(self, tmp_path: Path, axes: str, shape: tuple[int, ...]) -> None:
        image = MedicalImage(np.random.default_rng(0).normal(size=shape), axes)
        mask = np.zeros(image.mask_shape, np.uint8)
        mask[..., 10:20, 10:20] = 1
        write_picture(tmp_path / "one.png", image, mask, np.roll(mask, 3, -1))
        assert iio.imread(tmp_path / "one.png").shape == (768, 576, 3)
        assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


class TestFolder:
    def test_it_is_made(self, tmp_path: Path) -> None:
        assert open_picture_folder(tmp_path / "a" / "b").is_dir()

    def test_a_file_of_that_name_is_an_error_for_people(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("")
        with pytest.raises(WriteError, match="'taken' could not be written"):
            open_picture_folder(tmp_path / "taken")

    def test_images_are_not_replaced_by_their_pictures(self, tmp_path: Path) -> None:
        with pytest.raises(WriteError, match="could replace the images"):
            open_picture_folder(tmp_path, [tmp_path / "0.png"])
