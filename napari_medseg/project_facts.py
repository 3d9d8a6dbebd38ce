"""What a project's ledger says of the loop: cases, what they cost, how good the proposals were, and the versions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import mean, median
from typing import Any

from napari_medseg.models.cards import list_models
from napari_medseg.models.errors import LedgerError
from napari_medseg.trainer.label_names import label_names
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.metrics import dice
from napari_medseg.trainer.named_cases import NamedCase, named_cases
from napari_medseg.trainer.records import ModelVersion

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaseFacts:
    """A case.

    Attributes:
        case: of the project.
        proposed_by: the version or shipped model that had proposed a mask; "" if none did, or it has another name.
        dice: of the proposal, held against the mask that is accepted now; None without one, or where pixels are lost.
        damaged: whether pixels of a mask are missing or damaged.
    """

    case: NamedCase
    proposed_by: str
    dice: float | None
    damaged: bool


@dataclass(frozen=True)
class VersionFacts:
    """A version.

    Attributes:
        name: "v1", ...
        base: what it was made from.
        created: when, UTC.
        active: whether it segments now.
        promoted: whether it took over when it was made.
        reason: why, or why not.
        learned_from: number of corrections; None if it was not trained here.
        judged_on: number of held-out corrections.
        dice_before: mean Dice on these of the model that was active before; None if there were none.
        dice_after: the same of the version.
        cases_before: number of cases that had been accepted first when it was made.
    """

    name: str
    base: str
    created: datetime
    active: bool
    promoted: bool
    reason: str
    learned_from: int | None
    judged_on: int
    dice_before: float | None
    dice_after: float | None
    cases_before: int


@dataclass(frozen=True)
class ProjectFacts:
    """A project.

    Attributes:
        cases: in the order in which their images came.
        versions: oldest first.
        active: name of the model that segments now.
        corrections: number of masks that were accepted, superseded ones too.
        groups: number of patients or files.
        by_label: whether Dice is the mean over labels; else it is that of the foreground.
    """

    cases: tuple[CaseFacts, ...]
    versions: tuple[VersionFacts, ...]
    active: str
    corrections: int
    groups: int
    by_label: bool


@dataclass(frozen=True)
class Trend:
    """A figure of the first and of the last cases.

    Attributes:
        first: median over the first ones.
        last: median over the last ones; None if there are too few cases to tell the two apart.
        over: number of cases that each is of.
    """

    first: float
    last: float | None
    over: int


def project_facts(ledger: Ledger, progress: Callable[[float], object] | None = None) -> ProjectFacts:
    """Read them; of the pixels the masks are looked at, and damaged ones are told of.

    Args:
        ledger: the project.
        progress: called with the share of the cases that were read.
    """
    cases, versions = named_cases(ledger), ledger.models()
    by_label = bool(label_names(ledger))
    known = {version.name for version in versions} | {card.name for card in list_models()}
    read = []
    for number, case in enumerate(cases, start=1):
        read.append(_case(ledger, case, known, by_label=by_label))
        if progress:
            progress(number / len(cases))
    return ProjectFacts(
        cases=tuple(read),
        versions=tuple(_version(version, cases) for version in versions),
        active=ledger.active(),
        corrections=sum(len(case.history) for case in cases),
        groups=len({case.group for case in cases}),
        by_label=by_label,
    )


def trend(values: Sequence[float | None]) -> Trend | None:
    """How a figure of the cases changed from the first to the last quarter of them; None if nobody knows it.

    Args:
        values: of each case, in order; None where it is not known.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) < 4:
        return Trend(median(known), None, len(known))
    over = max(2, len(known) // 4)
    return Trend(median(known[:over]), median(known[-over:]), over)


def _case(ledger: Ledger, case: NamedCase, known: set[str], *, by_label: bool) -> CaseFacts:
    proposal = case.proposal
    found, damaged = None, False
    try:
        mask = ledger.load_mask(case.record)
        if proposal is not None and (proposed := ledger.load_predicted(proposal)) is not None:
            found = dice(proposed, mask) if by_label else dice(proposed > 0, mask > 0)
    except LedgerError:
        _log.warning("the masks of %s cannot be read", case.name, exc_info=True)
        damaged = True
    model = (proposal.model or "") if proposal else ""
    return CaseFacts(case, model if model in known else "", found, damaged)


def _version(version: ModelVersion, cases: Sequence[NamedCase]) -> VersionFacts:
    figures: dict[str, Any] = version.metrics
    trained = figures.get("trained_on")
    return VersionFacts(
        name=version.name,
        base=version.base,
        created=version.created,
        active=version.active,
        promoted=bool(figures.get("result", {}).get("promoted")),
        reason=version.reason,
        learned_from=None if trained is None else len(trained),
        judged_on=len(figures.get("held_out") or ()),
        dice_before=_mean(figures.get("dice_before")),
        dice_after=_mean(figures.get("dice_after")),
        cases_before=sum(case.history[0].created < version.created for case in cases),
    )


def _mean(values: Sequence[float] | None) -> float | None:
    return mean(values) if values else None
