"""The dock widget: sections around one state, what to do next above them, how the engine is below them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QLabel, QScrollArea, QShortcut, QVBoxLayout, QWidget

from napari_medseg.trainer.config import FineTuneConfig
from napari_medseg.trainer.project import default_project

from .activity import ActivityDock
from .canvas_context import CanvasContext
from .closing import ClosingGuard
from .controller import PanelController
from .guidance import next_step
from .layer_keys import LayerKeys
from .sections.binding import follow, text
from .sections.correct import CorrectSection
from .sections.dress import dress
from .sections.export import ExportSection
from .sections.folding import Folding
from .sections.history import REDO_KEYS, UNDO_KEYS, HistoryRow
from .sections.image import ImageSection
from .sections.kept import KeptDraftOffer
from .sections.large import LargeRow
from .sections.learn import LearnSection
from .sections.looking import LookingSection
from .sections.measures import MeasuresSection
from .sections.model import ModelSection
from .sections.project import ProjectSection
from .sections.prompt import PromptSection
from .sections.propagating import PropagatingSection
from .sections.queue import QueueSection
from .sections.segment import SegmentSection
from .sections.tools import ToolsSection
from .state import PanelState
from .tools.catalogue import TOOLS

if TYPE_CHECKING:
    import napari.viewer

POLL = 1000
"""Milliseconds between two looks at whether another window or a command has changed the project."""


class Courier(QObject):
    """Has functions called in the window's thread, whichever thread they are given from."""

    _arrived = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._arrived.connect(lambda call: call(), Qt.ConnectionType.QueuedConnection)

    def post(self, call: Callable[[], None]) -> None:
        self._arrived.emit(call)


