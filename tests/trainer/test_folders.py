import json
import logging
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medseg.models.errors import ImageError
from napari_medseg.trainer.folders import Pair, find_pairs, read_pair, split_pairs, splits_of


def put(folder: Path, names: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        iio.imwrite(folder / name, np.zeros((32, 32), np.uint8))


def flat(folder: Path, names: Iterable[str], masks: str = "masks") -> Path:
    put(folder / "images", [f"{name}.png" for name in names])
    put(folder / masks, [f"{name}.png" for name in names])
    return folder


def stems(pairs: list[Pair]) -> list[str]:
    return [pair.image.stem for pair in pairs]


class TestLayouts:
    @pytest.mark.parametrize("masks", ["masks", "targets"])
    def test_a_flat_folder_gives_each_image_with_its_mask(self, tmp_path: Path, masks: str) -> None:
        pairs = find_pairs(flat(tmp_path, "ba", masks))
        assert [(pair.image.name, pair.mask.parent.name, pair.mask.name) for pair in pairs] == [
            ("a.png", masks, "a.png"),
            ("b.png", masks, "b.png"),
        ]

    def test_a_folder_of_splits_gives_the_pairs_of_one(self, tmp_path: Path) -> None:
        flat(tmp_path / "train", "ab")
        flat(tmp_path / "test", "c", "targets")
        assert splits_of(tmp_path) == ("train", "test")
        assert stems(find_pairs(tmp_path, "train")) == ["a", "b"]
        assert stems(find_pairs(tmp_path, "test")) == ["c"]

    def test_a_flat_folder_may_name_its_splits(self, tmp_path: Path) -> None:
        flat(tmp_path, "abc")
        (tmp_path / "splits.json").write_text(json.dumps({"train": ["a", "c"], "val": ["b"], "test": []}))
        assert splits_of(tmp_path) == ("train", "val")
        assert stems(find_pairs(tmp_path, "train")) == ["a", "c"]
        assert stems(find_pairs(tmp_path, "val")) == ["b"]
        assert stems(find_pairs(tmp_path)) == ["a", "b", "c"]

    @pytest.mark.parametrize("ending", ["_mask", "_segmentation", "_Segmentation", "_seg", "_gt", "_Annotation"])
    def test_a_mask_may_be_called_as_its_image_with_an_ending(self, tmp_path: Path, ending: str) -> None:
        put(tmp_path / "images", ["ISIC_1.jpg"])
        put(tmp_path / "masks", [f"ISIC_1{ending}.png"])
        assert [pair.mask.stem for pair in find_pairs(tmp_path)] == [f"ISIC_1{ending}"]

    def test_an_image_that_itself_ends_so_finds_its_own_mask(self, tmp_path: Path) -> None:
        put(tmp_path / "images", ["a.png", "a_seg.png"])
        put(tmp_path / "masks", ["a.png", "a_seg.png"])
        assert [(pair.image.stem, pair.mask.stem) for pair in find_pairs(tmp_path)] == [("a", "a"), ("a_seg", "a_seg")]

    def test_other_files_and_ome_endings_do_not_matter(self, tmp_path: Path) -> None:
        put(tmp_path / "images", ["a.png"])
        put(tmp_path / "masks", ["a.png"])
        (tmp_path / "images" / "notes.txt").write_text("no image")
        (tmp_path / "images" / "._a.png").write_text("a companion")
        assert stems(find_pairs(tmp_path)) == ["a"]


class TestWhatIsWrong:
    @pytest.mark.parametrize("part", ["", "images", "masks"])
    def test_a_folder_without_pairs_says_what_it_needs(self, tmp_path: Path, part: str) -> None:
        (tmp_path / part).mkdir(exist_ok=True)
        with pytest.raises(
            ImageError, match=r"has no pairs.*It needs a folder images and a folder masks \(or targets\)"
        ):
            find_pairs(tmp_path)

    def test_a_split_without_pairs_is_named(self, tmp_path: Path) -> None:
        flat(tmp_path / "train", "a")
        with pytest.raises(ImageError, match="has no pairs of an image and a mask for 'val'"):
            find_pairs(tmp_path, "val")

    def test_images_without_a_mask_are_left_out_and_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        flat(tmp_path, "a")
        put(tmp_path / "images", [f"z{number}.png" for number in range(7)])
        put(tmp_path / "masks", ["lone.png"])
        with caplog.at_level(logging.WARNING):
            assert stems(find_pairs(tmp_path)) == ["a"]
        assert "7 images have no mask and will be left out: z0.png, z1.png, z2.png, z3.png, z4.png and 2 more." in (
            caplog.text
        )
        assert "1 mask has no image and will be left out: lone.png." in caplog.text

    @pytest.mark.parametrize(
        ("part", "names"), [("images", ["a.png", "a.jpg"]), ("masks", ["a.png", "a.tif"]), ("masks", ["a_gt.png"])]
    )
    def test_two_files_of_one_name_are_refused(self, tmp_path: Path, part: str, names: list[str]) -> None:
        put(flat(tmp_path, "a") / part, names)
        with pytest.raises(ImageError, match=r"both 'a.* and 'a.* are called 'a'. Keep one"):
            find_pairs(tmp_path)

    def test_masks_in_two_places_are_refused(self, tmp_path: Path) -> None:
        put(flat(tmp_path, "a") / "targets", ["a.png"])
        with pytest.raises(ImageError, match="both masks and targets"):
            find_pairs(tmp_path)

    @pytest.mark.parametrize("text", ["{", "[1]", '{"train": 3}', '{"train": ["a"], "val": ["a"]}'])
    def test_splits_that_cannot_be_followed_are_refused(self, tmp_path: Path, text: str) -> None:
        (flat(tmp_path, "ab") / "splits.json").write_text(text)
        with pytest.raises(ImageError, match=r"splits.json"):
            find_pairs(tmp_path, "train")

    def test_names_of_a_split_that_are_not_there_are_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (flat(tmp_path, "ab") / "splits.json").write_text('{"train": ["a", "x"]}')
        assert stems(find_pairs(tmp_path, "train")) == ["a"]
        assert "1 of the 2 names of 'train' in splits.json" in caplog.text


class TestReading:
    def test_a_pair_is_read_with_its_mask_on_the_image(self, tmp_path: Path) -> None:
        image, mask = read_pair(find_pairs(flat(tmp_path, "a"))[0])
        assert image.mask_shape == mask.shape == (32, 32)

    @pytest.mark.parametrize(
        ("image", "mask", "said"),
        [
            ((31, 40), (31, 40), "'a.png' is 40 x 31 pixels, but each side needs 32"),
            ((32, 40), (40, 32), r"'a.png' does not fit 'a.png'. The mask has shape \(40, 32\)"),
        ],
    )
    def test_pairs_that_cannot_be_used_are_refused_by_name(
        self, tmp_path: Path, image: tuple[int, int], mask: tuple[int, int], said: str
    ) -> None:
        for part, shape in (("images", image), ("masks", mask)):
            (tmp_path / part).mkdir()
            iio.imwrite(tmp_path / part / "a.png", np.zeros(shape, np.uint8))
        with pytest.raises(ImageError, match=said):
            read_pair(find_pairs(tmp_path)[0])


class TestGroups:
    def test_each_file_is_a_group_of_its_own_whatever_its_name(self, tmp_path: Path) -> None:
        pairs = find_pairs(flat(tmp_path, ["s01_f001", "s01_f002"]))
        assert len({pair.group for pair in pairs}) == 2

    def test_groups_csv_says_which_images_belong_together(self, tmp_path: Path) -> None:
        flat(tmp_path, "abc")
        (tmp_path / "groups.csv").write_text("image,group\na.png,one\nb,one\nc.png,two\n")
        assert [pair.group for pair in find_pairs(tmp_path)] == ["one", "one", "two"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("name,patient\na,1\n", "first line is image,group"),
            ("image,group\na,1\n", "says nothing about 1 of the 2 images: b"),
            ("image,group\na,1\nb,\n", "names no group for b"),
        ],
    )
    def test_groups_that_cannot_be_followed_are_refused(self, tmp_path: Path, text: str, said: str) -> None:
        (flat(tmp_path, "ab") / "groups.csv").write_text(text)
        with pytest.raises(ImageError, match=said):
            find_pairs(tmp_path)


