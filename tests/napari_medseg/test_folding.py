"""The panel's sections fold away under their titles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.utils.theme import get_theme

from napari_medseg.sections.folding import Folding


@pytest.fixture
def part(open_panel: Any) -> Folding:
    """The section *Export* of a panel."""
    return next(part for part in open_panel().findChildren(Folding) if part.text() == "Export")


def test_the_arrow_says_whether_a_section_is_folded(part: Folding) -> None:
    unfolded = arrow(part)

    part.collapse(animate=False)

    assert not part.content().isVisible() or part.content().maximumHeight() == 0
    assert (arrow(part) != unfolded).any()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_arrow_stands_out_in_every_theme(part: Folding, theme: str) -> None:
    part._viewer.theme = theme
    ground = np.array(get_theme(theme).background.as_rgb_tuple()[:3])

    for change in (part.collapse, part.expand):
        change(animate=False)
        drawn = arrow(part)
        line = drawn[drawn[..., 3] == 255][:, :3].astype(int)

        assert len(line)
        assert np.abs(line - ground).max(axis=1).min() > 60


def arrow(part: Folding) -> np.ndarray:
    """The arrow beside the title: (Y, X, 4), red, green, blue and how opaque, from 0 to 255."""
    picture = part.toggleButton().icon().pixmap(64, 64).toImage()
    picture = picture.convertToFormat(picture.Format.Format_RGBA8888)
    pixels = np.frombuffer(picture.constBits().asarray(picture.sizeInBytes()), np.uint8)
    return pixels.reshape(picture.height(), picture.width(), 4).copy()
