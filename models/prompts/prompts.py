"""What a user says about one object: points, scribbles, boxes and lassos, in the order they were given.

All positions are (row, column) in pixels of the image; the middle of its first pixel is (0, 0). Immutable, and without
torch: the window keeps them, undoes them and sends them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..errors import PromptError

Position: TypeAlias = tuple[float, float]
"""Row and column, in pixels."""

Extent: TypeAlias = tuple[Position, Position]
"""First and last row and column of a box, both inside it: ((top, left), (bottom, right))."""

SCRIBBLE_WIDTH = 3.0
"""Pixels that a scribble is wide if nobody says more."""


@dataclass(frozen=True)
class Point:
    """A click.

    Attributes:
        at: where.
        positive: whether the object is there, or is not.
        plane: index along each leading axis (time, plane) of the image; () for a 2D image.
    """

    at: Position
    positive: bool = True
    plane: tuple[int, ...] = ()

    @property
    def path(self) -> tuple[Position, ...]:
        """The positions it consists of: one."""
        return (self.at,)


@dataclass(frozen=True)
class Scribble:
    """A line drawn through the object, or through what it is not; all of it counts.

    Attributes:
        path: corners of the line, at least one.
        positive: whether the object is there, or is not.
        width: of the line, in pixels.
        plane: as a `Point` has it.
    """

    path: tuple[Position, ...]
    positive: bool = True
    width: float = SCRIBBLE_WIDTH
    plane: tuple[int, ...] = ()


@dataclass(frozen=True)
class Box:
    """An upright box around the object: nothing of it lies outside, and it comes near all four sides.

    Attributes:
        first: a corner.
        second: the opposite one.
        plane: as a `Point` has it.
    """

    first: Position
    second: Position
    plane: tuple[int, ...] = ()

    @property
    def path(self) -> tuple[Position, ...]:
        """Its four corners, in a round."""
        (top, left), (bottom, right) = self.first, self.second
        return ((top, left), (top, right), (bottom, right), (bottom, left))

    @property
    def positive(self) -> bool:
        """The object is inside."""
        return True


@dataclass(frozen=True)
class Lasso:
    """A loop drawn around the object, loosely: nothing of it lies outside.

    Attributes:
        path: corners of the loop, at least three; it closes by itself.
        plane: as a `Point` has it.
    """

    path: tuple[Position, ...]
    plane: tuple[int, ...] = ()

    @property
    def positive(self) -> bool:
        """The object is inside."""
        return True


Sizes: TypeAlias = tuple[float, float]
"""Of the smallest and of the largest object, its longer side in pixels."""

Prompt: TypeAlias = Point | Scribble | Box | Lasso


@dataclass(frozen=True)
class Prompts:
    """All prompts of one object, oldest first.

    Each method gives new ones: `Prompts().click((40, 52)).click((44, 80), positive=False)`.

    Attributes:
        items: they.
        sizes: between which the object's probably is, as others of its kind were; None if nothing is known.

    Raises:
        PromptError: a position that is no number, an empty scribble, a lasso with fewer than three corners.
    """

    items: tuple[Prompt, ...] = ()
    sizes: Sizes | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(self.items))
        for prompt in self.items:
            _check(prompt)

    def click(self, at: Position, *, positive: bool = True, plane: tuple[int, ...] = ()) -> Prompts:
        """With one point more."""
        return self.add(Point(at, positive, plane))

    def scribble(
        self,
        path: Iterable[Position],
        *,
        positive: bool = True,
        width: float = SCRIBBLE_WIDTH,
        plane: tuple[int, ...] = (),
    ) -> Prompts:
        """With one scribble more."""
        return self.add(Scribble(tuple(path), positive, width, plane))

    def box(self, first: Position, second: Position, *, plane: tuple[int, ...] = ()) -> Prompts:
        """With one box more, from corner to opposite corner."""
        return self.add(Box(first, second, plane))

    def lasso(self, path: Iterable[Position], *, plane: tuple[int, ...] = ()) -> Prompts:
        """With one lasso more."""
        return self.add(Lasso(tuple(path), plane))

    def add(self, prompt: Prompt) -> Prompts:
        """With one prompt more."""
        return replace(self, items=(*self.items, prompt))

    def without(self, number: int) -> Prompts:
        """Without one of them, counted from 0; a wrong click is taken back alone.

        Raises:
            PromptError: there is no such prompt.
        """
        if not 0 <= number < len(self.items):
            raise PromptError(f"There is no prompt {number}; there are {len(self.items)}, counted from 0.")
        return replace(self, items=self.items[:number] + self.items[number + 1 :])

    def but_newest(self) -> Prompts:
        """Those before the newest."""
        return replace(self, items=self.items[:-1])

    def flat(self) -> Prompts:
        """The same, all on a plane of their own, as if the image had no others."""
        return replace(self, items=tuple(replace(prompt, plane=()) for prompt in self.items))

    def expecting(self, sizes: Sizes | None) -> Prompts:
        """The same for an object whose longer side, in pixels, is probably between these."""
        return replace(self, sizes=sizes)

    def moved(self, rows: float, columns: float) -> Prompts:
        """All of them so much further down and to the right, as a part of the plane has them, say."""
        return replace(self, items=tuple(_moved(prompt, rows, columns) for prompt in self.items))

    def on(self, plane: tuple[int, ...]) -> Prompts:
        """Those on one plane."""
        return replace(self, items=tuple(prompt for prompt in self.items if prompt.plane == tuple(plane)))

    @property
    def plane(self) -> tuple[int, ...]:
        """The plane of the newest; () if there are none."""
        return self.items[-1].plane if self.items else ()

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def _moved(prompt: Prompt, rows: float, columns: float) -> Prompt:
    def to(at: Position) -> Position:
        return at[0] + rows, at[1] + columns

    if isinstance(prompt, Point):
        return replace(prompt, at=to(prompt.at))
    if isinstance(prompt, Box):
        return replace(prompt, first=to(prompt.first), second=to(prompt.second))
    return replace(prompt, path=tuple(map(to, prompt.path)))


def _check(prompt: Prompt) -> None:
    if not all(math.isfinite(number) for position in prompt.path for number in position):
        raise PromptError(f"A prompt lies at {prompt.path}; rows and columns must be numbers.")
    if isinstance(prompt, Scribble) and not (prompt.path and prompt.width > 0):
        raise PromptError("A scribble needs at least one position and a width above 0 pixels.")
    if isinstance(prompt, Lasso) and len(prompt.path) < 3:
        raise PromptError(f"A lasso needs at least three corners; this one has {len(prompt.path)}.")
