"""The offer to go on where an earlier window ended."""

from __future__ import annotations

from datetime import datetime

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ..controller import PanelController
from .binding import button, follow, text

_OWN = "This image has corrections from {when} that were not accepted."
_PERHAPS = (
    "Corrections from {when} that were not accepted may be this image's, if its file was moved, or those of another "
    "image with the same pixels, which keeps them if you go on with a copy."
)
_DISCARD = "Removes these corrections; the mask that is shown stays"
_REFUSE = "Does not offer them for this image again; they stay on the disk"


class KeptDraftOffer(QWidget):
    """A sentence and two buttons; in sight only while there is something to go on with.

    Args:
        controller: what goes on.
    """

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state = controller.state
        self.about = text(self, "notice")
        self.go_on = button(
            self,
            "Go on where you were",
            "Shows the mask as it was, with everything that can be undone",
            controller.recovery.go_on,
        )
        self.discard = button(self, "Discard", _DISCARD, controller.recovery.discard)
        row = QHBoxLayout()
        row.addWidget(self.go_on, 1)
        row.addWidget(self.discard)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.about)
        layout.addLayout(row)
        follow(self._state, self._show, "draft")

    def _show(self) -> None:
        draft = self._state.draft
        self.setVisible(draft is not None)
        if draft is not None:
            when = datetime.fromtimestamp(draft.changed).strftime("%d %B %Y at %H:%M")
            self.about.setText((_OWN if draft.own else _PERHAPS).format(when=when))
            self.go_on.setText("Go on where you were" if draft.own else "Go on with a copy")
            self.discard.setText("Discard" if draft.own else "Not this image's")
            self.discard.setToolTip(_DISCARD if draft.own else _REFUSE)
