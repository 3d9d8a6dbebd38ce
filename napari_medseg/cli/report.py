"""`medseg report`: the page of a project, with pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_medseg.trainer.ledger import Ledger

from .answering import AsJson, answer, clear_errors, fail
from .naming import Pixels, existing_project
from .waiting import bars, show_share


@clear_errors
def report(
    project: Annotated[
        str, typer.Argument(metavar="PROJECT", help="The project's folder, or the URL of its database.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            dir_okay=False,
            help="Where the page (.html) goes; by default beside the project's folder. An older page is replaced.",
        ),
    ] = None,
    cases: Annotated[int, typer.Option(min=0, max=200, help="How many cases are shown in pictures.")] = 6,
    pixels: Pixels = None,
    as_json: AsJson = False,
) -> None:
    """Write a page that tells whether the loop pays off: what each case cost, the versions, and cases in pictures.

    One file that can be mailed and printed. It holds pixels of the cases that it shows, but no names, and calls cases
    by numbers. All of it was written down in the project; no model is run.
    """
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"The page is HTML, and '{out.name}' does not end so; '{out.stem}.html' would work.")
    place = existing_project(project, pixels)
    from napari_medseg.project_report import summary, write_project_report  # draws with libraries slow to import

    with Ledger.open(place) as ledger, bars() as progress:
        folder = ledger.folder
        page = out.expanduser().absolute() if out else folder.with_name(f"{folder.name}-report.html")
        written = write_project_report(page, ledger, pictured=cases, progress=show_share(progress, "Reading the cases"))
    facts = written.facts
    value: dict[str, Any] = {
        "report": str(page),
        "cases": [
            {"case": one.case.name, "seconds": one.case.seconds, "edits": one.case.edits, "dice": one.dice}
            for one in facts.cases
        ],
        "corrections": facts.corrections,
        "active": facts.active,
        "versions": [
            {
                "name": one.name,
                "base": one.base,
                "dice_before": one.dice_before,
                "dice_after": one.dice_after,
                "promoted": one.promoted,
                "reason": one.reason,
            }
            for one in facts.versions
        ],
        "damaged": list(written.damaged),
    }
    if written.damaged:
        sentence = (
            f"The page is written, but pixels of {', '.join(written.damaged)} are missing or damaged in the project: "
            f"{page}"
        )
        fail(sentence, as_json=as_json, value=value | {"error": sentence})
    answer(value, as_json=as_json, text=f"{summary(facts)}\nThe page with pictures: {page}")
