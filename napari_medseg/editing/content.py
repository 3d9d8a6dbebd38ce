"""All that there is to know of a mask in work, so that somebody can go on with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_medseg.models.prompts import Prompts

from .history import History, Step
from .identity import Identity
from .known_pixels import KnownPixels
from .label_type import label_type


@dataclass(frozen=True)
class Effort:
    """What was spent on a mask since it was proposed or last accepted.

    Attributes:
        seconds: at work.
        edits: number of steps.
        changes: how often its pixels were changed.
    """

    seconds: float = 0.0
    edits: int = 0
    changes: int = 0


@dataclass(eq=False)
class Content:
    """All that there is to go on with.

    Attributes:
        image: what its image is told by.
        pixels: of the mask.
        predicted: what the model had proposed, if one had.
        model: its name.
        history: steps done and undone.
        prompts: of the object in work.
        effort: so far.
        complete: whether nothing is known to be missing, as it is where a file was torn or damaged.
    """

    image: Identity
    pixels: KnownPixels
    predicted: KnownPixels | None = None
    model: str | None = None
    history: History = field(default_factory=History)
    prompts: Prompts = field(default_factory=Prompts)
    effort: Effort = field(default_factory=Effort)
    complete: bool = True

    def write(self, step: Step, *, back: bool) -> None:
        """Bring `pixels` to what they are after a step, or, with `back`, after it was taken back."""
        for piece in step.difference.pieces:
            self.pixels.widen(label_type(self.pixels.dtype, piece.dtypes[not back]))
        if step.difference.pieces:
            (step.difference.revert if back else step.difference.apply)(self.pixels.array_to_change())

    def follow(self, step: Step, *, back: bool) -> None:
        """Bring `prompts` to what they are then."""
        if step.prompts is not None:
            self.prompts = step.prompts[0 if back else 1]
