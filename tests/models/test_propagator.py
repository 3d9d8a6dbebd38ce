"""One step of an object from plane to plane, as the predictor does it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medseg.models.engine.propagator import follow, known
from napari_medseg.models.engine.region import Region
from napari_medseg.models.errors import CancelledError
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.intensity import intensity_limits
from napari_medseg.models.prompts.proposal import Proposal

ROWS, COLUMNS = np.indices((96, 96))
DISC = np.hypot(ROWS - 48, COLUMNS - 40) < 20


def seen(disc: np.ndarray) -> MedicalImage:
    noise = np.random.default_rng(0).normal(0, 8, disc.shape)
    return MedicalImage((80 + 90 * disc + noise).clip(0, 255).astype(np.uint8), "YX")


def step(image: MedicalImage, planes: tuple[int, ...], plane: tuple[int, ...], way: int, axis: int, **options: object):
    part = Proposal.of(DISC, ())
    limits = intensity_limits(seen(DISC).data[..., None])
    said: list[float] = []
    stopped = bool(options.get("stopped"))
    before = Region.of(part.box, part.mask)
    calls = {"progress": said.append, "cancel": lambda: stopped}
    here = known([seen(DISC)], [before], limits, **calls)
    return follow(image, planes, plane, way, axis, before, limits, here, "slice", **calls)


@pytest.mark.parametrize(
    ("planes", "plane", "way", "axis", "there"),
    [
        ((9,), (4,), 1, 0, (5,)),
        ((9,), (4,), -1, 0, (3,)),
        ((3, 9), (1, 4), -1, 0, (0, 4)),
        ((3, 9), (1, 4), 1, 1, (1, 5)),
    ],
)
def test_the_object_is_found_on_the_next_plane_of_the_image(
    planes: tuple[int, ...], plane: tuple[int, ...], way: int, axis: int, there: tuple[int, ...]
) -> None:
    disc = np.hypot(ROWS - 49, COLUMNS - 42) < 19
    followed = step(seen(disc), planes, plane, way, axis)

    assert not followed.reason
    assert followed.proposal.plane == there
    found = followed.proposal.full((96, 96))
    assert (found & disc).sum() / (found | disc).sum() > 0.8


def test_where_there_is_nothing_it_stops() -> None:
    followed = step(seen(np.zeros_like(DISC)), (9,), (4,), 1, 0)

    assert "slice 5" in followed.reason
    np.testing.assert_array_equal(followed.proposal.full((96, 96)), DISC)


def test_what_is_known_of_the_object_goes_on_to_the_next_step() -> None:
    first = step(seen(DISC), (9,), (4,), 1, 0)
    part, limits = first.proposal, intensity_limits(seen(DISC).data[..., None])
    before = Region.of(part.box, part.mask)
    calls = {"progress": lambda _: None, "cancel": lambda: False}

    second = follow(seen(DISC), (9,), (5,), 1, 0, before, limits, first.known, "slice", **calls)

    assert not second.reason
    assert second.proposal.plane == (6,)


def test_at_the_last_plane_there_is_no_next_one() -> None:
    followed = step(seen(DISC), (9,), (8,), 1, 0)

    assert "last slice" in followed.reason
    np.testing.assert_array_equal(followed.proposal.full((96, 96)), DISC)


def test_nothing_is_done_once_it_is_cancelled() -> None:
    with pytest.raises(CancelledError):
        step(seen(DISC), (9,), (4,), 1, 0, stopped=True)
