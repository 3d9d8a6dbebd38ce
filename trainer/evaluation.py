"""How good a model is on images whose masks are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.cards import ModelCard
from napari_medseg.models.checkpoints import load_model
from napari_medseg.models.errors import ImageError, LedgerError
from napari_medseg.models.image import MedicalImage, as_mask
from napari_medseg.models.inference import predict
from napari_medseg.models.reading import is_image, read_image, read_mask

from .ledger import Ledger
from .metrics import dice, iou
from .records import CorrectionRecord

if TYPE_CHECKING:
    from torch import nn

Case = tuple[str, MedicalImage, npt.NDArray[Any]]
"""Name, image and true mask."""


@dataclass(frozen=True)
class CaseScore:
    """One image's figures, 0 to 1; see `metrics` for what they average."""

    case: str
    dice: float
    iou: float


@dataclass(frozen=True)
class Evaluation:
    """A model's figures, image by image.

    Attributes:
        model: the model's name, version or file.
        scores: of each image, in the order of the images.
    """

    model: str
    scores: tuple[CaseScore, ...]

    @property
    def dice(self) -> float:
        """Mean over images; NaN if there were none."""
        return float(np.mean([score.dice for score in self.scores])) if self.scores else float("nan")

    @property
    def iou(self) -> float:
        """Mean over images; NaN if there were none."""
        return float(np.mean([score.iou for score in self.scores])) if self.scores else float("nan")


def evaluate(
    data: Ledger | str | Path,
    model: str | Path | None = None,
    *,
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Evaluation:
    """Compare a model's masks with the true ones.

    Args:
        data: a project, whose held-out corrections are used, which no version has learned from; or a folder with
            images/ and masks/ (equal stems).
        model: a card's name, a version of the project, or a weights file; by default the project's active model,
            or the shipped nuclei model for a folder.
        progress: called with the share done, 0 to 1.
        cancel: asked between tiles; if it answers True the evaluation stops.

    Raises:
        LedgerError: nothing was held out yet.
        ImageError: no pairs in the folder, or a mask that does not fit its image.
        ModelError: no such model.
        CancelledError: `cancel` answered True.
    """
    if isinstance(data, Ledger):
        model = str(model or data.active())
        network = load_model(data.reference(model))
        cases, count = corrections_as_cases(data, unseen(data))
    else:
        model = str(model or "nuclei")
        network = load_model(model)
        pairs = folder_pairs(Path(data))
        cases, count = ((image.stem, read_image(image), read_mask(mask)) for image, mask in pairs), len(pairs)
    scores = score(network, cases, count, progress=progress, cancel=cancel)
    return Evaluation(model, tuple(scores))


def score(
    network: nn.Module,
    cases: Iterable[Case],
    count: int,
    *,
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Iterator[CaseScore]:
    """The figures of each of `count` cases; a binary model is compared on foreground, instances or not."""
    binary = classes_of(network) == 1
    for number, (name, image, mask) in enumerate(cases):
        masks = predict(network, image, cancel=cancel).labels, as_mask(mask, image)
        answer, truth = (part > 0 for part in masks) if binary else masks
        if progress:
            progress((number + 1) / count)
        yield CaseScore(name, dice(answer, truth), iou(answer, truth))


def classes_of(network: nn.Module) -> int:
    """Logit channels of a network that has a card."""
    card: ModelCard = network.card  # type: ignore[assignment]
    return card.classes


def unseen(ledger: Ledger) -> list[CorrectionRecord]:
    """The corrections that no version learned from.

    Raises:
        LedgerError: there are none yet.
    """
    held_out = ledger.split()[1]
    if not held_out:
        raise LedgerError(
            "Every correction so far was for learning, so there is nothing to judge a model by. "
            "Accept a case of a second patient (or file); that one is kept apart."
        )
    return held_out


def corrections_as_cases(ledger: Ledger, records: list[CorrectionRecord]) -> tuple[Iterator[Case], int]:
    """Image and corrected mask of each record, read when its turn comes, and how many there are."""
    cases = ((f"case {record.id}", ledger.load_image(record), ledger.load_mask(record)) for record in records)
    return cases, len(records)


def folder_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Image and mask of equal stems in `folder`/images and `folder`/masks.

    Raises:
        ImageError: there are none.
    """
    images, masks = (
        {path.stem: path for path in sorted((folder / part).glob("*")) if is_image(path)}
        for part in ("images", "masks")
    )
    pairs = [(path, masks[stem]) for stem, path in images.items() if stem in masks]
    if not pairs:
        raise ImageError(
            f"'{folder}' has no pairs of an image and a mask. It needs a folder images and a folder masks "
            "whose files have equal names but for the ending."
        )
    return pairs
