import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medseg.models import MedicalImage, ModelCard
from napari_medseg.models.errors import ImageError, ModelError
from napari_medseg.models.intensity import intensity_limits, normalise
from napari_medseg.trainer.config import CHOICES
from napari_medseg.trainer.planes import IGNORED, Plane, planes_of
from napari_medseg.trainer.samples import Batches, KeptPlanes, _corner, _cut

BINARY = ModelCard(name="one", title="One", network="unet")
THREE = ModelCard(name="three", title="Three", network="unet", classes=3)


def plane(height: int, width: int, label: int = 1) -> Plane:
    """Noise with a block of one label."""
    image = np.random.default_rng(height).random((3, height, width), np.float32)
    target = np.zeros((1, height, width), np.uint8)
    target[:, height // 4 : height // 2, width // 4 : width // 2] = label
    return Plane(image, target)


def batches(*planes: Plane, crop: int = 32, batch: int = 4, seed: int = 0) -> Batches:
    return Batches([[p] for p in planes].__getitem__, len(planes), crop=crop, batch=batch, seed=seed)


class TestBatches:
    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 10**6), step=st.integers(0, 10**6))
    def test_a_batch_depends_on_the_seed_and_the_step_alone(self, seed: int, step: int) -> None:
        one, other = (batches(plane(40, 50), plane(60, 30), seed=seed) for _ in range(2))
        other[step + 1], other[0]
        np.random.default_rng().random()
        for a, b in zip(one[step], other[step], strict=True):
            assert torch.equal(a, b)

    def test_another_seed_or_step_gives_another_batch(self) -> None:
        first = batches(plane(64, 64))[0][0]
        assert not torch.equal(first, batches(plane(64, 64))[1][0])
        assert not torch.equal(first, batches(plane(64, 64), seed=1)[0][0])

    @settings(max_examples=20, deadline=None)
    @given(height=st.integers(1, 90), width=st.integers(1, 90), step=st.integers(0, 100))
    def test_images_are_finite_and_labels_whole_whatever_the_size_of_the_plane(
        self, height: int, width: int, step: int
    ) -> None:
        images, labels = batches(plane(height, width, label=2), crop=32, batch=2)[step]
        assert images.shape == (2, 3, 32, 32)
        assert labels.shape == (2, 1, 32, 32)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.uint8)
        assert images.isfinite().all()
        assert set(labels.unique().tolist()) <= {0, 2}

    def test_every_case_is_drawn_as_often_as_any_other_however_many_planes_it_has(self) -> None:
        drawn = []
        cases = [[plane(32, 32)], [plane(32, 32)] * 20]

        def planes(case: int) -> list[Plane]:
            drawn.append(case)
            return cases[case]

        source = Batches(planes, 2, crop=32, batch=8, seed=0)
        for step in range(25):
            source[step]
        assert 70 < drawn.count(0) < 130
        assert len(drawn) == 200

    def test_a_small_object_is_seen_in_about_every_other_crop(self) -> None:
        rare = plane(400, 400)
        rare.target[:] = 0
        rare.target[0, 300:304, 50:54] = 1
        source = batches(rare, batch=8)
        seen = sum(int(label.any()) for step in range(12) for label in source[step][1])
        assert seen > 25

    def test_image_and_labels_are_moved_together(self) -> None:
        bright = plane(80, 80)
        bright.image[:] = bright.target
        images, labels = batches(bright, crop=64, batch=16)[3]
        inside, outside = images[labels.expand_as(images) > 0].mean(), images[labels.expand_as(images) == 0].mean()
        assert inside > outside + 0.5

    @pytest.mark.parametrize("augmentation", CHOICES["augmentation"])
    def test_every_augmentation_keeps_labels_whole_and_ignored_pixels_ignored(self, augmentation: str) -> None:
        marked = plane(48, 48, label=2)
        marked.target[:, :6] = IGNORED
        source = Batches([[marked]].__getitem__, 1, crop=32, batch=8, seed=0, augmentation=augmentation)
        images, labels = source[0]
        assert images.isfinite().all()
        assert set(labels.unique().tolist()) == {0, 2, IGNORED}
        assert torch.equal(source[0][0], images)

    def test_without_augmentation_crops_are_pieces_as_they_are(self) -> None:
        whole = plane(32, 32)
        images, labels = Batches([[whole]].__getitem__, 1, crop=32, batch=2, seed=0, augmentation="none")[0]
        assert np.array_equal(images[1], whole.image)
        assert np.array_equal(labels[1], whole.target)

    def test_each_device_draws_its_own_share_of_a_batch(self) -> None:
        one, other = (
            Batches([[plane(64, 64)]].__getitem__, 1, crop=32, batch=6, seed=0, rank=rank, ranks=2)[0][0]
            for rank in (0, 1)
        )
        assert len(one) == len(other) == 3
        assert not torch.equal(one, other)


