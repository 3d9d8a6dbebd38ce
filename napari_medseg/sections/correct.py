"""Correct the mask, and accept it."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..controller import PanelController
from .binding import button, follow, text


class CorrectSection(QWidget):
    """What was done to the mask, and the button that takes it into the ledger."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state = controller.state
        self.about = text(self, "about")
        self.accept = button(
            self, "Accept", "Keep image and mask as a case to learn from (Ctrl+Return)", controller.accepting.start
        )
        self.put_back = button(self, "Put the deleted mask back", "", controller.masks.put_back)
        layout = QVBoxLayout(self)
        layout.addWidget(self.about)
        layout.addWidget(self.accept)
        layout.addWidget(self.put_back)
        follow(self._state, self._show, "mask", "edits", "accepted", "accepting", "deleted_mask", "large_mask")

    def _show(self) -> None:
        state = self._state
        self.accept.setEnabled(state.mask is not None and not state.accepting)
        self.put_back.setVisible(state.deleted_mask is not None)
        if state.deleted_mask is not None:
            self.put_back.setToolTip(f"'{state.deleted_mask.name}' has corrections that were not accepted")
        if state.mask is None:
            self.about.setText(
                "A part is corrected, and accepted, with Edit here." if state.large_mask else "No mask yet."
            )
        elif state.accepted:
            self.about.setText("This mask is in the project.")
        else:
            made = f"{state.edits or 'no'} correction{'' if state.edits == 1 else 's'}"
            self.about.setText(f"'{state.mask.name}': {made}, not accepted yet.")
