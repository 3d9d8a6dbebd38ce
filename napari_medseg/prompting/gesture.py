"""From what the mouse does to a prompt. Without napari."""

from __future__ import annotations

import math

from napari_medseg.models.prompts.prompts import Box, Lasso, Position, Prompt, Scribble

LEAST = 2.0
"""Pixels of the image that a box or a lasso must be long and wide."""

STEP = 0.75
"""Pixels of the image between two corners of a line; the mouse tells more than anybody sees."""


class Gesture:
    """One pull of the mouse with a tool, from the press to the release.

    Args:
        tool: "scribble", "box" or "lasso".
        at: where it began, in pixels of the image.
        positive: whether it says what the object is, or what it is not.
        plane: index along each leading axis of the image.
    """

    def __init__(self, tool: str, at: Position, *, positive: bool, plane: tuple[int, ...]) -> None:
        self.tool, self.positive, self.plane = tool, positive, plane
        self._path = [at]

    def move(self, at: Position) -> bool:
        """The mouse is here now; whether that makes a difference."""
        if math.dist(at, self._path[-1]) < STEP:
            return False
        if self.tool == "box":
            del self._path[1:]
        self._path.append(at)
        return True

    def prompt(self) -> Prompt | None:
        """What it means so far; None if it is too small to mean anything."""
        first, last = self._path[0], self._path[-1]
        if self.tool == "scribble":
            return Scribble(tuple(self._path), self.positive, plane=self.plane)
        rows, columns = zip(*self._path, strict=True)
        if min(max(rows) - min(rows), max(columns) - min(columns)) < LEAST:
            return None
        if self.tool == "box":
            return Box(first, last, self.plane)
        return Lasso(tuple(self._path), self.plane) if len(self._path) > 2 else None  # not yet a loop
