"""What the panel says is to be read in every theme."""

from __future__ import annotations

from typing import Any

import pytest
from napari.utils.theme import get_theme
from qtpy.QtGui import QPalette


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_said_beside_the_rest_stands_out_as_far_as_reading_asks(open_panel: Any, theme: str) -> None:
    panel = open_panel()
    panel.controller.viewer.theme = theme
    panel.status.ensurePolished()

    said = panel.status.palette().color(QPalette.ColorRole.WindowText).getRgb()[:3]
    light, dark = sorted(map(luminance, (said, get_theme(theme).background.as_rgb_tuple()[:3])), reverse=True)

    assert (light + 0.05) / (dark + 0.05) > 4.5  # WCAG 2, level AA


def luminance(colour: Any) -> float:
    """Relative luminance of an sRGB colour (red, green, blue), each from 0 to 255, as WCAG 2 defines it."""
    linear = [part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
