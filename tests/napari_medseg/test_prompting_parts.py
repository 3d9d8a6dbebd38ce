"""What of an image the predictor is sent, and what it takes for dark and bright. Without a window."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image

from napari_medseg.models.engine.region import NOTHING, Region
from napari_medseg.models.errors import ImageError
from napari_medseg.models.intensity import intensity_limits
from napari_medseg.models.prompts import Prompts
from napari_medseg.models.prompts.proposal import Proposal
from napari_medseg.prompting.limits import image_limits
from napari_medseg.prompting.part import SIDE, WHOLE, Part, part_for
from napari_medseg.prompting.plane_image import plane_image

SLIDE = (30_000, 21_000)

rows, columns = st.floats(0, SLIDE[0] - 1), st.floats(0, SLIDE[1] - 1)
positions = st.tuples(rows, columns)


def clicks(*at: tuple[float, float]) -> Prompts:
    given = Prompts()
    for one in at:
        given = given.click(one)
    return given


class TestPart:
    def test_a_plane_of_common_size_is_sent_as_a_whole(self) -> None:
        assert part_for((4096, 4096), clicks((5, 5)), NOTHING) == Part(0, 0, 4096, 4096)

    @given(st.lists(positions, min_size=1, max_size=4))
    def test_of_a_slide_a_part_is_sent_in_which_all_prompts_lie(self, at: list[tuple[float, float]]) -> None:
        part = part_for(SLIDE, clicks(*at), NOTHING)

        assert 0 <= part.top <= part.top + part.height <= SLIDE[0]
        assert 0 <= part.left <= part.left + part.width <= SLIDE[1]
        for row, column in at:
            assert part.top <= row < part.top + part.height
            assert part.left <= column < part.left + part.width
        if len(at) == 1:
            assert part.height == part.width == SIDE

    @given(positions, st.tuples(st.floats(-200, 200), st.floats(-200, 200)))
    def test_the_next_click_nearby_needs_no_other_part(
        self, at: tuple[float, float], away: tuple[float, float]
    ) -> None:
        near = (
            min(max(at[0] + away[0], 0), SLIDE[0] - 1),
            min(max(at[1] + away[1], 0), SLIDE[1] - 1),
        )
        part = part_for(SLIDE, clicks(at), NOTHING)

        assert part_for(SLIDE, clicks(at, near), NOTHING, part) == part

    @given(positions, st.tuples(st.integers(1, 300), st.integers(1, 300)))
    def test_an_answer_comes_back_to_where_it_was_asked(self, at: tuple[float, float], sides: tuple[int, int]) -> None:
        top, left = (min(int(x), side - long) for x, side, long in zip(at, SLIDE, sides, strict=True))
        mask = np.random.default_rng(0).random(sides) > 0.5
        region = Region.of((slice(top, top + sides[0]), slice(left, left + sides[1])), mask)
        prompts = clicks((top, left)).box((top, left), (top + 1, left + 1)).lasso([(top, left), (top, left), at])
        part = part_for(SLIDE, prompts, region)

        own = part.region(region)
        answer = part.answer(Proposal((), own.box, own.mask, own.mask.astype(np.uint8)))
        asked = part.asked(prompts)

        assert answer.box == region.box
        np.testing.assert_array_equal(answer.mask, mask)
        assert all(0 <= r < part.height and 0 <= c < part.width for prompt in asked for r, c in prompt.path)
        back = asked.moved(part.top, part.left)
        for one, other in zip(back, prompts, strict=True):
            np.testing.assert_allclose(one.path, other.path, atol=1e-9)

    def test_nothing_of_an_object_is_nothing_of_it_in_a_part(self) -> None:
        assert not Part(100, 100, 50, 50).region(NOTHING).bits.any()


class TestLimits:
    def test_they_are_those_of_the_volume_and_not_of_a_slice(self) -> None:
        volume = np.random.default_rng(0).normal(50, 5, (20, 64, 64)).astype(np.float32)
        volume[:4] += 1000

        found = image_limits([Image(volume)])

        np.testing.assert_allclose(found, intensity_limits(volume[..., None]), atol=1)
        assert found[0, 1] > 1000

    def test_of_a_large_volume_an_even_sample_is_enough(self) -> None:
        ramp = np.broadcast_to(np.arange(300, dtype=np.int16)[:, None, None], (300, 512, 512))

        (limits,) = image_limits([Image(ramp)])

        np.testing.assert_allclose(limits, (3, 298), atol=3)

    def test_each_channel_has_its_own(self) -> None:
        colours = np.zeros((40, 50, 3), np.uint8)
        colours[..., 1] = np.arange(50)

        limits = image_limits([Image(colours, rgb=True)])
        split = image_limits([Image(colours[..., 0]), Image(colours[..., 1])])

        np.testing.assert_allclose(limits, [(0, 0), (0, 49), (0, 0)], atol=0.6)
        np.testing.assert_allclose(split, limits[:2])

    def test_of_a_volume_on_a_disk_only_a_few_planes_are_read(self) -> None:
        read: list[int] = []

        def plane(block_info: object = None) -> np.ndarray:
            at = block_info[None]["chunk-location"][0]
            read.append(at)
            return np.full((1, 64, 64), at, np.int16)

        volume = dask.array.map_blocks(plane, chunks=((1,) * 100, 64, 64), dtype=np.int16)
        layer = Image(volume, contrast_limits=(0, 100))
        read.clear()

        (limits,) = image_limits([layer])

        assert len(set(read)) < 10
        np.testing.assert_allclose(limits, (0, 99), atol=2)

    def test_of_a_slide_only_a_coarse_level_is_read(self) -> None:
        def gone(block: np.ndarray) -> np.ndarray:
            raise OSError("the server is away")

        coarse = np.arange(10_000, dtype=np.uint16).reshape(100, 100)
        fine = dask.array.zeros((10_000, 10_000), dtype=np.uint16, chunks=1000).map_blocks(gone, dtype=np.uint16)

        (limits,) = image_limits([Image([fine, coarse], multiscale=True, contrast_limits=(0, 1), visible=False)])

        np.testing.assert_allclose(limits, (100, 9980), atol=2)

    def test_pixels_that_cannot_be_had_are_said_to_be_so(self) -> None:
        def gone(block: np.ndarray) -> np.ndarray:
            raise OSError("the disk was pulled out")

        lazy = dask.array.zeros((3, 40, 50), dtype=np.uint8).map_blocks(gone, dtype=np.uint8)
        with pytest.raises(ImageError, match="still connected"):
            image_limits([Image(lazy, contrast_limits=(0, 1), visible=False)])


def test_only_the_wanted_part_of_a_plane_is_read() -> None:
    read: list[tuple[int, int]] = []

    def block(block_info: object = None) -> np.ndarray:
        read.append(block_info[None]["chunk-location"])
        return np.ones((1000, 1000), np.uint8)

    slide = dask.array.map_blocks(block, chunks=((1000,) * 20, (1000,) * 20), dtype=np.uint8)
    layer = Image([slide, np.zeros((100, 100), np.uint8)], multiscale=True, contrast_limits=(0, 1))
    part = part_for((20_000, 20_000), clicks((9000.0, 9000.0)), NOTHING)
    read.clear()

    image = plane_image(layer, (), (), part.box)

    assert image.data.shape == (SIDE, SIDE)
    assert len(set(read)) <= 16
    assert WHOLE < 20_000**2
