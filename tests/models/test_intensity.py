from typing import Any

import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_medseg.models import intensity
from napari_medseg.models.errors import ImageError
from napari_medseg.models.intensity import SAMPLED, intensity_limits, intensity_sample, match_channels, normalise


def as_input(data: np.ndarray) -> np.ndarray:
    return normalise(data, intensity_limits(data))


IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3)))


@given(IMAGES)
def test_copies_of_other_types_and_ranges_give_the_same_input(image: np.ndarray) -> None:
    expected = as_input(image)
    for copy in (
        image.astype(np.uint16) * 257,
        image.astype(np.int32) - 1000,
        image / np.float32(255),
        image.astype(np.float64) * 1e-6 + 3,
        image.astype(np.float64) * 1e9,
    ):
        assert np.allclose(as_input(copy), expected, atol=2e-3), copy.dtype


def test_copies_of_a_photograph_agree_to_the_fourth_digit() -> None:
    image = np.random.default_rng(0).gamma(2, 20, (64, 48, 3)).clip(0, 255).astype(np.uint8)
    expected = as_input(image)
    for copy in (image.astype(np.uint16) * 257, image / np.float32(255), image.astype(np.float64)):
        assert np.abs(as_input(copy) - expected).max() < 1e-4


@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64]),
        st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 3)),
        elements=st.floats(-60000, 60000, width=16) | st.sampled_from([np.nan, np.inf, -np.inf]),
    )
)
def test_whatever_an_image_holds_the_network_reads_numbers_from_minus_1_to_2(image: np.ndarray) -> None:
    answer = as_input(image)
    assert answer.dtype == np.float32
    assert answer.shape == (image.shape[2], *image.shape[:2])
    assert np.isfinite(answer).all()
    assert answer.min() >= -1
    assert answer.max() <= 2


def test_percentiles_become_0_and_1() -> None:
    image = np.arange(1001, dtype=np.float32).reshape(7, 143, 1)
    assert np.allclose(intensity_limits(image), [[10, 998]])
    answer = as_input(image).ravel()
    assert np.allclose(answer[[10, 998]], [0, 1])


def test_each_channel_has_limits_of_its_own() -> None:
    image = np.random.default_rng(0).random((20, 30, 1))
    both = as_input(np.concatenate([image, 100 - 50 * image], axis=-1))
    assert np.allclose(both[0], as_input(image)[0])
    assert abs(both[0] + both[1] - 1).max() < 0.05


def test_broken_values_do_not_move_the_limits() -> None:
    image = np.random.default_rng(0).random((40, 40, 1))
    expected = as_input(image)
    image[0, :3, 0] = np.nan, np.inf, -np.inf
    answer = as_input(image)
    assert np.array_equal(answer[0, 0, :3], [0, 1, 0])
    assert np.abs(answer[0, 1:] - expected[0, 1:]).max() < 0.02


@pytest.mark.parametrize("value", [0, 7, 255, -3.5, 1e30])
def test_a_constant_channel_becomes_0(value: float) -> None:
    assert not as_input(np.full((5, 6, 1), value)).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_without_any_number_becomes_finite(value: float) -> None:
    assert np.isfinite(as_input(np.full((5, 6, 1), value))).all()


def test_a_single_bright_spot_on_a_constant_ground_is_seen() -> None:
    image = np.zeros((200, 200, 1), np.uint16)
    image[50, 60:65] = 40_000
    answer = as_input(image)[0]
    assert (answer[50, 60:65] == 1).all()
    assert np.count_nonzero(answer) == 5


def test_the_percentiles_of_a_huge_image_are_those_of_a_sample() -> None:
    image = np.random.default_rng(0).normal(100, 10, (2, SAMPLED, 1)).astype(np.float32)
    exact = np.percentile(image, (1, 99.8))
    assert np.allclose(intensity_limits(image)[0], exact, atol=0.2)


class TestChannels:
    def test_a_grey_image_fits_any_network(self) -> None:
        grey = np.arange(6).reshape(2, 3, 1)
        assert np.array_equal(match_channels(grey, 3), np.repeat(grey, 3, axis=-1))
        assert match_channels(grey, 1) is grey

    def test_a_grey_network_sees_the_mean_of_red_green_and_blue(self) -> None:
        colours = np.array([[[10, 20, 60], [1, 2, 3]]], np.uint8)
        assert np.array_equal(match_channels(colours, 1), [[[30], [2]]])

    def test_a_grey_image_is_not_copied_for_each_channel(self) -> None:
        grey = np.arange(6.0).reshape(2, 3, 1)
        seen = match_channels(grey, 3)
        assert np.shares_memory(seen, grey)
        assert normalise(seen, intensity_limits(seen)).shape == (3, 2, 3)

    @given(st.integers(1, 9))
    def test_a_networks_own_number_is_left_alone(self, channels: int) -> None:
        data = np.zeros((2, 3, channels))
        assert match_channels(data, channels) is data

    @pytest.mark.parametrize(
        ("given_channels", "read"), [(2, 3), (5, 3), (5, 1), (2, 1), (3, 4), (4, 5), (4, 3), (4, 1)]
    )
    def test_any_other_number_is_refused_and_says_both(self, given_channels: int, read: int) -> None:
        with pytest.raises(ImageError, match=rf"has {given_channels} channels, but the network reads {read}"):
            match_channels(np.zeros((2, 3, given_channels)), read)


class TestSample:
    @pytest.mark.parametrize("shape", [(3000, 1500, 1), (5, 1024, 1030, 3), (2, 3, 900, 1000, 1)])
    def test_a_lazy_image_gives_the_same_sample_as_one_in_memory(self, shape: tuple[int, ...]) -> None:
        image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
        lazy = dask.array.from_array(image, chunks=tuple(min(side, 700) for side in shape))
        assert np.array_equal(intensity_sample(lazy), intensity_sample(image))
        assert np.array_equal(intensity_limits(lazy), intensity_limits(image))

    def test_it_is_every_so_manieth_pixel(self) -> None:
        image = np.arange(3 * 2048 * 2049, dtype=np.int64).reshape(3, 2048, 2049, 1)
        assert np.array_equal(intensity_sample(image)[:, 0], np.arange(0, image.size, 3))

    def test_of_a_gigantic_image_most_is_never_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(intensity, "READ", 2**20)
        monkeypatch.setattr(intensity, "SAMPLED", 2**14)
        read: list[int] = []

        def block(block_info: Any = None) -> np.ndarray:
            read.append(1)
            return np.full(block_info[None]["chunk-shape"], sum(block_info[None]["chunk-location"]), np.uint8)

        image = dask.array.map_blocks(
            block, chunks=((64,) * 40, (64,) * 40, (1,)), dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8)
        )
        ((low, high),) = intensity_limits(image)
        assert len(read) <= 16  # of 1600
        assert low < 20 < 60 < high

    def test_a_grey_network_takes_the_sample_of_the_mean(self) -> None:
        image = np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8)
        assert np.array_equal(intensity_sample(image, 1), image.mean(axis=-1).reshape(-1, 1))
        with pytest.raises(ImageError, match="has 3 channels"):
            intensity_sample(image, 2)
