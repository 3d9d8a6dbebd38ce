"""What the words on a command line stand for: projects, images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from napari_medseg.models.errors import ImageError, LedgerError
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import read_image
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.project import DatabaseProject, is_project, is_url

from .answering import note

Pixels = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        help="Of a project in a database: the folder for its pixels, weights and checkpoints.",
    ),
]
"""The option `--pixels` of all commands that take a project."""


def named_project(given: str | Path, pixels: Path | None) -> Path | DatabaseProject:
    """The project that a word on the command line stands for, whether or not it is there.

    Raises:
        typer.BadParameter: a database without a folder for pixels, or a folder with one.
    """
    if is_url(given):
        if pixels is None:
            raise typer.BadParameter("A database holds no pixels. Give --pixels FOLDER, too.")
        return DatabaseProject.at(str(given), pixels)
    if pixels is not None:
        raise typer.BadParameter(f"'{given}' is a folder, which holds its own pixels. Leave --pixels out.")
    return Path(given).expanduser().absolute()


def existing_project(given: str | Path, pixels: Path | None = None) -> Path | DatabaseProject:
    """The same of a project that is there; commands that only read or learn make none.

    Raises:
        LedgerError: there is none.
        typer.BadParameter: as `named_project`.
    """
    folder = named_project(given, pixels)
    if isinstance(folder, DatabaseProject):
        Ledger.open(folder, make=False).close()
        return folder
    try:
        if is_project(folder):
            return folder
    except OSError as error:
        raise LedgerError(
            f"The project '{folder}' cannot be opened: {error.strerror}. Ask its owner for permission to read it."
        ) from error
    state = "There is no project in" if folder.exists() else "There is no folder"
    raise LedgerError(f"{state} '{folder}'. `medseg accept` makes a project with its first correction.")


def usable_image(path: Path) -> MedicalImage:
    """Read an image; says so if some of its values are not numbers, which count as dark.

    Raises:
        ImageError: it cannot be read, or none of its values is a number.
    """
    return usable(read_image(path), path.name)


def usable(image: MedicalImage, called: str) -> MedicalImage:
    """The image itself; says so if some of its values are not numbers, which count as dark.

    Raises:
        ImageError: none of its values is a number.
    """
    if image.data.dtype.kind != "f":
        return image
    broken = image.data.size - int(np.count_nonzero(np.isfinite(image.data)))
    if broken == image.data.size:
        raise ImageError(
            f"'{called}' has no pixels that can be used: all its values are NaN (not a number) or infinite. "
            "Export it again from the program that made it."
        )
    if broken:
        note(f"'{called}': {broken} of its {image.data.size} values are NaN or infinite; NaN counts as dark.")
    return image