class TestKeptPlanes:
    def test_no_more_bytes_are_kept_than_allowed_and_those_used_last_stay(self) -> None:
        read = []

        def planes(case: int) -> list[Plane]:
            read.append(case)
            return [plane(16, 16)]

        kept = KeptPlanes(planes, limit=2 * plane(16, 16).nbytes)
        for case in (0, 1, 0, 2, 0):
            assert len(kept(case)) == 1
            assert kept.nbytes <= 2 * plane(16, 16).nbytes
        assert read == [0, 1, 2]
        kept(1)
        assert read == [0, 1, 2, 1]

    def test_a_case_that_is_too_large_is_kept_alone(self) -> None:
        read = []

        def planes(case: int) -> list[Plane]:
            read.append(case)
            return [plane(16, 16)] * (9 if case == 1 else 1)

        kept = KeptPlanes(planes, limit=2 * plane(16, 16).nbytes)
        for case in (0, 1, 1, 0, 0):
            kept(case)
        assert read == [0, 1, 0]
        assert kept.nbytes == plane(16, 16).nbytes

    def test_a_plane_counts_image_and_target(self) -> None:
        assert plane(16, 16).nbytes == 16 * 16 * (3 * 4 + 1)


class TestCrops:
    @given(st.integers(1, 100), st.integers(1, 100), st.integers(1, 40), st.integers(0, 99))
    def test_a_crop_lies_in_its_plane(self, height: int, width: int, crop: int, seed: int) -> None:
        target = plane(height, width).target[0]
        row, column = _corner(np.random.default_rng(seed), target, crop)
        assert 0 <= row <= max(0, height - crop)
        assert 0 <= column <= max(0, width - crop)

    def test_what_a_small_plane_lacks_is_mirrored(self) -> None:
        piece = np.array([[[1, 2], [3, 4]]])
        assert np.array_equal(_cut(piece, (0, 0), 4)[0], [[1, 2, 2, 1], [3, 4, 4, 3], [3, 4, 4, 3], [1, 2, 2, 1]])

    def test_of_a_large_plane_nothing_is_mirrored(self) -> None:
        piece = np.arange(36).reshape(1, 6, 6)
        assert np.array_equal(_cut(piece, (2, 3), 3), piece[:, 2:5, 3:6])

    def test_no_crop_is_centred_on_an_ignored_pixel_on_purpose(self) -> None:
        target = np.zeros((400, 400), np.uint8)
        target[390:, 390:] = IGNORED
        corners = [_corner(np.random.default_rng(seed), target, 32) for seed in range(40)]
        assert sum(row > 350 and column > 350 for row, column in corners) < 5


class TestPlanes:
    @pytest.mark.parametrize(("card", "found"), [(BINARY, {0, 1, IGNORED}), (THREE, {0, 2, IGNORED})])
    def test_an_ignored_label_is_ignored_by_networks_of_one_class_and_of_more(
        self, card: ModelCard, found: set[int]
    ) -> None:
        mask = np.tile(np.array([0, 2, 9], np.uint8), (20, 10))
        (made,) = planes_of(MedicalImage(np.ones((20, 30)), "YX"), mask, card, ignore=9)
        assert set(np.unique(made.target)) == found
        assert (made.target[0][mask == 9] == IGNORED).all()

    def test_a_plane_is_what_the_network_reads_when_it_predicts(self) -> None:
        data = np.random.default_rng(0).integers(0, 4000, (40, 50, 3)).astype(np.uint16)
        (made,) = planes_of(MedicalImage(data, "YXC"), np.zeros((40, 50), np.uint8), BINARY)
        assert np.array_equal(made.image, normalise(data, intensity_limits(data)))

    def test_a_volume_gives_a_plane_for_each_slice_and_time(self) -> None:
        image = MedicalImage(np.random.default_rng(0).random((2, 3, 20, 30)), "TZYX")
        mask = np.zeros((2, 3, 20, 30), np.uint8)
        mask[1, 2, 5, 6] = 9
        planes = planes_of(image, mask, BINARY)
        assert len(planes) == 6
        assert [int(p.target.sum()) for p in planes] == [0, 0, 0, 0, 0, 1]

    def test_to_a_binary_network_every_object_is_foreground(self) -> None:
        mask = np.arange(600, dtype=np.uint16).reshape(20, 30)
        (made,) = planes_of(MedicalImage(np.ones((20, 30)), "YX"), mask, BINARY)
        assert np.array_equal(made.target[0], mask > 0)

    def test_to_a_network_of_classes_labels_are_classes(self) -> None:
        mask = np.tile(np.array([0, 1, 2], np.uint8), (20, 10))
        (made,) = planes_of(MedicalImage(np.ones((20, 30)), "YX"), mask, THREE)
        assert np.array_equal(made.target[0], mask)

    def test_a_label_that_the_network_does_not_know_is_refused(self) -> None:
        with pytest.raises(ModelError, match="label 3, but 'three' knows labels 0 to 2"):
            planes_of(MedicalImage(np.ones((20, 30)), "YX"), np.full((20, 30), 3), THREE)

    def test_planes_are_made_at_the_scale_of_the_card(self) -> None:
        card = ModelCard(name="half", title="Half", network="unet", scale=0.5)
        mask = np.zeros((40, 50), np.uint8)
        mask[10:20, 10:20] = 1
        (made,) = planes_of(MedicalImage(np.ones((40, 50)), "YX"), mask, card)
        assert made.image.shape == (3, 20, 25)
        assert made.target.sum() == 25

    @pytest.mark.parametrize(
        ("image", "mask"),
        [(np.ones((20, 30)), np.zeros((30, 20))), (np.ones((20, 30, 5)), np.zeros((20, 30)))],
    )
    def test_a_pair_that_cannot_be_used_is_refused(self, image: np.ndarray, mask: np.ndarray) -> None:
        with pytest.raises(ImageError):
            planes_of(MedicalImage(image, "YXC"[: image.ndim]), mask, BINARY)
