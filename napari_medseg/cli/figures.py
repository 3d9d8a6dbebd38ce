"""The figures of an evaluation as tables for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 160
"""Columns where standard output is a file or a pipe; a terminal has its own."""

NARROW = 110
"""Columns up to which figures stand close together."""

_HEADINGS = {
    "iou": "IoU",
    "dice": "Dice",
    "mae": "MAE",
    "precision": "Prec.",
    "recall": "Recall",
    "specificity": "Spec.",
    "accuracy": "Acc.",
    "f2": "F2",
    "hd95": "HD95",
    "nsd": "NSD",
}
_MOST_CLASSES = 14
"""Of more classes a table of images and classes is too wide to read; `--csv` has them all."""

_WORST = 5
"""Images that are named as those with the lowest Dice, if there are more than twice as many."""


def print_figures(found: dict[str, Any]) -> None:
    """Print what `Evaluation.to_json` gives: each image, the means with their numbers of images, and the worst."""
    somewhere = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, markup=False, width=None if somewhere else WIDE)
    images = found["images"]
    if not images:
        return
    padding = 1 if console.width > NARROW else 0
    console.print(_table("Image", ((image["case"], image) for image in images), padding))
    console.print(_table("Mean of", _means(found), padding))
    for measure in ("dice", "hd95"):
        if 0 < len(found["by_class"]) <= _MOST_CLASSES and any(image.get("classes") for image in images):
            console.print(_by_class(measure, found, padding))
    of = f" on {found['split']}" if found["split"] else ""
    console.print(f"Model {found['model']}{of}. The means of IoU and Dice are mIoU and mDice.")
    console.print(_lengths(found))
    if without := found["mean"]["without_hd95"]:
        console.print(f"HD95 does not exist for {without} of {len(images)} images, whose mask or answer is empty.")
    if len(images) > 2 * _WORST:
        worst = sorted(images, key=lambda image: image["dice"])[:_WORST]
        console.print("Lowest Dice: " + ", ".join(f"{image['case']} ({image['dice']:.3f})" for image in worst))
    if picture := next((image["picture"] for image in images if image["picture"]), None):
        console.print(f"Pictures, the truth in green and the prediction in blue: {Path(picture).parent}")


def _means(found: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for name, row in found["by_size"].items():
        of = "all images" if name == "all" else f"objects {name}"
        yield f"{of} ({row['images']})", row
    for label, row in found["by_class"].items():
        yield f"{label} {row['name']} ({row['images']})", row
    if mean := found["mean_of_classes"]:
        yield f"all classes ({mean['classes']})", mean


def _table(first: str, rows: Iterable[tuple[str, dict[str, Any]]], padding: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, padding), pad_edge=False)
    table.add_column(first, overflow="fold", min_width=8)
    for heading in _HEADINGS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for name, figures in rows:
        table.add_row(Text(name), *(_shown(measure, figures[measure]) for measure in _HEADINGS))
    return table


def _by_class(measure: str, found: dict[str, Any], padding: int) -> Table:
    """One measure of each class in each image, and their means."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, padding), pad_edge=False)
    table.add_column(f"{_HEADINGS[measure]} of", overflow="fold", min_width=8)
    classes = found["by_class"]
    for row in (*classes.values(), {"name": "mean"}):
        table.add_column(Text(row["name"]), justify="right", overflow="fold", min_width=5)
    for image in found["images"]:
        of = [image.get("classes", {}).get(label, {}).get(measure) for label in classes]
        table.add_row(Text(image["case"]), *(_shown(measure, figure) for figure in (*of, image[measure])))
    means = [row[measure] for row in (*classes.values(), found["mean_of_classes"] or {measure: None})]
    table.add_row(Text("mean"), *(_shown(measure, figure) for figure in means))
    return table


def _shown(measure: str, figure: float | None) -> str:
    if figure is None:
        return "-"
    if measure == "hd95":
        return f"{figure:.2f}"
    return f"{figure:.4f}" if measure == "mae" else f"{figure:.3f}"


def _lengths(found: dict[str, Any]) -> str:
    """Units and tolerance, in a sentence."""
    unit = found["mean"]["unit"]
    tolerances = {image["tolerance"] for image in found["images"]}
    if unit is None:
        return "The images have different units, so HD95 has no mean; each has its own."
    unit = "pixels" if unit == "pixel" else unit
    within = f"within {tolerances.pop():g} {unit}" if len(tolerances) == 1 else "within 2 pixels"
    return f"HD95 in {unit}, NSD {within}."
