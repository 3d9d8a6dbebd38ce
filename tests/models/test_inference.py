from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_medseg.models import MedicalImage, ModelCard, create_model, load_model, predict
from napari_medseg.models.errors import CancelledError, ImageError, ModelError

from ..small_networks import SMALL


class Local(nn.Module):
    """A network whose answer for a pixel depends on that pixel alone: tiles cannot change it.

    Channel k of the logits is `gain` (x_k - 0.5), where x_k is channel k of its input.
    """

    def __init__(self, in_channels: int = 3, classes: int = 1, gain: float = 8.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, classes, 1)
        with torch.no_grad():
            self.conv.weight.copy_(gain * torch.eye(classes, in_channels)[..., None, None])
            self.conv.bias.fill_(-gain / 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        logits = self.conv(image)
        return [logits] if self.training else logits


class Near(Local):
    """One whose answer for a pixel depends on its eight neighbours, too."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect", groups=3, bias=False)
        with torch.no_grad():
            self.blur.weight.fill_(1 / 9)

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        return super().forward(self.blur(image))


def unet(**options: int) -> nn.Module:
    torch.manual_seed(0)
    return create_model("unet", **{"base": 4} | options).eval()


def smooth(*shape: int, seed: int = 0) -> np.ndarray:
    """A random landscape from 0 to 1."""
    coarse = torch.from_numpy(np.random.default_rng(seed).random((1, 1, *(max(2, s // 16) for s in shape))))
    return nn.functional.interpolate(coarse, shape, mode="bicubic")[0, 0].clip(0, 1).numpy()


class TestTiles:
    @settings(max_examples=40, deadline=None)
    @given(
        height=st.integers(1, 300),
        width=st.integers(1, 300),
        tile=st.integers(64, 200),
        overlap=st.floats(0, 0.7),
        batch=st.integers(1, 5),
    )
    def test_tiled_equals_whole(self, height: int, width: int, tile: int, overlap: float, batch: int) -> None:
        image = np.random.default_rng(0).random((height, width))
        whole = predict(Local(), image, tile=1000, probabilities=True)
        tiled = predict(Local(), image, tile=tile, overlap=overlap, batch=batch, probabilities=True)
        assert np.allclose(tiled.probabilities, whole.probabilities, atol=1e-3)
        assert np.mean(tiled.labels == whole.labels) > 0.999

    def test_seams_do_not_show(self) -> None:
        image = smooth(400, 300)
        whole, tiled = (predict(Near(), image, tile=tile, probabilities=True) for tile in (512, 96))
        difference = abs(whole.probabilities.astype(float) - tiled.probabilities)
        assert difference.max() < 2e-3

    def test_a_network_that_sees_far_is_blended_without_a_step(self) -> None:
        tiled = predict(unet(), smooth(300, 300), tile=96, overlap=0.5, probabilities=True).probabilities[0]
        whole = predict(unet(), smooth(300, 300), probabilities=True).probabilities[0]
        for axis in (0, 1):
            steps, usual = (abs(np.diff(p.astype(float), axis=axis)).max() for p in (tiled, whole))
            assert steps < 1.5 * usual + 0.01

    @pytest.mark.parametrize("batch", [2, 3, 7])
    def test_how_many_tiles_go_at_once_changes_no_label(self, batch: int) -> None:
        one, several = (predict(unet(), smooth(200, 180), tile=64, batch=n, probabilities=True) for n in (1, batch))
        assert np.allclose(one.probabilities, several.probabilities, atol=1e-3)
        assert np.array_equal(one.labels, several.labels)

    @pytest.mark.parametrize(
        "options", [{"tile": 63}, {"tile": 0}, {"overlap": 1.0}, {"overlap": -0.1}, {"batch": -1}, {"batch": 0}]
    )
    def test_tiles_that_cannot_be_are_refused(self, options: dict[str, float]) -> None:
        with pytest.raises(ModelError, match="not possible"):
            predict(Local(), smooth(64, 64), **options)


class TestShapes:
    @pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 300), (31, 33), (64, 64), (65, 129)])
    def test_a_mask_has_the_size_of_its_image(self, shape: tuple[int, int]) -> None:
        answer = predict(unet(), np.random.default_rng(0).random(shape), tile=64)
        assert answer.labels.shape == answer.confidence.shape == shape
        assert answer.labels.dtype == np.uint8
        assert answer.probabilities is None

    @pytest.mark.parametrize(
        ("axes", "shape"),
        [("ZYX", (3, 40, 50)), ("TYX", (2, 40, 50)), ("TZYX", (2, 3, 40, 50)), ("TZYXC", (2, 1, 40, 50, 3))],
    )
    def test_volumes_and_times_are_done_plane_by_plane(self, axes: str, shape: tuple[int, ...]) -> None:
        image = MedicalImage(np.random.default_rng(0).random(shape), axes)
        answer = predict(unet(), image, probabilities=True)
        assert answer.labels.shape == image.mask_shape
        assert answer.probabilities.shape == (1, *image.mask_shape)
        for index in np.ndindex(*image.mask_shape[:-2]):
            assert np.array_equal(answer.labels[index], answer.probabilities[(0, *index)] > 0.5)

    def test_intensities_are_scaled_over_the_whole_volume(self) -> None:
        volume = np.stack([smooth(64, 64), smooth(64, 64) / 100])
        answer = predict(Local(), volume)
        assert answer.labels[0].any()
        assert not answer.labels[1].any()

    def test_probabilities_have_a_row_for_each_class(self) -> None:
        answer = predict(unet(classes=4), smooth(70, 80), probabilities=True)
        assert answer.probabilities.shape == (4, 70, 80)
        assert answer.probabilities.dtype == np.float16
        assert np.allclose(answer.probabilities.sum(0, dtype=float), 1, atol=4e-3)
        assert np.mean(answer.probabilities.argmax(0) == answer.labels) > 0.999

    @pytest.mark.parametrize("scale", [0.5, 0.3, 2.0])
    def test_a_card_that_works_at_another_scale_answers_at_the_images_own(self, scale: float) -> None:
        network = Local()
        network.card = ModelCard(name="c", title="c", network="unet", scale=scale)
        image = smooth(101, 203)
        answer = predict(network, image, probabilities=True)
        assert answer.labels.shape == image.shape
        assert np.mean(answer.labels == predict(Local(), image).labels) > 0.95


class TestChannels:
    @pytest.mark.parametrize(("channels", "read"), [(1, 3), (3, 3), (4, 4), (1, 1), (3, 1), (5, 5), (2, 2)])
    def test_channels_are_brought_to_what_the_network_reads(self, channels: int, read: int) -> None:
        image = MedicalImage(np.random.default_rng(0).random((40, 50, channels)), "YXC")
        assert predict(unet(in_channels=read), image).labels.shape == (40, 50)

    def test_five_channels_are_refused_by_a_colour_network(self) -> None:
        with pytest.raises(ImageError, match="has 5 channels, but the network reads 3"):
            predict(unet(), MedicalImage(np.zeros((40, 50, 5)), "YXC"))

    def test_copies_of_another_type_give_the_same_mask(self) -> None:
        image = (smooth(90, 90) * 255).astype(np.uint8)
        expected = predict(Local(), image).labels
        assert 0 < expected.mean() < 1
        for copy in (image.astype(np.uint16) * 257, image / np.float32(255), image.astype(np.float64)):
            assert np.array_equal(predict(Local(), copy).labels, expected)

    def test_a_network_that_does_not_say_what_it_reads_is_refused(self) -> None:
        with pytest.raises(ModelError, match="how many channels"):
            predict(nn.Linear(3, 1), smooth(64, 64))

    def test_broken_pixels_break_nothing_else(self) -> None:
        image = smooth(80, 80)
        image[:2, :3] = np.nan, np.inf, -np.inf
        answer = predict(unet(), image, probabilities=True)
        assert np.isfinite(answer.probabilities).all()


class TestAnswers:
    def test_confidence_is_at_least_a_half_for_one_class_and_a_quarter_for_four(self) -> None:
        one, four = (predict(unet(classes=n), smooth(70, 80)).confidence for n in (1, 4))
        assert one.dtype == np.uint8
        assert one.min() >= 127
        assert four.min() >= 63

    def test_confidence_is_the_probability_of_the_label(self) -> None:
        answer = predict(Local(), smooth(70, 80), probabilities=True)
        foreground = answer.probabilities[0].astype(float)
        expected = 255 * np.where(answer.labels, foreground, 1 - foreground)
        assert abs(answer.confidence - expected).max() < 1

    def test_touching_objects_get_numbers_on_request(self) -> None:
        rows, columns = np.mgrid[:100, :160]
        image = np.any([(rows - 50) ** 2 + (columns - c) ** 2 < 20**2 for c in (50, 85)], axis=0) * 100 + 7
        mask, objects = (predict(Local(), image, instances=wanted).labels for wanted in (False, True))
        assert set(np.unique(mask)) == {0, 1}
        assert set(np.unique(objects)) == {0, 1, 2}
        assert np.array_equal(objects > 0, mask > 0)

    def test_the_same_image_gives_the_same_answer(self) -> None:
        one, other = (predict(unet(), smooth(150, 130), tile=64, probabilities=True) for _ in range(2))
        assert np.array_equal(one.probabilities, other.probabilities)


class TestTileOfTheCard:
    @pytest.mark.parametrize(("asked", "sides"), [(None, {96}), (64, {64}), (128, {128, 70})])
    def test_pieces_have_the_side_that_the_card_says_unless_asked_otherwise(
        self, asked: int | None, sides: set[int]
    ) -> None:
        seen: set[int] = set()

        class Watching(Local):
            def forward(self, image: torch.Tensor) -> torch.Tensor:
                seen.update(image.shape[-2:])
                return super().forward(image)

        network = Watching()
        network.card = ModelCard(name="one", title="One", network="unet", tile=96)  # type: ignore[assignment]
        predict(network, smooth(200, 70), tile=asked)
        assert seen == sides


@pytest.mark.parametrize("name", SMALL)
def test_every_network_segments(name: str) -> None:
    torch.manual_seed(0)
    answer = predict(create_model(name, **SMALL[name]), smooth(70, 90))
    assert answer.labels.shape == (70, 90)
    assert answer.confidence.min() >= 127  # a binary network is never surer of the other answer


class TestProgress:
    @pytest.mark.parametrize("batch", [1, 3])
    def test_progress_rises_to_1(self, batch: int) -> None:
        shares: list[float] = []
        predict(Local(), np.stack([smooth(150, 130)] * 2), tile=64, batch=batch, progress=shares.append)
        assert shares[-1] == 1
        assert shares == sorted(set(shares))
        assert shares[0] == pytest.approx(1 / len(shares))

    @pytest.mark.parametrize("after", [0, 1, 5])
    def test_it_stops_within_a_batch_when_asked_to(self, after: int) -> None:
        shares: list[float] = []
        with pytest.raises(CancelledError, match="as they were"):
            predict(Local(), smooth(400, 400), tile=64, progress=shares.append, cancel=lambda: len(shares) >= after)
        assert len(shares) == after


class TestTheNetworkAfterwards:
    @pytest.mark.parametrize("training", [True, False])
    def test_it_is_in_the_mode_it_was_in(self, training: bool) -> None:
        network = unet().train(training)
        predict(network, smooth(64, 64))
        assert network.training is training
        assert all(module.training is training for module in network.modules())

    @pytest.mark.parametrize(
        "failing",
        [
            lambda network: predict(network, smooth(64, 64), cancel=lambda: True),
            lambda network: predict(network, MedicalImage(np.zeros((9, 9, 5)), "YXC")),
        ],
    )
    def test_also_when_the_prediction_failed(self, failing: Callable[[nn.Module], object]) -> None:
        network = unet().train()
        with pytest.raises((CancelledError, ImageError)):
            failing(network)
        assert network.training

    def test_it_can_still_be_trained_and_predicting_changed_no_weight(self) -> None:
        network = unet().train()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        predict(network, smooth(64, 64))
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        (logits,) = network(torch.rand(2, 3, 32, 32))
        logits.square().mean().backward()
        torch.optim.SGD(network.parameters(), lr=0.1).step()
        assert any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())


class TestDevices:
    @pytest.mark.parametrize("device", ["nonsense", "cpu:x", "cuda:99"])
    def test_a_device_that_does_not_exist_is_an_error_for_people(self, device: str) -> None:
        with pytest.raises(ModelError, match="device"):
            predict(Local(), smooth(64, 64), device=device)

    def test_a_precision_that_does_not_exist_is_an_error_for_people(self) -> None:
        with pytest.raises(ModelError, match="precision 'float8'"):
            predict(Local(), smooth(64, 64), precision="float8")

    def test_half_precision_gives_nearly_the_same_mask(self) -> None:
        whole, half = (predict(Local(), smooth(90, 90), precision=p).labels for p in ("float32", "bfloat16"))
        assert np.mean(whole == half) > 0.98


def test_shipped_weights_find_bright_discs() -> None:
    rows, columns = np.mgrid[:128, :160]
    truth = sum((rows - r) ** 2 + (columns - c) ** 2 < 14**2 for r, c in ((40, 40), (80, 110), (100, 50))) > 0
    image = np.random.default_rng(0).normal(20, 4, truth.shape) + 100 * truth
    found = predict(load_model("nuclei"), image.clip(0, 255).astype(np.uint8)).labels > 0
    assert 2 * np.sum(found & truth) / (found.sum() + truth.sum()) > 0.8
