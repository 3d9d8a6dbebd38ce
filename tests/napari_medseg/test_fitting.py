"""Long words stay readable in a narrow panel."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QEvent
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QApplication, QWidget

from napari_medseg.sections.fitting import Picker, Sentences
from napari_medseg.sections.icons import drawn

NAME = "f539e54a02b6f511dae09255a4f5cc3315118669030057f43b7ec211fdff8f18.tif"


@pytest.fixture
def narrow(qtbot: Any) -> QWidget:
    made = QWidget()
    qtbot.addWidget(made)
    return made


def test_a_name_longer_than_a_line_goes_on_in_the_next(narrow: QWidget) -> None:
    label = Sentences(narrow)

    label.setText(f"'{NAME}' could not be written.")

    assert label.text() == f"'{NAME}' could not be written."
    line = label.fontMetrics().height()
    assert label.heightForWidth(250) > 2 * line


def test_a_choice_that_is_cut_off_ends_in_an_ellipsis_and_is_told_in_full(narrow: QWidget) -> None:
    picker = Picker(narrow, "The model")
    picker.addItems([NAME, "short"])
    picker.resize(160, 30)

    assert picker.shown.endswith("…")
    QApplication.sendEvent(picker, QEvent(QEvent.Type.ToolTip))
    assert picker.toolTip() == f"{NAME}\nThe model"

    picker.setCurrentIndex(1)
    assert picker.shown == "short"
    QApplication.sendEvent(picker, QEvent(QEvent.Type.ToolTip))
    assert picker.toolTip() == "The model"


def test_an_icon_that_cannot_be_pressed_is_faint(qapp: Any) -> None:
    icon = drawn('<rect x="0" y="0" width="24" height="24" fill="#f0f0f0"/>', "#f0f0f0")

    able, unable = (
        icon.pixmap(16, mode).toImage().pixelColor(8, 8) for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled)
    )

    assert able.alpha() == 255
    assert unable.alpha() < 128
