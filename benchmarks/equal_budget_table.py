"""The table of `equal_budget.py`: Dice of each cell with its interval, and the difference from the U-Net."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import bootstrap


@dataclass(frozen=True)
class Cell:
    """One training: what, on what, and from which seed."""

    data: str
    network: str
    adstnet: bool
    seed: int

    @property
    def name(self) -> str:
        """Of the cell's folder."""
        return f"{self.data}-{self.network}{'-adstnet' * self.adstnet}-{self.seed}"

    @property
    def row(self) -> tuple[str, str, bool]:
        """What the cells of all seeds share."""
        return self.data, self.network, self.adstnet


def page(done: dict[Cell, dict[str, Any]], budget: float, at_once: int, share: float | None, planned: int) -> str:
    """The table as a page of the documentation."""
    lines = [
        "# What each network learns in the same time",
        "",
        f"Fresh weights, the `quick` recipe, {budget:g} minutes of wall-clock time a training, validation included, on "
        f"{os.cpu_count()} {platform.machine()} cores without a GPU, {at_once} at a time"
        f"{f', each with {share:g} of a core and never more' if share else ''}.",
        f"Made by `benchmarks/equal_budget.py`; {len(done)} of {planned} trainings are done.",
        "Dice is the mean over the test images, each averaged over the seeds; in brackets its 95 % bootstrap interval "
        "over images. *Against the U-Net* is the mean difference, image by image, from the U-Net without a head; "
        "where its interval lies below 0, the network lost.",
        "",
    ]
    for data in dict.fromkeys(cell.data for cell in done):
        lines += [f"## {data}", "", *_table({cell: found for cell, found in done.items() if cell.data == data}), ""]
    return "\n".join(lines)


def _table(done: dict[Cell, dict[str, Any]]) -> list[str]:
    rival = _dice_of_images(done, ("unet", False))
    lines = [
        "| network | Dice | against the U-Net | by seed | epochs | steps |",
        "|---|---|---|---|---|---|",
    ]
    for _, network, head in dict.fromkeys(cell.row for cell in done):
        found = {cell.seed: figures for cell, figures in done.items() if cell.row[1:] == (network, head)}
        dice = _dice_of_images(done, (network, head))
        differences = np.array([dice[image] - rival[image] for image in dice if image in rival])
        against = "" if (network, head) == ("unet", False) or not rival else _with_interval(differences, sign=True)
        lines.append(
            f"| {network}{' + AdSTNet' * head} | {_with_interval(np.array(list(dice.values())))} | {against} "
            f"| {_listed((f['test']['dice'] for f in found.values()), '.3f')} "
            f"| {_listed((f['training']['epochs'] for f in found.values()), '.1f')} "
            f"| {_listed((f['training']['steps'] for f in found.values()), 'd')} |"
        )
    return lines


def _dice_of_images(done: dict[Cell, dict[str, Any]], row: tuple[str, bool]) -> dict[str, float]:
    """Mean Dice over seeds of each test image."""
    scores: dict[str, list[float]] = {}
    for cell, found in done.items():
        if cell.row[1:] == row:
            for image in found["test"]["images"]:
                scores.setdefault(image["case"], []).append(image["dice"])
    return {image: float(np.mean(values)) for image, values in scores.items()}


def _with_interval(values: np.ndarray, *, sign: bool = False) -> str:
    """Mean and 95 % bootstrap interval."""
    form = "+.3f" if sign else ".3f"
    mean = format(float(values.mean()), form)
    if len(values) < 2 or np.ptp(values) == 0:
        return mean
    interval = bootstrap((values,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    return f"{mean} ({interval.low:{form}} to {interval.high:{form}})"


def _listed(values: Iterable[float], form: str) -> str:
    return " / ".join(format(value, form) for value in values)