class TestSplit:
    @given(
        st.lists(st.integers(0, 8), min_size=2, max_size=40).filter(lambda groups: len(set(groups)) > 1),
        st.floats(0.05, 0.95),
        st.integers(0, 5),
    )
    def test_no_group_is_on_both_sides_and_no_side_is_empty(self, groups: list[int], share: float, seed: int) -> None:
        pairs = [Pair(Path(f"{k}.png"), Path(f"{k}.png"), str(group)) for k, group in enumerate(groups)]
        training, validation = split_pairs(pairs, share, seed)
        assert training
        assert validation
        assert not {pair.group for pair in training} & {pair.group for pair in validation}
        assert sorted(training + validation, key=pairs.index) == pairs

    def test_about_the_share_is_held_out(self) -> None:
        pairs = [Pair(Path(f"{k}.png"), Path(f"{k}.png"), str(k)) for k in range(50)]
        assert len(split_pairs(pairs, 0.2)[1]) == 10

    def test_the_seed_fixes_it_whatever_the_order(self) -> None:
        pairs = [Pair(Path(f"{k}.png"), Path(f"{k}.png"), str(k)) for k in range(20)]
        one, other = split_pairs(pairs)[1], split_pairs(pairs[::-1])[1]
        assert set(one) == set(other)
        assert set(split_pairs(pairs, seed=1)[1]) != set(one)

    def test_one_group_cannot_be_split(self) -> None:
        pairs = [Pair(Path(f"{k}.png"), Path(f"{k}.png"), "one") for k in range(3)]
        with pytest.raises(ImageError, match="at least two images, of two patients"):
            split_pairs(pairs)


def test_it_is_imported_without_torch() -> None:
    code = "import sys, napari_medseg.trainer.folders, napari_medseg.trainer.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
