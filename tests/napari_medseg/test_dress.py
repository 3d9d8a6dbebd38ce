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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_learning_curve_can_be_read_on_the_ground_of_the_theme(qapp: Any, theme: str) -> None:
    from matplotlib.colors import to_rgb

    from napari_medseg.sections.curve import LearningCurve

    curve = LearningCurve("dark" if theme == "light" else "light")
    curve.dress(theme)

    ground = luminance(get_theme(theme).background.as_rgb_tuple()[:3])
    axes = curve.figure.axes
    drawn = [axes[0].xaxis.label, axes[0].xaxis.get_ticklabels()[0], *(one.yaxis.label for one in axes)]
    for one in (*drawn, *(line for each in axes for line in each.lines)):
        said = luminance([255 * part for part in to_rgb(one.get_color())])
        light, dark = max(said, ground), min(said, ground)
        assert (light + 0.05) / (dark + 0.05) > 4.5
