"""`medseg evaluate`: how good a model is where the right masks are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_medseg.models.chosen_model import chosen_model
from napari_medseg.models.durable import make_folder, write
from napari_medseg.models.errors import ImageError
from napari_medseg.trainer.cases import chosen_split, has_layout
from napari_medseg.trainer.folders import Pair, find_pairs
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.project import DatabaseProject, Project, is_project, is_url

from .answering import AsJson, answer, clear_errors, fail
from .figures import print_figures
from .figures_csv import figures_csv
from .naming import Pixels, existing_project
from .waiting import bars, engine, show_share, wait_for


@clear_errors
def evaluate(
    data: Annotated[
        str,
        typer.Argument(
            metavar="PROJECT|FOLDER",
            help="A project (its folder, or the URL of its database), or a folder with images/ and masks/ (or "
            "targets/, labels/) whose files have equal names; they may lie in test/ or val/. Pictures, or volumes "
            "(.nii.gz, .nrrd, ...).",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Name of a model, a weights file, or a version of the project. "
            "By default the project's active model, or nuclei for a folder."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Part of the folder: train, val or test. By default test, or else val, or all.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="For NSD: how far outlines may differ, in the unit of the images (mm where the spacing is known so, "
            "pixels where it is not). By default two pixels.",
        ),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Folder for a picture of each image: the truth in green, the prediction in blue."
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="File for all figures, by image and class; an older one is replaced."),
    ] = None,
    pixels: Pixels = None,
    as_json: AsJson = False,
) -> None:
    """Compare a model's masks with the right ones, by the measures of the papers.

    IoU, Dice, MAE, precision, recall (sensitivity), specificity, accuracy, F2, HD95 and NSD of each image, their means
    over all images and over those with small objects, and over each class if the model has several. Volumes are
    measured in 3D: a figure for each volume and organ, HD95 in mm.

    Of a project, the corrections that were kept apart are used: no version has learned from them. An image that cannot
    be read or does not fit its mask does not stop the others: it is named at the end, with the reason, and the exit
    code is 1.
    """
    folder = Path(data).expanduser().absolute()
    source: str | DatabaseProject = str(folder)
    if not is_url(data) and folder.is_dir() and not is_project(folder):
        if pixels is not None:
            raise typer.BadParameter("--pixels is for projects in a database. Leave it out.")
        pairs, part = _pairs(folder, split)
        chosen: str | None = chosen_model(model or "nuclei").reference
    elif split is not None:
        raise typer.BadParameter("A project has no parts: what it kept apart is measured. Leave --split out.")
    else:
        project, pairs, part = existing_project(data, pixels), [], None
        chosen = _version_or_model(project, model)
        source = project if isinstance(project, DatabaseProject) else str(project)
    options: dict[str, Any] = {"split": part, "tolerance": tolerance}
    if pictures is not None:
        from napari_medseg.trainer.pictures import open_picture_folder  # draws with libraries that are slow to import

        opened = open_picture_folder(pictures, [file for pair in pairs for file in (pair.image, pair.mask)])
        options["pictures"] = str(opened)
    if csv is not None:
        csv = csv.expanduser().absolute()
        make_folder(csv.parent)
    with engine() as connection, bars() as progress:
        show = show_share(progress, "Evaluating")
        job = connection.submit(
            "trainer", "napari_medseg.trainer.jobs:run_evaluation", source, chosen, progress=show, **options
        )
        found = wait_for(job, "The evaluation was cancelled; nothing was changed.")
    if model is not None:
        found["model"] = model
    if not as_json:
        print_figures(found)
    if csv is not None:
        write(csv, figures_csv(found).encode("utf-8-sig"))  # a spreadsheet then takes it for what it is
    if "error" in found:
        fail(found["error"], as_json=as_json, value=found)
    answer(found, as_json=as_json)


def _pairs(folder: Path, split: str | None) -> tuple[list[Pair], str | None]:
    """The images that will be measured and the part of the folder that they are; before the engine is asked.

    Raises:
        ImageError: there are none.
    """
    if not has_layout(folder):
        raise ImageError(
            f"'{folder}' is neither a project nor a folder with images/ and masks/. "
            "Give a project's folder, or put the images and their masks into two such folders."
        )
    part = chosen_split(folder, split)
    return find_pairs(folder, part), part


def _version_or_model(project: Project, model: str | None) -> str | None:
    """What the engine takes for a version of the project, or for another model; None for the active one."""
    if model is None:
        return None
    with Ledger.open(project) as ledger:
        versions = {version.name for version in ledger.models()}
    return model if model in versions else chosen_model(model).reference
