"""One way of an object through the slices or frames, as far as it has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.engine.region import Region
from napari_medseg.models.prompts.propagation import Known

from ..masks import Mask

Plane = tuple[int, ...]


@dataclass(eq=False)
class Run:
    """What is being propagated.

    Attributes:
        mask: whose slices are drawn.
        siblings: layers of the other channels of its image.
        label: of the object.
        axis: which of the leading axes it goes along.
        called: what a plane along it is called: "slice" or "frame".
        start: the plane that it began on.
        begun: the object there.
        steps: directions still to go, the one under way first: 1 or -1.
        most: planes to draw in each direction; 0 for as many as there are.
        over: whether other labels give way.
        replace: whether slices that have the label already are drawn anew.
        plane: the last one that is done.
        own: the object on it.
        done: planes drawn in this direction.
        drawn: planes drawn in all.
        limits: (C, 2), intensities that become 0 and 1, those of the whole image; None until they are known.
        known: what is known of the object so far; None until pixels were read.
        begun_known: what is known of it where it began.
        job: in the engine, if one is under way.
        cancelled: whether the user has had enough.
        said: why it stopped, for each direction that it is done with.
        token: of the step that can be undone.
    """

    mask: Mask
    siblings: tuple[Any, ...]
    label: int
    axis: int
    called: str
    start: Plane
    begun: Region
    steps: list[int]
    most: int
    over: bool
    replace: bool
    plane: Plane = ()
    own: Region | None = None
    done: int = 0
    drawn: int = 0
    limits: npt.NDArray[np.float64] | None = None
    known: Known | None = None
    begun_known: Known | None = None
    job: Any = None
    cancelled: bool = False
    said: list[str] = field(default_factory=list)
    token: Any = field(default_factory=object)

    def __post_init__(self) -> None:
        self.turn_back()

    def turn_back(self) -> None:
        """To where it began, to go the other way."""
        self.plane, self.own, self.done = self.start, self.begun, 0
        self.known = self.begun_known

    @property
    def next(self) -> Plane:
        """The plane to be drawn; it may lie outside of the image."""
        at = self.plane[self.axis] + self.steps[0]
        return (*self.plane[: self.axis], at, *self.plane[self.axis + 1 :])

    @property
    def place(self) -> str:
        """The plane to be drawn, in words."""
        return f"{self.called} {self.next[self.axis]}"

    def is_intact(self) -> bool:
        """Whether the object on the last plane is still what was drawn there."""
        assert self.own is not None
        here = self.mask.layer.data[self.plane][self.own.box] == self.label
        return not (self.own.mask & ~here).any()
