"""Whether a project's ledger is whole, and the models and the fine-tuning that it knows of."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from napari_medseg.models.cards import find_card, read_card
from napari_medseg.models.errors import LedgerError, ModelError
from napari_medseg.trainer.jobs import BEATS
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.ledger_copy import NAME, LedgerCopy
from napari_medseg.trainer.records import ModelVersion
from napari_medseg.trainer.schema import SCHEMA

from ..sizes import in_bytes
from .finding import Finding, fine, note, wrong

_RESTORE = "Copy the whole folder of the project before doing anything else, and restore the ledger from an older copy."


def no_ledger(folder: Path) -> Finding:
    """What to say of a folder without a ledger."""
    pixels = sum(1 for _ in folder.glob("objects/??/*.tif"))
    names = {"folder": str(folder)}
    if pixels:
        return wrong(
            f"The project's ledger ({NAME}) is missing. The pixels of its images and masks are still there ({pixels} "
            "files), but nothing says which are whose.",
            f"Do not accept anything into this folder. Put {NAME} back from a copy of the project.",
            names=names,
        )
    return wrong(
        "There is no project in this folder.",
        "Give the folder that the panel names under Project. `medseg accept` makes one with its first correction.",
        names=names,
    )


def ledger(copy: LedgerCopy) -> Iterator[Finding]:
    """Whether the file is whole, and of a form that this version knows.

    Args:
        copy: of the project's ledger.
    """
    details: dict[str, str | int | None] = {
        "size": in_bytes(copy.database.stat().st_size),
        "form": copy.format(),
        "form of this version": SCHEMA,
    }
    if copy.log_size:
        details["not yet in the file"] = f"{in_bytes(copy.log_size)} (a window is open, or was killed; nothing is lost)"
    if copy.database.stat().st_size == 0:
        yield wrong(f"The project's ledger ({NAME}) is empty.", _RESTORE, details=details)
        return
    if not copy.still:
        yield note(
            "The ledger could not be looked at: a window or a fine-tuning is writing into it all the time.",
            "Try again when it has less to do.",
            details=details,
        )
        return
    if faults := copy.faults():
        yield wrong(
            f"The project's ledger ({NAME}) is damaged.", _RESTORE, details=details | {"SQLite says": faults[:5]}
        )
        return
    form = copy.format()
    if form is None:
        yield wrong(
            f"The file {NAME} in this folder is not the ledger of a MedSeg project.",
            "Choose the project's own folder, or restore the ledger from a copy.",
            details=details,
        )
    elif form > SCHEMA:
        yield wrong(
            f"The project was written by a newer MedSeg (form {form}; this one knows {SCHEMA}). It is as it was.",
            "Update MedSeg to open it: python -m pip install --upgrade napari-medseg",
            details=details,
        )
    else:
        if form < SCHEMA:
            yield note(
                f"The project was written by an older MedSeg (form {form}; this one writes {SCHEMA}).",
                "Copy the folder of the project before you open it; older versions may not open it afterwards.",
                details=details,
            )
        yield from _contents(copy, details)  # only the copy is brought up to date


def _contents(copy: LedgerCopy, details: dict[str, str | int | None]) -> Iterator[Finding]:
    try:
        with copy.ledger() as opened:
            history = opened.corrections(all=True)
    except (LedgerError, ValueError, TypeError) as error:
        yield wrong(
            "The project's ledger cannot be read, though its file is whole.",
            _RESTORE,
            details=details,
            names={"error": str(error)},
        )
        return
    cases = len({record.image_key for record in history})
    details |= {"cases": cases, "corrections": len(history)}
    yield fine(f"The ledger is whole: {_count(cases, 'case')}, {_count(len(history), 'correction')}.", details=details)


def versions(opened: Ledger, seconds: float) -> Iterator[Finding]:
    """Whether the weights of each version are there and, as far as the time allows, whole; and the active model.

    Args:
        opened: the project, as far as it is only read.
        seconds: that may be spent on reading.
    """
    known, active, end = opened.models(), opened.active(), time.monotonic() + seconds
    damaged: dict[str, str] = {}
    names: dict[str, str] = {}
    unread = 0
    newest_first = known[::-1]
    for version in sorted(newest_first, key=lambda version: not version.active):  # the one that segments before all
        in_time = time.monotonic() < end
        unread += not in_time
        if what := _damage(opened, version, read=in_time):
            damaged[version.name] = what
            names[version.name] = str(version.path)
    details = {"versions": len(known), "active": active}
    if damaged:
        told = "; ".join(f"{name}: {what}" for name, what in damaged.items())
        chosen = " One of them is the active one: segmenting fails." if active in damaged else ""
        yield wrong(
            f"Versions of the model cannot be used. {told}.{chosen}",
            "Put their files back from a copy of the project (folder versions)"
            + (", or choose another version under Model and press Use this version." if active in damaged else "."),
            details=details,
            names=names,
        )
    if active not in {version.name for version in known} and not _is_card(active):
        yield wrong(
            "The model that is active in this project is neither one of its versions nor one that comes with MedSeg.",
            "Choose another under Model, and press Use this version; or update MedSeg.",
            details=details,
        )
    elif unread:
        yield note(
            f"The weights of {unread} of {_count(len(known), 'version')} are there; for reading them time was short.",
            "To read all of them: medseg doctor PROJECT --patience 3600",
            details=details,
        )
    elif not damaged:
        made = f"{_count(len(known), 'version')} made here, whole; " if known else ""
        yield fine(f"The model is there: {made}active is {active}.", details=details)


def fine_tuning(opened: Ledger, begun: float) -> Iterator[Finding]:
    """Whether one was cut short.

    Args:
        opened: the project, as far as it is only read.
        begun: when it was opened, in s as `time.time` has it: a copy does not hear of later beats.
    """
    job = opened.unfinished_job()
    if job is None:
        return
    silent = begun - job.updated.timestamp()
    details = {"state": job.state, "done": f"{job.progress:.0%}", "begun": f"{job.created:%Y-%m-%d %H:%M} UTC"}
    if silent <= BEATS:
        yield fine(f"A fine-tuning is under way ({job.progress:.0%}).", details=details)
    else:
        yield note(
            f"A fine-tuning was cut short at {job.progress:.0%}: its process has ended.",
            "Press Fine-tune now, or run `medseg finetune PROJECT`: it goes on from its last checkpoint.",
            details=details,
        )


def _damage(opened: Ledger, version: ModelVersion, *, read: bool) -> str:
    """What is wrong with the files of a version; nothing if they are whole, as far as they are read."""
    if not version.path.is_file():
        return "the weights are missing"
    try:
        if read:
            opened.weights(version.name)
    except LedgerError:
        return "the weights were truncated, changed, or cannot be read"
    try:
        card = read_card(version.path.with_suffix(".json"))
    except ModelError:
        return "its card is missing or damaged"
    return "" if card.sha256 == version.sha256 else "its card is another's"


def _is_card(name: str) -> bool:
    try:
        find_card(name)
    except ModelError:
        return False
    return True


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
