"""The tools that prompts are given with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tool:
    """One of them.

    Attributes:
        name: "click", "scribble", "box" or "lasso".
        title: for people.
        key: that takes it up, and puts it down again.
        how: what to do with the mouse, in a sentence.
        signed: whether it also says what the object is not, with the right button.
    """

    name: str
    title: str
    key: str
    how: str
    signed: bool = False


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("click", "Click", "Q", "Click on the object; click right, or with Alt, on what is not.", signed=True),
        Tool("scribble", "Scribble", "W", "Draw on the object; right, or with Alt, on what is not.", signed=True),
        Tool("box", "Box", "R", "Drag a box around the object, from corner to corner."),
        Tool("lasso", "Lasso", "T", "Draw a loose loop around the object; it closes by itself."),
    )
}
"""By name, as the panel shows them."""

NEXT, ACCEPT, TAKE_BACK, PUT_DOWN = "N", "Return", "Backspace", "Escape"
"""Keys that mean something while a tool is up."""
