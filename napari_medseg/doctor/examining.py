"""All checks, one after the other: first of the installation, then of a project."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial

import platformdirs

from napari_medseg.models.engine.address import runtime_place
from napari_medseg.models.errors import LedgerError
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.ledger_copy import existing_ledger, ledger_copy
from napari_medseg.trainer.project import default_project

from . import devices, drafts, engine, packages, plugin, project, project_files, room, screen, weights
from .checking import Check, findings_of
from .finding import FINE, Finding, fine, wrong
from .subject import ProjectPlace


def installation(only: Collection[str], seconds: float, *, has_display: bool) -> Iterator[tuple[str, Finding]]:
    """What is found of the installation, with the name of the check.

    Args:
        only: checks, of `subject.NAMES`.
        seconds: that each step should take; one that takes twice as many is given up.
        has_display: whether a window could be seen here.
    """
    places = {
        "the default project": default_project(),
        "the engine's folder": runtime_place(),
        "the logs": platformdirs.user_log_path("napari-medseg"),
        "temporary files": room.temporary(),
    }
    checks: list[tuple[str, str, Check]] = [
        ("packages", "Python", packages.python),
        ("packages", "The packages", packages.packages),
        ("plugin", "The plugin", plugin.plugin),
        ("weights", "The networks that come with MedSeg", weights.weights),
        ("room", "The memory", room.memory),
        ("room", "The folders", partial(room.folders, places)),
        ("screen", "The display", partial(screen.display, has_display)),
        ("screen", "The graphics", partial(screen.screen, has_display, seconds)),
        ("devices", "The device that computes", partial(devices.devices, seconds)),
        ("engine", "The engine", partial(engine.engine, seconds)),
    ]
    for name, title, check in checks:
        if name in only:
            for finding in findings_of(title, check, 2 * seconds):
                yield name, finding


def of_project(place: ProjectPlace, seconds: float) -> Iterator[Finding]:
    """What is found of a project; nothing in its folder is changed.

    Args:
        place: where it is; the folder is there.
        seconds: that each step should take; one that takes twice as many is given up.
    """
    with contextlib.ExitStack() as stack:
        opened: list[Ledger] = []
        begun = time.time()  # what is done in the project from now on is not in the copy of its ledger
        yield from findings_of("The ledger", partial(_opening, place, stack, opened), 2 * seconds)
        checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
            ("The project's folder", partial(room.folders, {"the project": place.folder})),
            ("Masks that were not accepted", partial(drafts.drafts, place.folder, seconds)),
        ]
        if opened:
            checks = [
                ("The pixels of the project", partial(project_files.pixels, opened[0], seconds)),
                ("The versions of the model", partial(project.versions, opened[0], seconds)),
                ("Fine-tunings", partial(project.fine_tuning, opened[0], begun)),
                ("Other files of the project", partial(project_files.others, opened[0], begun)),
                *checks,
            ]
        for title, check in checks:
            yield from findings_of(title, check, 2 * seconds)


def _opening(place: ProjectPlace, stack: contextlib.ExitStack, opened: list[Ledger]) -> Iterator[Finding]:
    """What the ledger says of itself; `opened` has it afterwards if it can be read, until the stack is closed."""
    if place.file is None:
        try:
            opened.append(stack.enter_context(existing_ledger(place.url, place.folder)))
            count = len(opened[0].corrections())
        except LedgerError as error:
            remedy = "Ask whoever looks after the database, and see whether its address and the folder are right."
            yield wrong(str(error), remedy)
            return
        yield fine(f"The project's database answers; {count} case{'s' * (count != 1)}.")
        return
    if not place.file.is_file():
        yield project.no_ledger(place.folder)
        return
    try:
        copy = stack.enter_context(ledger_copy(place.folder, place.file))
    except LedgerError as error:
        yield wrong(
            str(error), "Ask the owner of the project for permission to read it, or see whether its disk is full."
        )
        return
    found = list(project.ledger(copy))
    if found[-1].state == FINE:  # it could be read to its end
        opened.append(stack.enter_context(copy.ledger()))
    yield from found
