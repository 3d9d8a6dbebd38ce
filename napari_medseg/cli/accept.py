"""`medseg accept`: record a corrected mask in a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medseg.models.formats import open_image
from napari_medseg.models.reading import mask_on
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.records import AlreadyAccepted, Effort
from napari_medseg.trainer.split import group_of_file

from .answering import AsJson, answer, clear_errors, fail
from .naming import Pixels, named_project, usable


@clear_errors
def accept(
    project: Annotated[
        str,
        typer.Argument(metavar="PROJECT", help="The project's folder, or its database's URL; made if there is none."),
    ],
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The image.")],
    mask: Annotated[Path, typer.Argument(metavar="MASK", help="Its corrected mask: 0 is background.")],
    predicted: Annotated[Path | None, typer.Option(help="The mask that the model had proposed.")] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="What tells one patient from another; only a salted hash is kept. Images of one group are never "
            "both learned from and judged by. By default DICOM's patient, or else the image's file."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model or version that had proposed a mask.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Time that the correction took.")] = None,
    edits: Annotated[int | None, typer.Option(min=0, help="Strokes and clicks that the correction took.")] = None,
    pixels: Pixels = None,
    as_json: AsJson = False,
) -> None:
    """Record a corrected mask, for the network to learn from. When this returns, it is on the disk."""
    if (seconds is None) != (edits is None):
        raise typer.BadParameter("Give --seconds and --edits together: what a correction cost is both.")
    place = named_project(project, pixels)
    opened = open_image(image)
    accepted = usable(opened.image.loaded(), image.name)
    # Both masks are looked at before the project is, so that a wrong one does not leave an empty project.
    corrected = mask_on(mask, opened)
    proposed = None if predicted is None else mask_on(predicted, opened)
    effort = None if seconds is None or edits is None else Effort(seconds, edits)
    with Ledger.open(place) as ledger:
        try:
            record = ledger.add(
                accepted,
                corrected,
                predicted=proposed,
                model=model,
                group=group or opened.patient or group_of_file(image),
                effort=effort,
            )
        except AlreadyAccepted as error:
            value = {"accepted": False, "reason": str(error), "id": error.record.id}
            fail(str(error), as_json=as_json, value=value)
        total = len(ledger.corrections())
    answer(
        {"accepted": True, "id": record.id, "corrections": total, "project": str(ledger.folder)},
        as_json=as_json,
        text=f"Accepted as correction {record.id}; the project has {total} corrected image{'s' * (total != 1)} now.",
    )
