"""The figures of an evaluation as CSV, for spreadsheets and statistics."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

MEASURES = ("iou", "dice", "mae", "precision", "recall", "specificity", "accuracy", "f2", "hd95", "nsd")
"""Columns of figures, as `trainer.measures` defines them."""

COLUMNS = ("image", "label", "class", *MEASURES, "unit", "tolerance", "foreground", "images", "file")
"""Of each line. `unit` is that of `hd95` and `tolerance`; `images` says how many a mean is of."""


def figures_csv(found: dict[str, Any]) -> str:
    """What `Evaluation.to_json` gives as lines: each image, each of its classes, and the means.

    A line of an image has no label: it is its foreground, or the mean over its classes. The means have "mean" for an
    image; that over the classes is called "all classes". What does not exist is left empty.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(found))
    return text.getvalue()


def _lines(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    names = {label: row["name"] for label, row in found["by_class"].items()}
    for image in found["images"]:
        about = {"image": image["case"], "unit": image["unit"], "tolerance": image["tolerance"], "file": image["image"]}
        yield image | about
        for label, figures in image.get("classes", {}).items():
            yield about | figures | {"label": label, "class": names.get(label, label)}
    yield found["mean"] | {"image": "mean"}
    for label, row in found["by_class"].items():
        yield row | {"image": "mean", "label": label, "class": row["name"]}
    if found["mean_of_classes"]:
        yield found["mean_of_classes"] | {"image": "mean", "class": "all classes"}
