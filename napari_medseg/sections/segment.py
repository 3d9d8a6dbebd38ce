"""Segment, watch it, stop it."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from ..controller import PanelController
from .binding import button, follow, show_share


class SegmentSection(QWidget):
    """The button, its progress, and the overlay of its doubt."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, segmenting = controller.state, controller.segmenting
        self.start = button(self, "Segment", "Segment the image with the picked model (S)", segmenting.start)
        self.cancel = button(self, "Cancel", "Stop; the image and an earlier mask stay as they are", segmenting.cancel)
        self.bar = QProgressBar(self)
        self.doubt = QCheckBox("Show where the model is unsure", self)
        self.doubt.setToolTip("Lights up what the model hesitates over")
        row = QHBoxLayout()
        row.addWidget(self.start, 1)
        row.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        layout.addWidget(self.doubt)
        self.doubt.toggled.connect(lambda on: setattr(self._state, "show_doubt", on))
        follow(self._state, lambda: self.doubt.setChecked(self._state.show_doubt), "show_doubt")
        follow(self._state, self._show, "segmenting", "image", "image_usable", "model", "models", "engine_ready")

    def _show(self) -> None:
        busy = self._state.segmenting is not None
        able = self._state.image_usable and self._state.choice() is not None
        self.start.setEnabled(able and not busy)
        self.cancel.setVisible(busy)
        show_share(self.bar, self._state.segmenting)
