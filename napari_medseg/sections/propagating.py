"""An object carried through slices or frames: which way, how far, and stop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QSizePolicy, QSpinBox, QVBoxLayout, QWidget

from napari_medseg.models.image import PLANE_CALLED

from ..controller import PanelController
from ..propagating import BACKWARD, BOTH, FORWARD
from .binding import button, follow, picker, text

KEYS = {FORWARD: "G", BACKWARD: "Shift+G", BOTH: "Ctrl+Shift+G"}
TITLES = {BACKWARD: "◀ Back", BOTH: "◀ Both ▶", FORWARD: "Onward ▶"}
WAYS = {FORWARD: "to the {}s after it", BACKWARD: "to the {}s before it", BOTH: "both ways"}
"""For the name of a plane."""

ALONG = {"Z": "Through the slices", "T": "Through time"}


class PropagatingSection(QWidget):
    """A button for each way, and what is drawn while one is gone."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, self._propagating = controller.state, controller.propagating
        self.ways = {steps: self._way(steps) for steps in TITLES}
        self.cancel = button(self, "Cancel", "", self._propagating.cancel)
        self.along = picker(self, "Which way to go; the slider that was moved last is the usual one")
        self.most = QSpinBox(self)
        self.most.setRange(0, 100_000)
        self.most.setSpecialValueText("to the end")
        self.most.setPrefix("up to ")
        self.most.setToolTip("How many slices or frames to draw in each direction at most")
        self.replace = QCheckBox("Draw anew", self)
        self.about = text(self, "progress")
        self._lay_out()
        self.along.activated.connect(lambda row: setattr(self._state, "propagate_along", self.along.itemData(row)))
        self.most.valueChanged.connect(lambda most: setattr(self._state, "propagate_most", most))
        self.replace.toggled.connect(lambda on: setattr(self._state, "propagate_replace", on))
        follow(self._state, self._show, "propagating", "propagate_blocked", "propagate_along")
        follow(self._state, self._show_choices, "propagate_most", "propagate_replace")
        follow(self._state, self._list_axes, "propagate_along", "image", "image_usable")

    def keys(self) -> dict[str, Callable[[], object]]:
        """What keys do at any time."""
        return {key: partial(self._propagating.start, steps) for steps, key in KEYS.items()}

    def _way(self, steps: tuple[int, ...]) -> QPushButton:
        made = button(self, TITLES[steps], "", partial(self._propagating.start, steps))
        made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        return made

    def _lay_out(self) -> None:
        ways, choices = QHBoxLayout(), QHBoxLayout()
        for made in self.ways.values():
            ways.addWidget(made, 1)
        choices.addWidget(self.most)
        choices.addWidget(self.replace)
        choices.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addLayout(ways)
        layout.addLayout(choices)
        layout.addWidget(self.along)  # beside the others there is no room for its words
        layout.addWidget(self.about)
        layout.addWidget(self.cancel)

    def _show(self) -> None:
        busy, blocked = bool(self._state.propagating), self._state.propagate_blocked
        called = PLANE_CALLED.get(self._state.propagate_along, PLANE_CALLED["Z"])
        for steps, made in self.ways.items():
            made.setEnabled(not busy and not blocked)
            way = WAYS[steps].format(called)
            made.setToolTip(blocked or f"Carry the picked label of this {called} on {way} ({KEYS[steps]})")
        self.cancel.setToolTip(f"Stop; the {called}s that are drawn stay")
        self.replace.setToolTip(f"Draw anew where a {called} has this label already; else it stops there")
        self.about.setText(self._state.propagating)
        self.about.setVisible(busy)
        self.cancel.setVisible(busy)

    def _show_choices(self) -> None:
        self.most.setValue(self._state.propagate_most)
        self.replace.setChecked(self._state.propagate_replace)

    def _list_axes(self) -> None:
        axes = self._propagating.along()
        self.along.clear()
        for axis in axes:
            self.along.addItem(ALONG[axis], axis)
        self.along.setCurrentIndex(self.along.findData(self._state.propagate_along))
        self.along.setVisible(len(axes) > 1)
