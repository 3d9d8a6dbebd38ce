"""`medseg evaluate`: how good a model is where the right masks are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medseg.models.errors import ImageError
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.project import is_project

from .answering import AsJson, answer, clear_errors
from .naming import chosen_model, existing_project
from .waiting import bars, engine, show_share, wait_for


@clear_errors
def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="PROJECT|FOLDER",
            help="A project, or a folder with images/ and masks/ whose files have equal names.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Name of a model, a weights file, or a version of the project. "
            "By default the project's active model, or nuclei for a folder."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a model's masks with the right ones: Dice and IoU of each image, and their means.

    Of a project, the corrections that were kept apart are used: no version has learned from them.
    """
    folder = data.expanduser().absolute()
    chosen = model
    if (folder / "images").is_dir() and not is_project(folder):
        chosen = chosen_model(model or "nuclei").reference
    elif folder.is_dir() and not (folder / "ledger.sqlite").exists():
        raise ImageError(
            f"'{folder}' is neither a project nor a folder with images/ and masks/. "
            "Give a project's folder, or put the images and their masks into two such folders."
        )
    else:
        folder = existing_project(folder)
        if model is not None:
            with Ledger.open(folder) as ledger:
                versions = {version.name for version in ledger.models()}
            chosen = model if model in versions else chosen_model(model).reference
    with engine() as connection, bars() as progress:
        show = show_share(progress, "Evaluating")
        job = connection.submit(
            "trainer", "napari_medseg.trainer.jobs:run_evaluation", str(folder), chosen, progress=show
        )
        found = wait_for(job, "The evaluation was cancelled; nothing was changed.")
    if model is not None:
        found["model"] = model
    lines = [f"{score['case']}: Dice {score['dice']:.3f}, IoU {score['iou']:.3f}" for score in found["images"]]
    count = len(found["images"])
    mean = f"Mean of {count} image{'s' * (count != 1)}: Dice {found['dice']:.3f}, IoU {found['iou']:.3f}"
    answer(found, as_json=as_json, text="\n".join([*lines, f"{mean} ({found['model']})"]))
