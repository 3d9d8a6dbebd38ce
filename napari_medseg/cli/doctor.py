"""`medseg doctor`: what is wrong with this installation or project, and the remedy. It changes nothing."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from napari_medseg.doctor.finding import FINE, NOTE, WRONG, Finding
from napari_medseg.doctor.subject import NAMES, ProjectPlace
from napari_medseg.models.errors import LedgerError
from napari_medseg.trainer.project import DatabaseProject, default_project, is_project

from .answering import AsJson, answer, clear_errors
from .display import has_display
from .naming import Pixels, named_project

STYLES = {FINE: "green", NOTE: "yellow", WRONG: "bold red"}

Section = tuple[str, str, Finding]
"""What was looked at ("installation" or "project"), the name of the check, and what it found."""


@clear_errors
def doctor(
    project: Annotated[
        str | None,
        typer.Argument(
            metavar="PROJECT",
            help="A project's folder, or the address of its database; by default your own project, if there is one.",
        ),
    ] = None,
    pixels: Pixels = None,
    only: Annotated[list[str] | None, typer.Option(help=f"Look at this alone: {', '.join(NAMES)}.")] = None,
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds for each step; after twice as many it is given up.")
    ] = 60.0,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name folders and files, too. They may be called after patients.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with this installation or a project, and the remedy. Nothing is changed.

    Exit code 1 if something is wrong. It names no folder or file unless --verbose is given.
    """
    chosen = only or list(NAMES)
    if unknown := [name for name in chosen if name not in NAMES]:
        raise typer.BadParameter(
            f"There is no check '{unknown[0]}'; there are {', '.join(NAMES)}.", param_hint="--only"
        )
    place = _place(project, pixels)
    found = []
    console = Console(highlight=False)
    with console.status("Looking ...") as status:
        heading = ""
        for about, name, finding in _sections(chosen, place, patience):
            found.append((about, name, finding))
            status.update(f"Looking at the {about} ...")
            if as_json:
                continue
            if about != heading:
                console.print(f"{'' if not heading else chr(10)}[bold]{about.capitalize()}[/]")
                heading = about
            console.print(_lines(finding, verbose=verbose))
    _conclude(found, console, verbose=verbose, as_json=as_json)


def _sections(chosen: list[str], place: ProjectPlace | None, patience: float) -> Iterator[Section]:
    from napari_medseg.doctor.examining import installation, of_project  # slow to import

    for name, finding in installation(chosen, patience, has_display=has_display()):
        yield "installation", name, finding
    if place is not None and "project" in chosen:
        for finding in of_project(place, patience):
            yield "project", "project", finding


def _place(given: str | None, pixels: Path | None) -> ProjectPlace | None:
    """Where the project is; None if none was given and the user has none.

    Raises:
        LedgerError: there is no such folder.
        typer.BadParameter: as `named_project`.
    """
    if given is None and pixels is None:
        own = default_project().absolute()
        return ProjectPlace(own) if is_project(own) else None
    project = named_project(given or default_project(), pixels)
    if isinstance(project, DatabaseProject):
        place, remedy = ProjectPlace(project.pixels, project.url), "Give the one that holds the project's pixels."
    else:
        place, remedy = ProjectPlace(project), "`medseg accept` makes a project with its first correction."
    if not place.folder.is_dir():
        raise LedgerError(f"There is no folder '{place.folder}'. {remedy}")
    return place


def _conclude(found: list[Section], console: Console, *, verbose: bool, as_json: bool) -> None:
    """Say how many things are wrong, and end with 1 if any is."""
    count = {state: sum(finding.state == state for *_, finding in found) for state in STYLES}
    checks = [{"about": about, "check": name} | asdict(finding) for about, name, finding in found]
    if not verbose:
        checks = [{key: value for key, value in check.items() if key != "names"} for check in checks]
    value: dict[str, Any] = {
        "version": version("napari-medseg"),
        "platform": platform.platform(),
        "wrong": count[WRONG],
        "notes": count[NOTE],
        "checks": checks,
    }
    answer(value, as_json=as_json)
    if not as_json:
        console.print()
        console.print(Text(_summary(count[WRONG], count[NOTE]), style="bold"))
    if count[WRONG]:
        raise typer.Exit(1)


def _summary(wrong: int, notes: int) -> str:
    things = "Nothing is wrong" if not wrong else "1 thing is wrong" if wrong == 1 else f"{wrong} things are wrong"
    knowing = "" if not notes else ", and 1 is worth knowing" if notes == 1 else f", and {notes} are worth knowing"
    return f"{things}{knowing}."


def _lines(finding: Finding, *, verbose: bool) -> Table:
    """A finding as it is printed: its state, what was found and what to do, and the details below."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=6, justify="right")
    grid.add_column(overflow="fold")
    grid.add_row(Text(finding.state, style=STYLES[finding.state]), Text(finding.found))
    if finding.remedy:
        grid.add_row("", Text.assemble(("To do: ", "bold"), finding.remedy))
    if details := {name: value for name, value in finding.details.items() if value not in (0, [], "")}:
        told = "; ".join(f"{name}: {_readable(value)}" for name, value in details.items())
        grid.add_row("", Text(told, style="dim"))
    if verbose:
        for name, value in finding.names.items():
            grid.add_row("", Text(f"{name}: {_readable(value)}", style="dim"))
    return grid


def _readable(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
