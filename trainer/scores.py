"""The figures of a model, image by image, and their means: over all, by the size of the objects, by class."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from napari_medseg.models.errors import ImageError

from .measures import MEASURES, Measures, mean_of

SIZES = {"<1%": 0.01, "<10%": 0.10, "all": math.inf}
"""Rows of means: of images whose foreground covers less than this share of them (the SoSegFormer poster's table 1).

An image is in each row that it fits. One without any object has no size and is in "all" only.
"""


@dataclass(frozen=True)
class CaseScore:
    """One image's figures.

    Attributes:
        case: the image's name.
        measures: of the foreground, or means over the classes; see `measures`.
        foreground: share of the image that the true mask covers, 0 to 1.
        unit: of `measures.hd95` and `tolerance`: "mm", ... or "pixel".
        tolerance: of `measures.nsd`.
        classes: of each label that the image or the answer has; empty for binary models.
        image: the file; "" if it comes from a project.
        picture: where `--pictures` has put it; "" without.
    """

    case: str
    measures: Measures
    foreground: float
    unit: str
    tolerance: float
    classes: dict[int, Measures] = field(default_factory=dict)
    image: str = ""
    picture: str = ""

    @property
    def dice(self) -> float:
        """Dice of the image."""
        return self.measures.dice

    @property
    def iou(self) -> float:
        """Intersection over union of the image."""
        return self.measures.iou

    def to_json(self) -> dict[str, Any]:
        """Names and figures side by side; what is not a number is None."""
        about: dict[str, Any] = {"case": self.case} | asdict(self.measures)
        about |= {"foreground": self.foreground, "unit": self.unit, "tolerance": self.tolerance}
        if self.classes:
            about["classes"] = {str(label): finite(asdict(found)) for label, found in self.classes.items()}
        return finite(about | {"image": self.image or None, "picture": self.picture or None})


@dataclass(frozen=True)
class Failure:
    """An image that could not be measured (or pictured), and why."""

    image: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """A model's figures.

    Attributes:
        model: the model's name, version or file.
        scores: of each image, in the order of the images.
        labels: name of each class; empty for binary models.
        failed: images that have no figures.
        split: the part of the folder that was used: "test", "val", ...; "" for all of it, and for projects.
    """

    model: str
    scores: tuple[CaseScore, ...]
    labels: dict[int, str] = field(default_factory=dict)
    failed: tuple[Failure, ...] = ()
    split: str = ""

    @property
    def dice(self) -> float:
        """Mean over images (mDice); NaN if there were none."""
        return _number(mean_of([score.measures for score in self.scores])["dice"])

    @property
    def iou(self) -> float:
        """Mean over images (mIoU); NaN if there were none."""
        return _number(mean_of([score.measures for score in self.scores])["iou"])

    def by_size(self) -> dict[str, dict[str, Any]]:
        """A row for each of `SIZES`: the means of its images and their number."""
        return {
            name: _row(
                (score, score.measures) for score in self.scores if limit == math.inf or 0 < score.foreground < limit
            )
            for name, limit in SIZES.items()
        }

    def by_class(self) -> dict[str, dict[str, Any]]:
        """A row for each label: its name, and its means over the images in which it is, or was found."""
        return {
            str(label): {"name": name}
            | _row((score, score.classes[label]) for score in self.scores if label in score.classes)
            for label, name in self.labels.items()
        }

    def mean_of_classes(self) -> dict[str, Any] | None:
        """The mean of the rows of `by_class`, each organ as much as another, as papers on several organs average.

        It differs from the mean over images where not every image has every class. None for binary models, and if no
        image has a class.
        """
        rows = [row for row in self.by_class().values() if row["images"]]
        if not rows:
            return None
        means = mean_of([Measures(**{name: row[name] for name in MEASURES}) for row in rows])
        units = {row["unit"] for row in rows}
        unit = units.pop() if len(units) == 1 else None
        return {"classes": len(rows)} | means | {"hd95": means["hd95"] if unit else None, "unit": unit}

    def to_json(self) -> dict[str, Any]:
        """All of it, with None for what is not a number, such as an HD95 that does not exist."""
        by_size = self.by_size()
        return {
            "model": self.model,
            "split": self.split or None,
            "dice": finite(by_size["all"])["dice"],
            "iou": finite(by_size["all"])["iou"],
            "mean": finite(by_size["all"]),
            "by_size": {name: finite(row) for name, row in by_size.items()},
            "by_class": {label: finite(row) for label, row in self.by_class().items()},
            "mean_of_classes": finite(mean) if (mean := self.mean_of_classes()) else None,
            "images": [score.to_json() for score in self.scores],
            "failed": [asdict(failure) for failure in self.failed],
        }


class IncompleteEvaluationError(ImageError):
    """Some images could not be measured; the others were.

    Attributes:
        evaluation: the figures of those.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        failed, measured = evaluation.failed, len(evaluation.scores)
        reasons = "\n".join(f"  {failure.image}: {failure.reason}" for failure in failed)
        super().__init__(
            f"{measured} image{'s were' if measured != 1 else ' was'} measured, {len(failed)} failed:\n{reasons}"
        )
        self.evaluation = evaluation


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """The same with None for NaN and infinities, which JSON does not know."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _row(scored: Iterable[tuple[CaseScore, Measures]]) -> dict[str, Any]:
    """Means, numbers of images and of those without HD95, and its unit; lengths of several units have no mean."""
    rows = list(scored)
    measures = [one for _, one in rows]
    units = {score.unit for score, _ in rows}
    means = mean_of(measures)
    if len(units) > 1:
        means["hd95"] = None
    without = sum(one.hd95 is None for one in measures)
    return {"images": len(rows)} | means | {"without_hd95": without, "unit": units.pop() if len(units) == 1 else None}


def _number(figure: float | None) -> float:
    return float("nan") if figure is None else figure
