import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_medseg.models.instances import split_touching
from napari_medseg.models.streaming import objects
from napari_medseg.models.streaming.objects import split_planes


def streamed(mask: np.ndarray, smallest: int = 15) -> np.ndarray:
    """The objects of a mask that comes in strips."""
    labels = np.zeros(mask.shape, np.uint32)
    reached: dict[tuple[int, ...], int] = {}
    for index, start, rows in split_planes(lambda plane, a, b: mask[(*plane, slice(a, b))], mask.shape, smallest):
        assert reached.get(index, 0) == start  # each row once and in order
        reached[index] = start + len(rows)
        labels[(*index, slice(start, start + len(rows)))] = rows
    assert all(reached.get(index) == mask.shape[-2] for index in np.ndindex(*mask.shape[:-2]))
    return labels


def same_objects(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two labellings differ in nothing but the numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]).astype(np.int64), axis=1)
    zero = pairs == 0
    return len(np.unique(pairs[0])) == pairs.shape[1] == len(np.unique(pairs[1])) and (zero[0] == zero[1]).all()


def discs(shape: tuple[int, int], count: int, radii: tuple[int, int], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, bool)
    for _ in range(count):
        r, c, radius = random.integers(shape[0]), random.integers(shape[1]), random.integers(*radii)
        mask |= (rows - r) ** 2 + (columns - c) ** 2 <= radius**2
    return mask


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips, blocks and limits so small that everything crosses their borders."""
    for name, value in {"BAND": 32, "HELD": 160, "BLOCK": 96, "HALO": 64, "LARGEST": 120 * 120}.items():
        monkeypatch.setattr(objects, name, value)


@pytest.mark.usefixtures("small")
class TestStrips:
    @settings(max_examples=40, deadline=None)
    @example((196, 179), 24, 197)  # two objects with the same right to some pixels
    @given(
        st.tuples(st.integers(1, 300), st.integers(1, 200)),
        st.integers(0, 40),
        st.integers(0, 10**6),
    )
    def test_objects_that_cross_borders_are_those_of_the_whole_mask(
        self, shape: tuple[int, int], count: int, seed: int
    ) -> None:
        mask = discs(shape, count, (2, 12), seed)
        assert same_objects(streamed(mask), split_touching(mask))

    def test_clusters_larger_than_what_is_held_are_done_in_blocks_without_seams(self) -> None:
        mask = np.zeros((600, 400), bool)
        rows, columns = np.ogrid[:600, :400]
        for r in range(10, 600, 17):
            for c in range(10, 400, 17):  # all touch: one region of 600 x 400
                mask |= (rows - r) ** 2 + (columns - c) ** 2 <= 9**2
        assert same_objects(streamed(mask), split_touching(mask))

    def test_numbers_run_from_1_without_gaps_through_all_planes(self) -> None:
        planes = np.stack([discs((200, 150), 12, (3, 9), seed) for seed in range(3)])
        labels = streamed(planes)
        assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
        for plane, mask in zip(labels, planes, strict=True):
            assert same_objects(plane, split_touching(mask))
        assert labels[0].max() < labels[1][labels[1] > 0].min()

    def test_specks_are_dropped_wherever_they_lie(self) -> None:
        mask = np.zeros((200, 60), bool)
        mask[30:34, 10:13] = mask[63:66, 30:33] = True
        assert not streamed(mask).any()
        assert streamed(mask, smallest=9).max() == 2

    @pytest.mark.parametrize("shape", [(1, 1), (32, 1), (33, 40), (500, 3)])
    def test_a_mask_that_is_full_or_empty(self, shape: tuple[int, int]) -> None:
        assert not streamed(np.zeros(shape)).any()
        assert streamed(np.ones(shape), smallest=1).all()

    def test_a_region_without_end_is_given_out_before_its_end_comes(self) -> None:
        asked = []

        def read(plane: tuple[int, ...], top: int, bottom: int) -> np.ndarray:
            asked.append(bottom)
            return np.ones((bottom - top, 40))

        held = [
            bottom - start for _, start, rows in split_planes(read, (5000, 40)) for bottom in [asked[-1]] if len(rows)
        ]
        assert max(held) <= 160 + 64 + 32


def test_strips_of_the_usual_height_give_the_same() -> None:
    mask = discs((1300, 500), 400, (4, 14), 0)
    assert same_objects(streamed(mask), split_touching(mask))
