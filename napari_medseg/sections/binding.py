"""How a widget follows the panel's state, and small parts that several sections are made of."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QComboBox, QLabel, QProgressBar, QPushButton, QWidget

from ..state import PanelState
from .fitting import Picker, Sentences


def follow(state: PanelState, show: Callable[[], None], *fields: str) -> None:
    """Call `show` now and whenever one of the fields changes."""
    for name in fields:
        getattr(state.events, name).connect(lambda *_: show(), check_nargs=False)
    show()


def text(parent: QWidget, name: str = "") -> QLabel:
    """A label for sentences, which wraps."""
    label = Sentences(parent)
    label.setObjectName(name)
    return label


def picker(parent: QWidget, tip: str) -> QComboBox:
    """A list to pick from, that never makes the panel wider than it is."""
    return Picker(parent, tip)


def button(parent: QWidget, title: str, tip: str, press: Callable[[], object]) -> QPushButton:
    """A button with a tooltip."""
    made = QPushButton(title, parent)
    made.setToolTip(tip)
    made.clicked.connect(lambda _checked: press())
    return made


def show_share(bar: QProgressBar, share: float | None) -> None:
    """A progress bar from 0 to 1; hidden if there is nothing to show."""
    bar.setVisible(share is not None)
    if share is not None:
        bar.setRange(0, 100 if share > 0 else 0)  # 0 to 0 is Qt's "busy, but nobody knows how long"
        bar.setValue(round(share * 100))
