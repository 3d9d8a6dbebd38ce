"""How good a model is on images whose masks are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.cards import ModelCard
from napari_medseg.models.checkpoints import load_model
from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import ImageError, ModelError
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.inference import predict

from .cases import Case, check_labels, chosen_split, corrections_as_cases, folder_cases, unseen
from .ledger import Ledger
from .measures import measure_image
from .metrics import dice, iou
from .pictures import open_picture_folder, write_picture
from .scores import CaseScore, Evaluation, Failure, IncompleteEvaluationError

if TYPE_CHECKING:
    from torch import nn

PIXELS = 2.0
"""Tolerance of the NSD by default, in pixels: about what two careful people differ by."""


@dataclass(frozen=True)
class Agreement:
    """Dice and IoU of one image, 0 to 1; see `metrics` for what they average."""

    case: str
    dice: float
    iou: float


def evaluate(
    data: Ledger | str | Path,
    model: str | Path | None = None,
    *,
    split: str | None = None,
    tolerance: float | None = None,
    pictures: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Evaluation:
    """Compare a model's masks with the true ones.

    Args:
        data: a project, whose held-out corrections are used, which no version has learned from; or a folder with
            images and masks, see `folders`.
        model: a card's name, a version of the project, or a weights file; by default the project's active model,
            or the shipped nuclei model for a folder.
        split: the part of a folder: "train", "val", "test"; by default test, or else val, or else all of it.
        tolerance: of the NSD, in each image's own unit (mm for medical formats, pixels where no spacing is known);
            by default twice the distance of neighbouring pixels.
        pictures: a folder for one PNG an image, CASE.png, see `pictures`.
        progress: called with the share done, 0 to 1.
        cancel: asked between tiles; if it answers True the evaluation stops.

    Raises:
        LedgerError: nothing was held out yet.
        ImageError: no pairs in the folder, or none that can be measured.
        IncompleteEvaluationError: some images cannot be read or do not fit their masks. It comes at the end and has
            the figures of the others.
        ModelError: no such model, or a tolerance that cannot be.
        WriteError: no pictures can be written to that folder.
        CancelledError: `cancel` answered True.
    """
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise ModelError(f"A tolerance of {tolerance} is not possible; use 0 or more, in the unit of the images.")
    if isinstance(data, Ledger):
        model = str(model or data.active())
        network, part = load_model(data.reference(model)), None
        cases, _ = corrections_as_cases(data, unseen(data))
    else:
        model, part = str(model or "nuclei"), chosen_split(Path(data), split)
        network, cases = load_model(model), folder_cases(Path(data), part)
    folder = open_picture_folder(Path(pictures), [file for case in cases for file in case.files]) if pictures else None
    scores: list[CaseScore] = []
    failed: list[Failure] = []
    for number, case in enumerate(cases):
        try:
            answer = _answer(network, case, cancel=cancel, judged=True)
            scores.append(_measured(answer, tolerance))
            if folder:
                picture = folder / f"{case.name}.png"
                write_picture(picture, answer.image, answer.labels, answer.truth)
                scores[-1] = replace(scores[-1], picture=str(picture))
        except (ImageError, WriteError) as error:  # the figures of the others, and of this one, are kept
            failed.append(Failure(case.called, str(error)))
        if progress:
            progress((number + 1) / len(cases))
    found = Evaluation(model, tuple(scores), class_names(card_of(network)), tuple(failed), part or "")
    if failed:
        raise IncompleteEvaluationError(found)
    return found


def score(
    network: nn.Module,
    cases: Iterable[Case],
    count: int,
    *,
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Iterator[Agreement]:
    """Dice and IoU of each of `count` cases; a binary model is compared on foreground, instances or not."""
    for number, case in enumerate(cases):
        answer = _answer(network, case, cancel=cancel, judged=False)
        if progress:
            progress((number + 1) / count)
        yield Agreement(case.name, dice(answer.labels, answer.truth), iou(answer.labels, answer.truth))


def card_of(network: nn.Module) -> ModelCard:
    """The card that `load_model` gave a network."""
    card: ModelCard = network.card  # type: ignore[assignment]
    return card


def classes_of(network: nn.Module) -> int:
    """Logit channels of a network that has a card."""
    return card_of(network).classes


def class_names(card: ModelCard) -> dict[int, str]:
    """Name of each class but the background; none of a binary model."""
    return {label: card.labels.get(label, f"label {label}") for label in range(1, card.classes)}


@dataclass(frozen=True, eq=False)
class _Answered:
    """A case with what a network says to it; masks of binary models are foreground, True and False."""

    case: Case
    card: ModelCard
    image: MedicalImage
    truth: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    probabilities: npt.NDArray[Any] | None


def _answer(network: nn.Module, case: Case, *, cancel: Callable[[], bool] | None, judged: bool) -> _Answered:
    """Load a case and segment it; `judged`: for all measures, which need probabilities and labels of the model's."""
    card = card_of(network)
    image, truth = case.load()
    if judged and card.classes > 1:
        check_labels(truth, card.classes, card.name, case)
    found = predict(network, image, probabilities=judged, cancel=cancel)
    labels = found.labels
    if card.classes == 1:
        labels, truth = labels > 0, truth > 0
    return _Answered(case, card, image, truth, labels, found.probabilities)


def _measured(answer: _Answered, tolerance: float | None) -> CaseScore:
    """The figures of one image."""
    image, truth = answer.image, answer.truth
    assert answer.probabilities is not None
    tolerance = PIXELS * max(image.spacing[-2:]) if tolerance is None else tolerance
    figures, classes = measure_image(answer.labels, truth, answer.probabilities, image.spacing, tolerance)
    return CaseScore(
        answer.case.name,
        figures,
        foreground=np.count_nonzero(truth) / truth.size,
        unit=image.unit,
        tolerance=tolerance,
        classes=classes,
        image=str(answer.case.files[0]) if answer.case.files else "",
    )
