"""The page of a project: whether the loop pays off, its versions, and a few of its cases in pictures.

All of it comes from the ledger; no model is run. Cases have numbers, and nothing says whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError, LedgerError
from napari_medseg.trainer.ledger import Ledger

from .case_views import view_of
from .effort_charts import chart
from .project_facts import CaseFacts, ProjectFacts, Trend, project_facts, trend
from .report import as_png, compared, displayed, outlined, write_page

PICTURED = 6
"""Cases with pictures."""

_MINUTES = 120.0
"""Seconds from which on times are told in minutes."""


@dataclass(frozen=True)
class ProjectPage:
    """What was written.

    Attributes:
        facts: what the page tells.
        damaged: titles of the cases of which pixels are missing or damaged.
    """

    facts: ProjectFacts
    damaged: tuple[str, ...]


def write_project_report(
    path: Path, ledger: Ledger, *, pictured: int = PICTURED, progress: Callable[[float], object] | None = None
) -> ProjectPage:
    """Write the page, whole or not at all; an older one is replaced.

    Args:
        path: of the page.
        ledger: the project.
        pictured: how many cases are shown, from the first to the last one.
        progress: called with the share done, 0 to 1.

    Raises:
        WriteError: the folder cannot be written.
    """
    tell = progress or (lambda share: None)
    facts = project_facts(ledger, lambda share: tell(0.8 * share))
    readable = [one for one in facts.cases if not one.damaged]
    damaged = [one.case.title for one in facts.cases if one.damaged]
    rows = []
    for number, one in enumerate(chosen := _spread(readable, pictured), start=1):
        try:
            rows.append(_row(ledger, one))
        except (LedgerError, ImageError):
            damaged.append(one.case.title)
        tell(0.8 + 0.2 * number / len(chosen))
    write_page(
        path,
        "project_report.html",
        report={"title": "What the project has learned", "summary": summary(facts)},
        facts=facts,
        tiles=_tiles(facts),
        charts=_charts(facts),
        rows=rows,
        damaged=damaged,
    )
    return ProjectPage(facts, tuple(damaged))


def summary(facts: ProjectFacts) -> str:
    """What there is, and whether the loop pays off, in a few sentences."""
    if not facts.cases:
        return (
            "Nothing was accepted in this project yet. Segment an image, correct its mask and accept it; then there "
            "is something to tell."
        )
    count, again = len(facts.cases), facts.corrections - len(facts.cases)
    first, last = (
        f"{moment:%d %B %Y}".lstrip("0")
        for moment in (facts.cases[0].case.history[0].created, max(one.case.record.created for one in facts.cases))
    )
    said = f"{_many(count, 'image')} of {_many(facts.groups, 'patient or file', 'patients or files')}"
    said += f" {'was' if count == 1 else 'were'} corrected and accepted"
    said += f" on {first}" if first == last else f" from {first} to {last}"
    said += f", {_many(again, 'mask')} of them once more" if again else ""
    told = [f"{said}.", f"{facts.active} segments now."]
    effort = trend(_seconds(facts))
    if effort is not None and effort.last is not None and effort.first > 0:
        change = effort.last / effort.first - 1
        kind = "less" if change < 0 else "more"
        compared_with = f"the last {effort.over} cases took {abs(change):.0%} {kind} time than the first {effort.over}"
        told.append(f"Of what was timed, {compared_with}.")
    return " ".join(told)


def _seconds(facts: ProjectFacts) -> list[float | None]:
    return [one.case.seconds for one in facts.cases]


def _edits(facts: ProjectFacts) -> list[float | None]:
    return [one.case.edits for one in facts.cases]


def _tiles(facts: ProjectFacts) -> list[dict[str, str]]:
    """The large figures at the top: a value and what it is; from the first cases to the last where that is known."""
    tiles = [{"value": str(len(facts.cases)), "about": "corrected images"}]
    for values, about, shown in (
        (_seconds(facts), "time a case", lasted),
        (_edits(facts), "edits a case", lambda value: f"{value:.0f}"),
        ([one.dice for one in facts.cases], "Dice of what was proposed", lambda value: f"{value:.3f}"),
    ):
        found = trend(values)
        if found is not None:
            tiles.append({"value": _from_to(found, shown), "about": f"{about}, {_over(found)}"})
    return tiles


def _from_to(found: Trend, shown: Callable[[float], str]) -> str:
    return shown(found.first) if found.last is None else f"{shown(found.first)} → {shown(found.last)}"


def _over(found: Trend) -> str:
    return "median" if found.last is None else f"median of the first and the last {found.over}"


def lasted(seconds: float) -> str:
    """A time for people: "48 s", "3 min"."""
    return f"{seconds:.0f} s" if seconds < _MINUTES else f"{seconds / 60:.0f} min"


def _charts(facts: ProjectFacts) -> list[dict[str, str]]:
    seconds, edits, dice = _seconds(facts), _edits(facts), [one.dice for one in facts.cases]
    known = [value for value in seconds if value is not None]
    in_minutes = bool(known) and float(np.median(known)) >= _MINUTES
    times = [value / 60 if value is not None and in_minutes else value for value in seconds]
    drawn: list[tuple[list[float | None], str, float | None]] = [
        (times, "Minutes a case" if in_minutes else "Seconds a case", None),
        (edits, "Edits a case", None),
        (dice, "Dice of what was proposed", 1.05),
    ]
    marks = [(float(version.cases_before), version.name) for version in facts.versions if version.promoted]
    return [
        {"picture": chart(values, label, marks, top), "about": f"{label}, case after case"}
        for values, label, top in drawn
        if sum(value is not None for value in values) > 1
    ]


def _spread(cases: Sequence[CaseFacts], count: int) -> list[CaseFacts]:
    """So many of them, evenly from the first to the last."""
    if len(cases) <= count:
        return list(cases)
    return [cases[round(at)] for at in np.linspace(0, len(cases) - 1, count)]


def _row(ledger: Ledger, one: CaseFacts) -> dict[str, Any]:
    """A case with its pictures."""
    record, proposal = one.case.record, one.case.proposal
    image = ledger.load_image(record)
    proposed = ledger.load_predicted(proposal) if proposal is not None else None
    view = view_of(image, ledger.load_mask(record), proposed)
    told = [f"{record.created:%Y-%m-%d}", view.where]
    told.append(lasted(one.case.seconds) if one.case.seconds is not None else "")
    told.append(_many(one.case.edits, "edit") if one.case.edits is not None else "")
    return {
        "title": one.case.title,
        "note": ", ".join(filter(None, told)),
        "aspect": f"{view.aspect:.4f}",
        "image": as_png(displayed(view.image)),
        "proposed": None if view.proposal is None else as_png(compared(view.image, view.proposal, view.mask)),
        "accepted": as_png(outlined(view.image, view.mask)),
        "dice": one.dice,
        "proposed_by": one.proposed_by,
    }


def _many(count: int, what: str, several: str = "") -> str:
    return f"{count} {what if count == 1 else several or f'{what}s'}"
