import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_medseg.models.instances import split_touching

ROWS, COLUMNS = np.mgrid[:80, :120]


def disc(row: int, column: int, radius: int) -> np.ndarray:
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 <= radius**2


MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))


@given(MASKS)
def test_every_pixel_of_the_foreground_has_an_object_and_no_other(mask: np.ndarray) -> None:
    objects = split_touching(mask, smallest=1)
    assert np.array_equal(objects > 0, mask)


@given(MASKS, st.integers(1, 40))
def test_labels_run_from_1_without_gaps_and_none_is_too_small(mask: np.ndarray, smallest: int) -> None:
    objects = split_touching(mask, smallest=smallest)
    sizes = np.bincount(objects.ravel())[1:]
    assert (sizes >= smallest).all()
    assert not objects[~mask].any()


@pytest.mark.parametrize("distance", [30, 24, 18])
def test_two_discs_are_two_objects_also_when_they_touch(distance: int) -> None:
    one, other = disc(40, 40, 12), disc(40, 40 + distance, 12)
    objects = split_touching(one | other)
    assert objects.max() == 2
    assert objects[40, 36] != objects[40, 44 + distance]
    assert np.mean(objects[one & ~other] == objects[40, 36]) > 0.95


def test_one_disc_stays_one_object_also_at_the_edge_of_the_image() -> None:
    for row, column in ((40, 60), (0, 60), (40, 0), (79, 119), (3, 3)):
        assert split_touching(disc(row, column, 14)).max() == 1


@pytest.mark.parametrize("thickness", [1, 3, 6, 12])
@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_a_long_object_stays_one_however_thin(thickness: int, angle: float) -> None:
    across = (ROWS - 40) * np.cos(angle) - (COLUMNS - 60) * np.sin(angle)
    along = (COLUMNS - 60) * np.cos(angle) + (ROWS - 40) * np.sin(angle)
    mask = (abs(across) <= thickness / 2) & (abs(along) < 50)
    assert np.array_equal(split_touching(mask), mask)


def test_small_specks_are_dropped() -> None:
    mask = disc(40, 60, 10)
    mask[2:4, 2:4] = True
    objects = split_touching(mask, smallest=5)
    assert objects.max() == 1
    assert not objects[:10, :10].any()


def test_instances_of_a_mask_with_labels_do_not_depend_on_them() -> None:
    mask = disc(40, 40, 12).astype(np.uint16) * 7
    assert np.array_equal(split_touching(mask), split_touching(mask > 0))


def test_planes_of_a_volume_are_split_one_by_one_and_counted_through() -> None:
    plane = disc(20, 30, 10) | disc(60, 90, 10)
    objects = split_touching(np.stack([plane, np.zeros_like(plane), plane]))
    assert [sorted(set(np.unique(part)) - {0}) for part in objects] == [[1, 2], [], [3, 4]]


def test_nothing_gives_nothing_and_few_objects_a_small_type() -> None:
    empty = split_touching(np.zeros((5, 7)))
    assert empty.shape == (5, 7)
    assert not empty.any()
    assert split_touching(disc(40, 40, 12)).dtype == np.uint8


def test_more_objects_than_a_byte_holds_keep_their_numbers() -> None:
    mask = np.zeros((200, 200), bool)
    for row in range(0, 200, 10):
        for column in range(0, 200, 10):
            mask[row : row + 5, column : column + 5] = True
    objects = split_touching(mask)
    assert objects.max() == 400
    assert objects.dtype == np.uint16
