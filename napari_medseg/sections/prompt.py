"""Prompts: a row of tools for the mouse, what they make, and what becomes of the object."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QHBoxLayout,
    QInputDialog,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..controller import PanelController
from ..prompting.tools import ACCEPT, NEXT, PUT_DOWN, TAKE_BACK, TOOLS, Tool
from .binding import button, follow, picker, text
from .given import GivenPrompts
from .icons import drawn, swatch

ICON = 22
"""Pixels a side."""

SIGNS = {ACCEPT: "↵", NEXT: "N", TAKE_BACK: "⌫"}
"""How keys are shown on buttons."""

SHAPES = {
    "click": '<circle cx="12" cy="12" r="3.2" fill="{colour}" stroke="none"/>'
    '<path d="M12 2.5v4M12 17.5v4M2.5 12h4M17.5 12h4"/>',
    "scribble": '<path d="M3 15c3-9 6-9 7-3s3 6 5 0 4-6 6-2" stroke-width="2.6"/>',
    "box": '<rect x="4" y="6" width="16" height="12" stroke-dasharray="3 2.5"/>'
    '<path d="M4 6h0M20 6h0M4 18h0M20 18h0" stroke-width="4"/>',
    "lasso": '<path d="M9 18C3 17 2 8 9 5s13 1 12 6-7 7-11 5" stroke-dasharray="3 2.5"/>'
    '<path d="M10 16c-2 0-3 2-1.500 3s0 2.500-2 2.500"/>',
}
"""What each tool's icon is made of."""


