import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_medseg.models.scaling import Resampling, resize_labels, resize_map, resize_plane, scaled_shape

SCALES = st.floats(0.05, 4)
SIDES = st.integers(1, 40)


@given(SIDES, SIDES, SCALES)
def test_planes_and_labels_of_one_image_keep_one_shape(height: int, width: int, scale: float) -> None:
    plane = resize_plane(np.zeros((3, height, width), np.float32), scale)
    labels = resize_labels(np.zeros((1, height, width), np.uint8), scale)
    expected = scaled_shape((height, width), scale)
    assert plane.shape == (3, *expected)
    assert labels.shape == (1, *expected)
    assert min(expected) >= 1


@given(hnp.arrays(np.uint16, st.tuples(st.just(1), SIDES, SIDES), elements=st.sampled_from([0, 3, 40_000])), SCALES)
def test_labels_are_never_mixed(labels: np.ndarray, scale: float) -> None:
    resized = resize_labels(labels, scale)
    assert resized.dtype == labels.dtype
    assert set(np.unique(resized)) <= set(np.unique(labels))


@given(hnp.arrays(np.uint8, st.tuples(st.just(1), SIDES, SIDES)), st.integers(1, 4))
def test_labels_enlarged_by_a_whole_number_and_brought_back_are_the_same(labels: np.ndarray, scale: int) -> None:
    large = resize_labels(labels, scale)
    assert np.array_equal(large, np.kron(labels, np.ones((1, scale, scale), np.uint8)))
    assert np.array_equal(resize_labels(large, 1 / scale), labels)


@given(
    hnp.arrays(np.float32, st.tuples(st.just(2), SIDES, SIDES), elements=st.floats(-1, 2, width=32)),
    SCALES,
)
def test_intensities_stay_within_their_range(plane: np.ndarray, scale: float) -> None:
    resized = resize_plane(plane, scale)
    assert resized.dtype == np.float32
    assert resized.min() >= plane.min() - 1e-4
    assert resized.max() <= plane.max() + 1e-4


def test_scale_1_changes_nothing() -> None:
    plane, labels = np.random.default_rng(0).random((3, 9, 8), np.float32), np.ones((1, 9, 8), np.uint8)
    assert resize_plane(plane, 1.0) is plane
    assert resize_labels(labels, 1.0) is labels


def test_shrinking_averages_instead_of_dropping_pixels() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), 32)[None, None].repeat(64, axis=1)
    assert abs(resize_plane(stripes, 0.25) - 0.5).max() < 0.15


def test_a_map_comes_back_to_the_size_of_the_image() -> None:
    ramp = torch.linspace(0, 1, 40).expand(1, 20, 40)
    back = resize_map(resize_map(ramp, (10, 20)), (20, 40))
    assert back.shape == ramp.shape
    assert (back - ramp).abs().max() < 0.02


class TestResampling:
    @given(*[st.integers(2, 60)] * 4)  # torch does not enlarge a map that is one pixel wide
    def test_both_axes_one_after_the_other_give_the_resized_map(
        self, height: int, width: int, rows: int, columns: int
    ) -> None:
        values = np.random.default_rng(0).random((2, height, width), np.float32)
        expected = resize_map(torch.from_numpy(values), (rows, columns)).numpy()
        made = Resampling(width, columns).apply(Resampling(height, rows).apply(values, axis=1), axis=2)
        assert made.dtype == np.float32
        assert np.allclose(made, expected, atol=1e-5)

    @given(st.integers(1, 80), st.integers(1, 80), st.data())
    def test_a_part_is_exactly_what_it_is_in_the_whole(self, length: int, new: int, data: st.DataObject) -> None:
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, new)] * 2)))
        if start == stop:
            return
        axis = Resampling(length, new)
        values = np.random.default_rng(0).random((1, length, 3), np.float32)
        first, last = axis.sources(start, stop)
        part = axis.apply(values[:, first:last], axis=1, start=start, stop=stop)
        assert np.array_equal(part, axis.apply(values, axis=1)[:, start:stop])

    @given(st.integers(1, 80), st.integers(1, 80), st.data())
    def test_it_knows_which_values_it_needs(self, length: int, new: int, data: st.DataObject) -> None:
        axis = Resampling(length, new)
        known = data.draw(st.integers(1, length))
        ready = axis.ready(known)
        assert ready == 0 or axis.sources(0, ready)[1] <= known
        assert ready == new or axis.sources(ready, ready + 1)[1] > known
        assert all(axis.sources(n, n + 1)[0] >= known for n in range(axis.ready_from(known), new))