class MedSegPanel(QWidget):
    """The panel. Closing it, or the window, lets go of the engine and the project.

    Args:
        viewer: napari's viewer.
        project: folder of the ledger; by default this user's own.
        config: how to learn.

    Raises:
        LedgerError, WriteError: the project cannot be opened.
    """

    working = False
    """Whether the panel holds its project and its line to the engine."""

    _docked = False

    # napari gives the viewer to a parameter that is annotated with this very name.
    def __init__(
        self, viewer: napari.viewer.Viewer, project: Path | None = None, config: FineTuneConfig | None = None
    ) -> None:
        super().__init__()
        self._courier = Courier()
        self.controller = PanelController(viewer, project or default_project(), self._courier.post, config)
        self.state = self.controller.state
        self.hint, self.problem, self.notice = text(self, "hint"), text(self, "problem"), text(self, "notice")
        self.unsafe, self.status = text(self, "problem"), text(self, "status")
        self.prompts = PromptSection(self.controller)
        self.looking = LookingSection(self.controller)
        self.propagating = PropagatingSection(self.controller)
        self.sections: dict[str, QWidget] = {
            "Image": ImageSection(self.controller),
            "Folder": QueueSection(self.controller),
            "Model": ModelSection(self.controller),
            "Segment": SegmentSection(self.controller),
            "Prompts": self.prompts,
            "Correct": CorrectSection(self.controller),
            "Mask tools": ToolsSection(self.controller),
            "Propagate": self.propagating,
            "Look here": self.looking,
            "Measurements": MeasuresSection(self.controller),
            "Export": ExportSection(self.controller),
            "Learn": LearnSection(self.controller),
            "Project": ProjectSection(self.controller),
        }
        self.kept, self.history = KeptDraftOffer(self.controller), HistoryRow(self.controller)
        self.large = LargeRow(self.controller)
        self._lay_out()
        self._bind_keys()
        self._activity = ActivityDock(self, self.state)
        self._context = CanvasContext(self, viewer)
        self._poll = QTimer(self, interval=POLL)
        self._poll.timeout.connect(self.controller.learning.poll)
        self._poll.start()
        self._closing = ClosingGuard(self)
        self.working = True
        follow(self.state, lambda: self.hint.setText(next_step(self.state)), *PanelState.model_fields)
        follow(self.state, lambda: _show_if_any(self.unsafe, self.state.unsafe), "unsafe")
        follow(self.state, lambda: _show_if_any(self.problem, self.state.problem), "problem")
        follow(self.state, lambda: _show_if_any(self.notice, self.state.notice), "notice")
        follow(
            self.state,
            lambda: self.status.setText(status_line(self.state)),
            "engine",
            "learning",
            "segmenting",
            "learning_about",
        )
        if not gc.get_freeze_count():
            gc.freeze()  # napari collects garbage at each layer that goes: not among all that was imported, for 0.3 s

    def let_go(self, *, lose: bool = False) -> None:
        """Close the project and the line to the engine; what is being written is written to the end.

        Masks that were not accepted are kept for the next time, unless they are to be lost.
        """
        if self.working:
            self.working = False
            self._poll.stop()
            self._closing.let_go()
            self._activity.close()
            self._context.let_go()
            self._layer_keys.let_go()
            self.controller.close(lose=lose)

    def showEvent(self, event: Any) -> None:
        """Watch over the window's closing, from when there is a window."""
        super().showEvent(event)
        self._closing.watch(self.window())

    def event(self, event: Any) -> bool:
        """Qt's hook: when the panel is taken out of its dock, or closed, it lets go."""
        taken_out = event.type() == QEvent.Type.ParentChange and self.parent() is None and self._docked
        if event.type() == QEvent.Type.ParentChange and self.parent() is not None:
            self._docked = True
        if taken_out or event.type() == QEvent.Type.Close:
            self.let_go()
        return bool(super().event(event))

    def _lay_out(self) -> None:
        inner = QWidget(self)
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        for title, section in self.sections.items():
            column.addWidget(Folding(title, section, self.controller.viewer))
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(inner)
        layout = QVBoxLayout(self)
        for label in (self.hint, self.unsafe, self.problem, self.notice):
            layout.addWidget(label)
        layout.addWidget(self.kept)
        layout.addWidget(self.large)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.history)
        layout.addWidget(self.status)
        self.setMinimumWidth(340)
        self.controller.viewer.events.theme.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        self.setStyleSheet(dress(self.controller.viewer.theme))

    def _bind_keys(self) -> None:
        controller = self.controller
        keys: dict[str, Callable[[], object]] = {
            "S": controller.segmenting.start,
            "Ctrl+Return": controller.accepting.start,
            "Ctrl+Enter": controller.accepting.start,  # of the number pad
        }
        keys |= dict.fromkeys(UNDO_KEYS, self.history.press_undo) | dict.fromkeys(REDO_KEYS, self.history.press_redo)
        keys |= {tool.key: partial(controller.tools.use, name) for name, tool in TOOLS.items()}
        keys |= self.prompts.keys() | self.looking.keys() | self.propagating.keys()
        self._layer_keys = LayerKeys(controller.viewer, {key: self._bind(key, press) for key, press in keys.items()})
        with_prompts = [self._bind(key, press) for key, press in self.prompts.keys_of_tools().items()]
        follow(self.state, lambda: _enable(with_prompts, bool(self.state.prompt_tool)), "prompt_tool")
        put_down = self._bind("Escape", controller.tools.put_down)
        follow(self.state, lambda: put_down.setEnabled(bool(self.state.tool_asks)), "tool_asks")

    def _bind(self, key: str, press: Callable[[], object]) -> QShortcut:
        shortcut = QShortcut(QKeySequence(key), self)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(press)
        return shortcut


def status_line(state: PanelState) -> str:
    """How the engine is, in one line."""
    parts = [state.engine]
    if state.segmenting is not None:
        parts.append(f"segmenting {state.segmenting:.0%}")
    if state.learning is not None:
        parts.append(state.learning_about[:1].lower() + state.learning_about[1:])
    return " · ".join(parts)


def _enable(shortcuts: Iterable[QShortcut], able: bool) -> None:
    for shortcut in shortcuts:
        shortcut.setEnabled(able)


def _show_if_any(label: QLabel, said: str) -> None:
    label.setText(said)
    label.setVisible(bool(said))