class PromptSection(QWidget):
    """Takes tools up, shows what they do and what they are about."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, self._prompting, self._viewer = controller.state, controller.prompting, controller.viewer
        prompting = self._prompting
        self.tools = {name: self._tool_button(tool) for name, tool in TOOLS.items()}
        self.how = text(self, "about")
        self.label = picker(self, "The label that the next object gets")
        self.add_label = button(self, "+", "Another label, with a name", self._ask_for_label)
        self.add_label.setFixedWidth(28)
        self.own_labels = QCheckBox("A label for each object", self)
        self.own_labels.setToolTip("Each object gets a number of its own; else all get the label above")
        self.overwrite = QCheckBox("Overwrite", self)
        self.overwrite.setToolTip("Prompts may take pixels of other labels; else those are kept as they are")
        self.take_back = self._button("Take back", "Take the newest prompt away", TAKE_BACK, prompting.take_back)
        self.next = self._button("Next object", "Accept this object, and begin the next", NEXT, prompting.next_object)
        self.accept = self._button("Accept object", "This object is right; leave it", ACCEPT, prompting.accept_object)
        self.about = text(self, "about")
        self.given = GivenPrompts(self, controller)
        self._lay_out()
        self.label.activated.connect(lambda row: setattr(self._state, "label", self.label.itemData(row)))
        self.own_labels.toggled.connect(lambda on: setattr(self._state, "own_labels", on))
        self.overwrite.toggled.connect(lambda on: setattr(self._state, "overwrite", on))
        self._viewer.events.theme.connect(self._draw_icons)
        self._draw_icons()
        QApplication.instance().focusChanged.connect(self._focus_changed)
        follow(self._state, self._show, "prompt_tool", "image", "image_usable", "object_about", "given", "mask")
        follow(self._state, self._list_labels, "labels", "label", "own_labels", "mask")
        follow(self._state, lambda: self.overwrite.setChecked(self._state.overwrite), "overwrite")

    def keys(self) -> dict[str, Callable[[], object]]:
        """What keys do at any time."""
        return {tool.key: partial(self._prompting.take_up, name) for name, tool in TOOLS.items()}

    def keys_of_tools(self) -> dict[str, Callable[[], object]]:
        """What keys do while a tool is up."""
        meant = {
            ACCEPT: self._prompting.accept_object,
            "Enter": self._prompting.accept_object,  # of the number pad
            NEXT: self._prompting.next_object,
            TAKE_BACK: self._prompting.take_back,
            PUT_DOWN: self._prompting.put_down,
        }
        return {key: partial(_unless_typing, press) for key, press in meant.items()}

    def _tool_button(self, tool: Tool) -> QToolButton:
        made = QToolButton(self)
        made.setText(f"{tool.title}  {tool.key}")
        made.setToolTip(f"<b>{tool.title}</b> ({tool.key})<br>{tool.how}")
        made.setCheckable(True)
        made.setAutoRaise(True)
        made.setIconSize(QSize(ICON, ICON))
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        made.clicked.connect(lambda _checked: self._pressed(tool))
        return made

    def _button(self, title: str, tip: str, key: str, press: Callable[[], object]) -> QWidget:
        made = button(self, f"{title}  {SIGNS[key]}", f"{tip} ({key})", press)
        made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        return made

    def _lay_out(self) -> None:
        tools, label, ends = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        tools.setSpacing(2)
        for made in self.tools.values():
            tools.addWidget(made, 1)
        label.addWidget(self.label, 1)
        label.addWidget(self.add_label)
        choices, given = QHBoxLayout(), QHBoxLayout()
        choices.addWidget(self.own_labels)
        choices.addWidget(self.overwrite)
        choices.addStretch(1)
        given.addWidget(self.about, 3)
        given.addWidget(self.take_back, 2)
        for made in (self.next, self.accept):
            ends.addWidget(made, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(tools)
        layout.addWidget(self.how)
        layout.addLayout(label)
        layout.addLayout(choices)
        layout.addLayout(given)
        layout.addWidget(self.given)
        layout.addLayout(ends)

    def _draw_icons(self) -> None:
        theme = get_theme(self._viewer.theme)
        for name, made in self.tools.items():
            made.setIcon(drawn(SHAPES[name], theme.icon.as_hex("long")))
            made.setStyleSheet(f"QToolButton:checked {{ background: {theme.current.as_hex('long')}; }}")

    def _focus_changed(self, old: QWidget | None, now: QWidget | None) -> None:
        """Within a window, whoever has the focus passes the release of a key on."""
        if now is None or (old is not None and now.window() is not old.window()):
            self._prompting.let_keys_go()

    def _pressed(self, tool: Tool) -> None:
        self._prompting.take_up(tool.name)
        self._show()  # also if nothing changed: Qt has switched the button by itself

    def _ask_for_label(self) -> None:
        name, given = QInputDialog.getText(self, "Another label", "Name of the label")
        if given:
            self._prompting.labelling.add(name)

    def _show(self) -> None:
        state = self._state
        for name, made in self.tools.items():
            made.setChecked(name == state.prompt_tool)
            made.setEnabled(state.image is not None and state.image_usable)
        tool = TOOLS.get(state.prompt_tool)
        self.how.setText(f"{tool.how} {PUT_DOWN} puts it down." if tool else "")
        self.how.setVisible(tool is not None)
        self.about.setText(state.object_about)
        self.take_back.setEnabled(state.prompts > 0)
        self.accept.setEnabled(state.mask is not None)
        self.next.setEnabled(state.mask is not None)

    def _list_labels(self) -> None:
        state = self._state
        self.label.clear()
        for number, name in state.labels.items():
            colour = None if state.mask is None else state.mask.get_color(number)
            self.label.addItem(swatch(colour), name if name == f"label {number}" else f"{number}  {name}", number)
        self.label.setCurrentIndex(self.label.findData(state.label))
        self.own_labels.setChecked(state.own_labels)
        self.label.setEnabled(not state.own_labels)
        self.add_label.setEnabled(not state.own_labels)


def _unless_typing(press: Callable[[], object]) -> None:
    """In a field, these keys end the typing; the next one is for the tool."""
    typing = QApplication.focusWidget()
    if isinstance(typing, QLineEdit | QAbstractSpinBox):
        typing.clearFocus()
    else:
        press()
