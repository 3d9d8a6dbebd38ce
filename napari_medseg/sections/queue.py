"""A folder of images: segment all, and go through them."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QListWidget, QListWidgetItem, QProgressBar, QVBoxLayout, QWidget

from ..controller import PanelController
from .binding import button, follow, show_share, text

ROWS = 6
"""Images that are in sight at once."""


class QueueSection(QWidget):
    """The images of a folder with how far each is; a double click opens one with its mask."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, self._queue = controller.state, controller.queue
        self.choose = button(self, "Folder ...", "Choose a folder of images", self._choose)
        self.start = button(
            self,
            "Segment all",
            "Segments all, one by one, but those with a mask of this model and answer; a mask that was corrected or "
            "drawn stays as it is",
            self._queue.start,
        )
        self.cancel = button(self, "Cancel", "Stops; masks that are written stay", self._queue.cancel)
        self.bar, self.about = QProgressBar(self), text(self, "about")
        self.images = QListWidget(self)
        self.images.setSpacing(1)
        self.images.setMaximumHeight(ROWS * (self.images.fontMetrics().height() + 6))
        self.images.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.previous = button(
            self,
            "Previous",
            "The image before, with its mask; corrections of this one are saved",
            lambda: self._queue.step(-1),
        )
        self.next = button(
            self, "Next", "The next image; corrections of this one are saved", lambda: self._queue.step(1)
        )
        self.save = button(self, "Save", "Writes this image's mask into its file", self._queue.save)
        layout = QVBoxLayout(self)
        for widgets in ((self.choose, self.start, self.cancel), (self.previous, self.save, self.next)):
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget, 1)
            layout.addLayout(row)
        for at, widget in enumerate((self.bar, self.about, self.images)):
            layout.insertWidget(1 + at, widget)
        self.images.itemDoubleClicked.connect(lambda item: self._queue.open(self.images.row(item)))
        follow(self._state, self._list, "queue", "queue_at")
        follow(self._state, self._show, "queue", "queue_at", "queue_share", "queue_about", "model", "models")

    def _choose(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "A folder of images"):
            self._queue.choose(Path(folder))

    def _list(self) -> None:
        queue = self._state.queue
        while self.images.count() > len(queue):
            self.images.takeItem(self.images.count() - 1)
        for at, queued in enumerate(queue):
            if at >= self.images.count():
                self.images.addItem(QListWidgetItem())
            item = self.images.item(at)
            mark = "!" if queued.problem else "✓" if queued.corrected else "•" if queued.done else "  "
            said = queued.problem or ("Corrected" if queued.corrected else "Has a mask" if queued.done else "")
            if (item.text(), item.toolTip()) != (f"{mark}  {queued.path.name}", said):  # of a thousand, few change
                item.setText(f"{mark}  {queued.path.name}")
                item.setToolTip(said)
        if 0 <= self._state.queue_at < self.images.count():
            self.images.setCurrentRow(self._state.queue_at)

    def _show(self) -> None:
        state, running = self._state, self._state.queue_share is not None
        there = bool(state.queue)
        show_share(self.bar, state.queue_share)
        self.about.setText(state.queue_about)
        for widget in (self.about, self.images, self.previous, self.save, self.next, self.start):
            widget.setVisible(there)
        self.cancel.setVisible(running)
        self.choose.setEnabled(not running)
        choice = state.choice()
        self.start.setEnabled(not running and choice is not None and choice.trained)
        self.save.setEnabled(state.queue_at >= 0)
        self.previous.setEnabled(state.queue_at > 0)
        self.next.setEnabled(state.queue_at < len(state.queue) - 1)
