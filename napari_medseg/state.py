"""All that the panel shows, in one place: widgets read it and write it, and never each other.

Without Qt and without torch, so that every behaviour can be tested without a click.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psygnal import EventedModel
from pydantic import ConfigDict

from napari_medseg.models.export.kinds import Export


@dataclass(frozen=True)
class ModelChoice:
    """A model that can be picked.

    Attributes:
        name: what the engine and the ledger call it; for a file, its path.
        title: for people.
        about: what it is and how good it was seen to be, a sentence or two.
        labels: name of each label in its masks.
        answers: what it can answer with, the usual one first.
        trained: False for a network with fresh weights, or weights in its encoder only, which knows nothing yet.
        weights_from: for an untrained network, what weights there are and how to bring them in.
        version: whether it was made in this project.
    """

    name: str
    title: str
    about: str = ""
    labels: dict[int, str] = field(default_factory=dict)
    answers: tuple[str, ...] = ("mask",)
    trained: bool = True
    weights_from: str = ""
    version: bool = False


@dataclass(frozen=True)
class CurvePoint:
    """One point of the learning curves: after a share of the training, the loss, or the held-out Dice, or both."""

    share: float
    loss: float | None = None
    dice: float | None = None


@dataclass(frozen=True, eq=False)
class KeptDraft:
    """Corrections of an image that were not accepted when their window ended.

    Attributes:
        path: of the file.
        image: the layer that they belong to.
        identity: what the image is told by, see `editing.identity`.
        own: whether they are certainly this image's, and not those of another one with equal pixels.
        changed: when the last one was made, in seconds since 1970.
    """

    path: Path
    image: Any
    identity: Any
    own: bool
    changed: float


class PanelState(EventedModel):
    """What the panel shows and what the user has chosen.

    Attributes:
        project: folder of the ledger.
        image: the chosen image layer, held as an object, since it may be renamed; None if there is none.
        image_about: size, channels and spacing of it, in words; or why it cannot be used.
        image_usable: whether it can be segmented.
        image_notices: what is to be known of it, as its file is: what was resampled, left out or is missing.
        opening: which file is being opened, in words; "" if none is.
        opening_share: how much of the mask of a large image is opened; None if none is being opened.
        choosing: several images in one file or folder, of which the user has to choose; None if there are none.
        origin: file that the image came from, or its layer's name; stands for the patient if `group` is empty.
        large: whether the image stays in its file and is corrected part by part, or is such a part.
        large_mask: whether there is a mask of all of it.
        large_about: what to do with it, in words.
        in_part: whether a part of it is open for correction.
        part_busy: whether a part is being opened or put back.
        queue: images of the folder that is worked through, with how far each is.
        queue_at: number of the one that is open; -1 for none.
        queue_share: of its images that have a mask, while they are segmented; None if they are not.
        queue_about: how far it is, in words.
        group: patient that the image belongs to, as typed.
        models: what can be picked.
        model: name of the picked one.
        answer: what it shall answer with, "instances" or "mask".
        show_doubt: whether to show where the model is unsure, over the image.
        mask: the Labels layer that belongs to the image; None before segmenting.
        edits: strokes made on it since it was last accepted or segmented.
        accepted: whether the mask as it is now is in the ledger.
        engine: state of the engine, in words.
        engine_ready: whether it answers.
        segmenting: share of a segmentation that is done; None if none is under way.
        accepting: whether an accepted mask is on its way to the disk.
        learning: share of a fine-tuning that is done; None if none is under way.
        learning_about: what the fine-tuning does now, with the time left.
        curve: of the fine-tuning under way, or of the last one.
        adstnet: whether fine-tunings shall learn sharp borders with AdSTNet's head.
        learn_every: fine-tune after so many accepted cases; 0 for only when asked.
        corrections: in the ledger, latest of each image.
        held_out: how many of them are kept for judging.
        versions: made in this project, with their figures, newest first.
        active: name of the active model.
        undo: name of the step that would be undone; "" if there is none.
        redo: name of the step that would be done again; "" if there is none.
        draft: corrections of the image that can be gone on with; None if there are none.
        drafts: how many masks that were not accepted the project keeps, and how many bytes they take.
        tool: name of the mask tool that is picked; "" if none is.
        tool_asks: what the picked tool wants a click on; "" while it listens to none.
        tool_working: share that a mask tool at work has done; None if none is at work.
        paint_range: least and largest brightness that the brush paints on; None for any.
        prompt_tool: name of the prompt tool that has the mouse; "" if none has.
        given: the prompts (`models.prompts`) of the object in work, oldest first.
        object_about: which object is in work, in words.
        label: that the brush and the next object get, if not each gets its own.
        labels: name of each label that can be picked.
        own_labels: whether each object that prompts begin gets a label of its own.
        overwrite: whether prompts may take pixels of other labels.
        looking: which doubtful place of the mask is looked at, or why there is none, in words.
        can_look: whether there are doubtful places to go to.
        propagating: where a propagation is, in words; "" if none is under way.
        propagate_blocked: why nothing can be propagated, in words; "" if something can.
        propagate_along: the axis to go along, "Z" or "T".
        propagate_most: slices or frames to draw in each direction; 0 for as many as there are.
        propagate_replace: whether slices that have the label already are drawn anew.
        exports: formats that the mask of the image can be written in, the usual one first.
        export: key of the picked one; "" if there is none.
        exporting: share of an export that is done; None if none is under way.
        deleted_mask: an edited, not yet accepted mask whose layer was deleted, so that it can be put back.
        notice: what just happened, if the user should know.
        problem: what went wrong, and what to do; empty if nothing did.
        unsafe: why what is done now would not survive a crash, as long as that is so; "" if it would.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, validate_assignment=True)

    project: Path
    image: Any = None
    image_about: str = ""
    image_usable: bool = False
    image_notices: tuple[str, ...] = ()
    opening: str = ""
    opening_share: float | None = None
    choosing: Any = None
    origin: str = ""
    large: bool = False
    large_mask: bool = False
    large_about: str = ""
    in_part: bool = False
    part_busy: bool = False
    queue: tuple[Any, ...] = ()
    queue_at: int = -1
    queue_share: float | None = None
    queue_about: str = ""
    group: str = ""
    models: tuple[ModelChoice, ...] = ()
    model: str = ""
    answer: str = "mask"
    show_doubt: bool = False
    mask: Any = None
    edits: int = 0
    accepted: bool = False
    engine: str = "Starting the engine ..."
    engine_ready: bool = False
    segmenting: float | None = None
    accepting: bool = False
    learning: float | None = None
    learning_about: str = ""
    curve: tuple[CurvePoint, ...] = ()
    adstnet: bool = False
    learn_every: int = 0
    corrections: int = 0
    held_out: int = 0
    versions: tuple[dict[str, Any], ...] = ()
    active: str = ""
    undo: str = ""
    redo: str = ""
    draft: KeptDraft | None = None
    drafts: tuple[int, int] = (0, 0)
    tool: str = ""
    tool_asks: str = ""
    tool_working: float | None = None
    paint_range: tuple[float, float] | None = None
    prompt_tool: str = ""
    given: tuple[Any, ...] = ()
    object_about: str = ""
    label: int = 1
    labels: dict[int, str] = {}  # noqa: RUF012  pydantic copies it
    own_labels: bool = False
    overwrite: bool = False
    looking: str = ""
    can_look: bool = False
    propagating: str = ""
    propagate_blocked: str = ""
    propagate_along: str = "Z"
    propagate_most: int = 0
    propagate_replace: bool = False
    exports: tuple[Export, ...] = ()
    export: str = ""
    exporting: float | None = None
    deleted_mask: Any = None
    notice: str = ""
    problem: str = ""
    unsafe: str = ""

    @property
    def prompts(self) -> int:
        """How many prompts the object in work has."""
        return len(self.given)

    def choice(self) -> ModelChoice | None:
        """The picked model."""
        return next((choice for choice in self.models if choice.name == self.model), None)
