"""Mask tools: a grid of buttons, and beneath it what the picked one asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
from magicgui.widgets import ComboBox, Container, FloatSpinBox, SpinBox
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QProgressBar, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from ..controller import PanelController
from ..tools.catalogue import TOOLS, Parameter, Tool
from ..tools.icons import icon
from .binding import button, follow, picker, show_share, text

COLUMNS = 6
ICON = 24
"""Pixels a side."""

STYLE = """
QToolButton { border: none; border-radius: 4px; padding: 3px; background: transparent; }
QToolButton:hover { background: rgba(128, 140, 170, 70); }
QToolButton:checked { background: rgba(90, 120, 230, 150); }
"""

ANY = 10**9
"""No image is brighter, nor darker below zero."""

PATIENCE = 200
"""Milliseconds that a tool may take before its progress is shown; most take less, and the panel shall not twitch."""

EXTENTS = (("volume", "Whole volume"), ("slice", "This slice"), ("each", "Each slice"))
LABELS = ("This label", "All labels")


class ToolsSection(QWidget):
    """Picks, sets and runs the mask tools."""

    def __init__(self, controller: PanelController) -> None:
        super().__init__()
        self._state, self._tools, self._viewer = controller.state, controller.tools, controller.viewer
        self.buttons = {name: self._button(tool) for name, tool in TOOLS.items()}
        self.labels = picker(self, "Which labels: the one that the brush has, or all")
        self.labels.addItems(LABELS)
        self.extent = picker(self, "How far: the volume as one, the slice that is shown, or every slice on its own")
        for name, title in EXTENTS:
            self.extent.addItem(title, name)
        self.form: Container = Container()
        self._asked: tuple[Any, ...] = ()  # what the form was made for
        self.asks = text(self, "about")
        self.apply = button(self, "Apply", "Use the picked tool on the mask", lambda: self._tools.use(self._state.tool))
        self.cancel = button(self, "Cancel", "Stop; the mask stays as it is", self._tools.cancel)
        self.bar = QProgressBar(self)
        self.bar.hide()
        self._waited = QTimer(self, interval=PATIENCE, singleShot=True)
        self._waited.timeout.connect(self._show_late)
        self._lay_out()
        self.setStyleSheet(STYLE)
        self.labels.activated.connect(self._labels_picked)
        self.extent.activated.connect(self._extent_picked)
        self._viewer.events.theme.connect(self._draw_icons)
        self._draw_icons()
        follow(self._state, self._show, "tool", "mask", "tool_asks", "tool_working", "paint_range")

    def _button(self, tool: Tool) -> QToolButton:
        made = QToolButton(self)
        made.setCheckable(True)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        made.setIconSize(QSize(ICON, ICON))
        made.clicked.connect(lambda _checked: self._pressed(tool))
        return made

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(2)
        for number, made in enumerate(self.buttons.values()):
            grid.addWidget(made, number // COLUMNS, number % COLUMNS)
        scope, bottom = QHBoxLayout(), QHBoxLayout()
        scope.addWidget(self.labels, 4)
        scope.addWidget(self.extent, 5)  # its words are longer
        self._form_place = QVBoxLayout()
        bottom.addWidget(self.apply, 1)
        bottom.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.addLayout(grid)
        layout.addLayout(scope)
        layout.addLayout(self._form_place)
        layout.addWidget(self.asks)
        layout.addWidget(self.bar)
        layout.addLayout(bottom)

    def _draw_icons(self) -> None:
        colour = get_theme(self._viewer.theme).icon.as_hex("long")
        for name, made in self.buttons.items():
            made.setIcon(icon(name, colour))

    def _pressed(self, tool: Tool) -> None:
        """A tool that asks for nothing, or for clicks, begins at once; another one shows what it asks for."""
        if tool.parameters:
            self._tools.pick(tool.name)
        else:
            self._tools.use(tool.name)
        self._show()  # also if nothing changed: Qt has switched the button by itself

    def _labels_picked(self, row: int) -> None:
        self._tools.label_only = row == 0

    def _extent_picked(self, row: int) -> None:
        self._tools.extent = EXTENTS[row][0]
        self._show()

    def _show(self) -> None:
        state, tools = self._state, {name: tool.along(self._tools.called()) for name, tool in TOOLS.items()}
        tool = tools.get(state.tool)
        for name, made in self.buttons.items():
            _name(made, tools[name])
            on = {"clicks": bool(state.tool_asks), "brush": state.paint_range is not None}
            picked = name == state.tool
            kind = TOOLS[name].kind
            made.setChecked(on["brush"] if kind == "brush" else picked and on.get(kind, True))
            made.setEnabled(state.mask is not None)
        self.labels.setCurrentIndex(0 if self._tools.label_only else 1)
        self.labels.setEnabled(tool is None or tool.kind in ("shape", "stack"))
        self.extent.setCurrentIndex([name for name, _ in EXTENTS].index(self._tools.extent))
        self.extent.setVisible(self._tools.has_slices())
        self.extent.setEnabled(tool is None or tool.kind in ("shape", "clicks"))
        self._show_form(tool)
        self.asks.setText(self._asking(tool))
        self.asks.setVisible(bool(self.asks.text()))
        self._show_progress()
        runs = tool is not None and tool.kind in ("shape", "stack")
        self.apply.setVisible(runs)
        self.apply.setEnabled(state.mask is not None)
        self.apply.setText(tool.title if tool and runs else "Apply")

    def _show_progress(self) -> None:
        share = self._state.tool_working
        if share is None:
            self._waited.stop()
            self.bar.hide()
            self.cancel.hide()
        elif not self.cancel.isHidden():
            show_share(self.bar, share)
        elif not self._waited.isActive():
            self._waited.start()

    def _show_late(self) -> None:
        show_share(self.bar, self._state.tool_working)
        self.cancel.show()

    def _asking(self, tool: Tool | None) -> str:
        if self._state.mask is None:
            return "For a mask: segment the image, or draw one with prompts or the brush, first."
        if self._state.tool_asks:
            return f"{self._state.tool_asks} Escape ends."
        if tool and tool.kind == "brush" and self._state.paint_range is not None:
            return "Brush, eraser, fill and polygon keep to this brightness."
        return f"{tool.tip}." if tool else "Pick a tool; its key uses it at once."

    def _show_form(self, tool: Tool | None) -> None:
        """Make the form anew if something else is asked for than before."""
        mask, units, axes = self._state.mask, self._tools.units(), self._tools.axes()
        limits = self._state.paint_range if tool is not None and tool.kind == "brush" else None
        asked = (tool, mask, units, axes, limits is None)
        if asked == self._asked:
            return
        self._asked = asked
        rows: list[Any] = [self._row(tool, parameter, units, axes) for parameter in tool.parameters] if tool else []
        if limits is not None:
            rows = [self._range_row(limits)]
        old, self.form = self.form, Container(widgets=rows, labels=True)
        self._form_place.removeWidget(old.native)
        old.native.hide()
        old.native.deleteLater()
        self.form.native.layout().setContentsMargins(0, 0, 0, 0)
        self._form_place.addWidget(self.form.native)
        self.form.native.setVisible(bool(rows))

    def _row(self, tool: Tool, parameter: Parameter, units: tuple[str, ...], axes: int) -> Container:
        """A number and its unit."""
        values = self._tools.values[tool.name]
        if values["unit"] not in units:
            values["unit"] = units[0]
        power = {1: "", 2: "²", 3: "³"}[parameter.power or axes]
        names = [(unit if unit == units[0] else f"{unit}{power}", unit) for unit in units]
        number = FloatSpinBox(
            name=parameter.name,
            value=values[parameter.name],
            min=parameter.low,
            max=parameter.high,
            step=parameter.step,
        )
        unit = ComboBox(name="unit", choices=names, value=values["unit"], enabled=len(units) > 1)
        for widget in (number, unit):
            widget.changed.connect(lambda value, name=widget.name: values.__setitem__(name, value))
        row = Container(widgets=[number, unit], layout="horizontal", labels=False, label=parameter.title)
        row.name = parameter.name
        row.native.layout().setContentsMargins(0, 0, 0, 0)
        return row

    def _range_row(self, limits: tuple[float, float]) -> Container:
        """From which brightness to which."""
        whole = np.dtype(self._state.image.dtype).kind in "ui"
        number = SpinBox if whole else FloatSpinBox
        ends = [
            number(name=name, value=round(value) if whole else value, min=-ANY, max=ANY)
            for name, value in zip(("low", "high"), limits, strict=True)
        ]

        def chosen() -> None:
            first, last = sorted(float(end.value) for end in ends)
            self._state.paint_range = (first, last)

        for end in ends:
            end.changed.connect(chosen)
        row = Container(widgets=ends, layout="horizontal", labels=False, label="Brightness")
        row.native.layout().setContentsMargins(0, 0, 0, 0)
        return row


def _name(made: QToolButton, tool: Tool) -> None:
    keys = QKeySequence(tool.key).toString(QKeySequence.SequenceFormat.NativeText)
    made.setToolTip(f"<b>{tool.title}</b> ({keys})<br>{tool.tip}")
    made.setAccessibleName(tool.title)
