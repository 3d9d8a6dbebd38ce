"""What one slice becomes when an object is carried to it. Without a window."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_medseg.models.prompts.proposal import Proposal
from napari_medseg.propagating.ready import made_ready

SQUARE = np.zeros((40, 40), bool)
SQUARE[10:20, 10:20] = True


def proposed(mask: np.ndarray) -> Proposal:
    return Proposal.of(mask, (3,))


def drawn(pixels: np.ndarray, mask: np.ndarray, label: int = 1, *, over: bool = False, replace: bool = False):
    ready = made_ready(pixels, proposed(mask), label, over=over, replace=replace)
    after = pixels.astype(ready.after.dtype)
    np.testing.assert_array_equal(pixels[ready.box], ready.before)
    after[ready.box] = ready.after
    np.testing.assert_array_equal(ready.own.on_plane((40, 40)), (after == label) & mask)
    return after


def test_parts_of_the_label_that_the_object_touches_are_replaced_and_others_stay() -> None:
    pixels = np.zeros((40, 40), np.uint8)
    pixels[15:35, 15:18] = 1
    pixels[2:4, 30:35] = 1
    expected = np.zeros((40, 40), np.uint8)
    expected[SQUARE] = expected[2:4, 30:35] = 1

    np.testing.assert_array_equal(drawn(pixels, SQUARE, replace=True), expected)


def test_a_label_beyond_the_masks_type_widens_it() -> None:
    assert drawn(np.zeros((40, 40), np.uint8), SQUARE, 700)[12, 12] == 700


@given(arrays(np.uint8, (40, 40), elements=st.integers(0, 3)), arrays(bool, (40, 40)), st.booleans(), st.booleans())
def test_other_labels_give_way_only_if_they_may(
    pixels: np.ndarray, mask: np.ndarray, over: bool, replace: bool
) -> None:
    after = drawn(pixels, mask, over=over, replace=replace)
    others = pixels > 1

    assert (after[others & ~mask] == pixels[others & ~mask]).all()
    assert (after[others & mask] == (1 if over else pixels[others & mask])).all()
    assert (after[mask & ~others] == 1).all()
    assert set(np.unique(after)) <= {0, 1, 2, 3}
