from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from napari_medseg.models import ModelCard
from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import CancelledError, ImageError, ModelError
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import read_image
from napari_medseg.models.writing import write_mask
from napari_medseg.trainer import folder_planes
from napari_medseg.trainer.folder_config import FolderRequest
from napari_medseg.trainer.folder_plan import EMPTY, plan_training
from napari_medseg.trainer.folder_planes import FolderPlanes
from napari_medseg.trainer.folders import Pair, find_pairs, read_pair, split_pairs
from napari_medseg.trainer.planes import IGNORED, planes_of
from napari_medseg.trainer.samples import Batches
from napari_medseg.trainer.stored_planes import StoredPlanes, store_planes

from ..full_disk import no_file_may_be_larger_than
from .folder_cases import disc, run
from .folder_cases import pair as picture
from .volume_cases import LPS, SPACING, organs, other_way_round, pair, save

CARD = ModelCard(name="tiny", title="tiny", network="unet", classes=4, labels={1: "a", 2: "b", 3: "c"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five volumes, in the flat layout."""
    for seed in range(5):
        pair(tmp_path / "data", f"case{seed}", *organs(seed))
    return tmp_path / "data"


@pytest.fixture
def request_for(folder: Path, tmp_path: Path) -> Callable[..., FolderRequest]:
    def make(**changes: Any) -> FolderRequest:
        few = {"steps": 6, "batch": 2, "crop": 32, "options": {"base": 4}, "lr": 1e-2, "classes": 4}
        return FolderRequest(**{"folder": folder, "out": tmp_path / "out", "network": "unet"} | few | changes)

    return make


def one_pair(folder: Path, mask: np.ndarray, affine: np.ndarray = LPS) -> Pair:
    """An image and the mask given for it."""
    save(folder / "images" / "case.nii.gz", organs(0)[0])
    save(folder / "masks" / "case_mask.nii.gz", mask, affine)
    return find_pairs(folder)[0]


class TestPairs:
    def test_volumes_of_all_formats_are_found_by_their_names(self, folder: Path) -> None:
        image, mask = organs(7)
        for part, array in (("images", image), ("masks", mask)):
            sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / part / "case7.nrrd"))
        (folder / "masks").rename(folder / "labels")
        assert [found.image.name for found in find_pairs(folder)][-2:] == ["case4.nii.gz", "case7.nrrd"]

    def test_a_volume_comes_with_its_spacing_and_its_mask(self, folder: Path) -> None:
        image, mask = read_pair(find_pairs(folder)[1])
        np.testing.assert_array_equal(image.data, organs(1)[0])
        np.testing.assert_array_equal(mask, organs(1)[1])
        assert (image.spacing, image.unit) == (pytest.approx(SPACING), "mm")
        assert not image.lazy

    def test_a_split_keeps_volumes_whole(self, folder: Path) -> None:
        training, validation = split_pairs(find_pairs(folder))
        assert len(training) + len(validation) == 5
        assert not {found.image for found in training} & {found.image for found in validation}
        assert len(validation) == 1

    def test_a_mask_whose_file_runs_the_other_way_lies_on_its_image(self, tmp_path: Path) -> None:
        mask = organs(0)[1]
        image, found = read_pair(one_pair(tmp_path, *other_way_round(mask)))
        np.testing.assert_array_equal(found, mask)
        np.testing.assert_array_equal(image.data, organs(0)[0])

    @pytest.mark.parametrize(("voxels", "allowed"), [(0.05, True), (0.2, False), (1.0, False)])
    def test_a_mask_that_lies_elsewhere_is_refused_with_both_names(
        self, tmp_path: Path, voxels: float, allowed: bool
    ) -> None:
        affine = LPS.copy()
        affine[2, 3] += voxels * SPACING[0]
        found = one_pair(tmp_path, organs(0)[1], affine)
        if allowed:
            read_pair(found)
            return
        said = rf"'case_mask.nii.gz' does not fit 'case.nii.gz'. The mask lies up to {voxels * 3:.3g} mm \({voxels:.2g}"
        with pytest.raises(ImageError, match=said):
            read_pair(found)

    def test_a_mask_with_another_spacing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="voxels are allowed"):
            read_pair(one_pair(tmp_path, organs(0)[1], LPS @ np.diag([1, 1, 1.05, 1])))

    def test_a_mask_of_another_shape_is_refused_with_both_names(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"'case_mask.nii.gz' does not fit 'case.nii.gz'.*\(31, 48, 48\)"):
            read_pair(one_pair(tmp_path, organs(0)[1][1:]))

    def test_a_mask_without_a_place_on_an_image_that_was_turned_is_refused(self, tmp_path: Path) -> None:
        image, mask = organs(0)
        stored, affine = other_way_round(image)
        save(tmp_path / "images" / "case.nii.gz", stored, affine)
        (tmp_path / "masks").mkdir()
        plain = MedicalImage(image, "ZYX", SPACING, "mm")
        write_mask(tmp_path / "masks" / "case.nii.gz", mask[::-1, ::-1, ::-1], plain)
        with pytest.raises(ImageError, match="Where the mask lies in the patient is not in its file"):
            read_pair(find_pairs(tmp_path)[0])

    def test_a_mask_in_a_tiff_is_taken_as_the_image_is_shown(self, tmp_path: Path) -> None:
        image, mask = organs(0)
        stored, affine = other_way_round(image)
        save(tmp_path / "images" / "case.nii.gz", stored, affine)
        (tmp_path / "masks").mkdir()
        write_mask(tmp_path / "masks" / "case.tif", mask, read_image(tmp_path / "images" / "case.nii.gz"))
        np.testing.assert_array_equal(read_pair(find_pairs(tmp_path)[0])[1], mask)


class TestStoredPlanes:
    @pytest.mark.parametrize("context", [0, 2])
    @pytest.mark.parametrize("scale", [1.0, 0.5])
    def test_they_are_the_planes_themselves(self, tmp_path: Path, context: int, scale: float) -> None:
        image, mask = organs(0)
        card = replace(CARD, scale=scale, context=context, in_channels=3 * (2 * context + 1))
        volume = MedicalImage(image, "ZYX", SPACING, "mm")
        stored, kept = store_planes(tmp_path, volume, mask, card), planes_of(volume, mask, card)
        assert len(stored) == len(kept) == 32
        for there, here in zip(stored, kept, strict=True):
            np.testing.assert_array_equal(there.image, here.image)
            np.testing.assert_array_equal(there.target, here.target)

    def test_neighbours_are_channels_and_the_last_slice_is_repeated(self, tmp_path: Path) -> None:
        volume = MedicalImage(organs(0)[0], "ZYX", SPACING, "mm")
        plain = planes_of(volume, organs(0)[1], replace(CARD, in_channels=1))
        card = replace(CARD, in_channels=3, context=1)
        stored = store_planes(tmp_path, volume, organs(0)[1], card)
        for at, wanted in ((0, (0, 0, 1)), (9, (8, 9, 10)), (31, (30, 31, 31))):
            np.testing.assert_array_equal(stored[at].image, np.concatenate([plain[number].image for number in wanted]))

    def test_intensities_are_scaled_over_the_volume_and_not_over_a_slice(self, tmp_path: Path) -> None:
        bright = np.linspace(0, 1000, 32)[:, None, None] * np.ones((1, 48, 48))
        mask = np.ones(bright.shape, np.uint8)
        stored = store_planes(tmp_path, MedicalImage(bright, "ZYX"), mask, CARD)
        assert stored[0].image.max() < 0.05
        assert stored[31].image.min() > 0.95

    def test_slices_with_and_without_objects_are_told_apart_and_ignored_ones_are_neither(self, tmp_path: Path) -> None:
        mask = organs(0)[1]
        mask[-1] = 9
        stored = store_planes(tmp_path, MedicalImage(organs(0)[0], "ZYX"), mask, CARD, ignore=9)
        there = mask[:-1].any(axis=(1, 2))
        np.testing.assert_array_equal(stored.labelled, np.flatnonzero(there))
        np.testing.assert_array_equal(stored.empty, np.flatnonzero(~there))
        assert (stored[31].target == IGNORED).all()

    def test_a_disk_that_is_full_is_told(self, tmp_path: Path) -> None:
        said = "the file would be larger than this disk or account allows"
        with no_file_may_be_larger_than(50_000), pytest.raises(WriteError, match=said):
            store_planes(tmp_path / "slices", MedicalImage(organs(0)[0], "ZYX"), organs(0)[1], CARD)


class TestDrawing:
    @staticmethod
    def stored(folder: Path) -> StoredPlanes:
        return store_planes(folder, MedicalImage(organs(0)[0], "ZYX"), organs(0)[1], CARD)

    @pytest.mark.parametrize(
        ("share", "low", "high"), [(0.0, 0, 0), (0.2, 0.14, 0.26), (1.0, 1, 1), (None, 0.16, 0.28)]
    )
    def test_slices_without_an_object_have_their_share(
        self, tmp_path: Path, share: float | None, low: float, high: float
    ) -> None:
        stored = self.stored(tmp_path)
        draw = np.random.default_rng(0)
        drawn = [stored.drawn(draw, share) for _ in range(600)]
        assert low <= np.isin(drawn, stored.empty).mean() <= high
        assert len(set(drawn)) == len({None: range(32), 0.0: stored.labelled, 1.0: stored.empty}.get(share, range(32)))

    def test_a_volume_without_any_object_is_drawn_from_all_the_same(self, tmp_path: Path) -> None:
        nothing = store_planes(tmp_path, MedicalImage(organs(0)[0], "ZYX"), np.zeros((32, 48, 48), np.uint8), CARD)
        assert {nothing.drawn(np.random.default_rng(seed), 0.0) for seed in range(99)} <= set(range(32))

    def test_a_volume_is_read_once_however_many_crops_are_drawn(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = []

        def counted(found: Pair) -> Any:
            read.append(found.image.name)
            return read_pair(found)

        monkeypatch.setattr(folder_planes, "read_pair", counted)
        pairs = find_pairs(folder)[:2]
        with FolderPlanes(pairs, [32, 32], CARD, None, tmp_path / "slices", limit=0) as planes:
            planes.set_out(lambda share: None)
            batches = Batches(planes, 2, crop=32, batch=8, seed=0, empty=0.1)
            seen = {int(label) for step in range(6) for label in batches[step][1].unique()}
        assert read == ["case0.nii.gz", "case1.nii.gz"]
        assert seen == {0, 1, 2, 3}
        assert not (tmp_path / "slices").exists()


class TestPlan:
    def test_an_epoch_is_every_slice_once(self, request_for: Callable[..., FolderRequest]) -> None:
        plan = plan_training(request_for(steps=None))
        assert plan.planes == [32] * 4
        assert plan.config.training.steps % (4 * 32 // 2) == 0

    def test_empty_slices_have_a_share_where_there_are_slices(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path
    ) -> None:
        assert plan_training(request_for()).config.training.empty == EMPTY
        assert plan_training(request_for(recipe="published")).config.training.empty is None
        assert plan_training(request_for(empty=0.5, out=tmp_path / "b")).config.training.empty == 0.5
        for seed in range(3):
            picture(tmp_path / "pictures", f"{seed}", *disc(seed))
        assert plan_training(request_for(folder=tmp_path / "pictures", classes=1)).config.training.empty is None

    def test_a_context_makes_channels(self, request_for: Callable[..., FolderRequest]) -> None:
        card = plan_training(request_for(context=2)).card
        assert (card.context, card.in_channels) == (2, 5)

    @pytest.mark.parametrize(("changes", "said"), [({"empty": 1.5}, "share of 1.5"), ({"context": 9}, "context of 9")])
    def test_numbers_that_cannot_be(
        self, request_for: Callable[..., FolderRequest], changes: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ModelError, match=said):
            request_for(**changes)


class TestTraining:
    def test_volumes_are_learned_from_and_their_slices_taken_away(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path
    ) -> None:
        (tmp_path / "out" / "slices-0" / "7").mkdir(parents=True)  # of a training that was killed
        said = []
        result = run(request_for(context=1), progress=lambda now: said.append(now.message))
        assert (result.trained_on, result.planes, result.validated_on, result.steps) == (4, 128, 1, 6)
        assert result.epochs == pytest.approx(6 * 2 / 128, abs=0.01)
        assert "Setting out the slices" in said
        assert not list((tmp_path / "out").glob("slices*"))

    def test_one_that_was_stopped_ends_with_the_very_weights_it_would_have_had(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path
    ) -> None:
        whole = run(request_for(out=tmp_path / "whole"))
        steps: list[int] = []
        with pytest.raises(CancelledError):
            run(request_for(), progress=lambda now: steps.append(now.step), cancel=lambda: max(steps, default=0) >= 3)
        assert run(request_for()).weights.read_bytes() == whole.weights.read_bytes()
