"""`medseg open`: the napari window with the panel. Nothing but this command imports napari and Qt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medseg.models.errors import MedSegError
from napari_medseg.samples import KINDS

from .answering import clear_errors
from .display import has_display

SAMPLES = (*KINDS, "ct")
"""What `--sample` takes: the keys of the samples in napari.yaml."""


@clear_errors
def open_(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="PATH", help="Images to open.")] = None,
    sample: Annotated[str | None, typer.Option(help=f"A sample to open: {', '.join(SAMPLES)}.")] = None,
    project: Annotated[Path | None, typer.Option(help="The project's folder; made now if there is none.")] = None,
) -> None:
    """Open the napari window with the MedSeg panel."""
    if sample is not None and sample not in SAMPLES:
        raise typer.BadParameter(
            f"There is no sample '{sample}'; there are {', '.join(SAMPLES)}.", param_hint="--sample"
        )
    show_window(paths or [], sample=sample, project=project)


def show_window(paths: list[Path], *, sample: str | None = None, project: Path | None = None) -> None:
    """Open the window and return when it is closed.

    Raises:
        MedSegError: there is no display.
    """
    if not has_display():
        raise MedSegError(
            "There is no display to open a window on. `medseg demo --headless` shows the same loop without one; "
            "over ssh, connect with `ssh -X`."
        )
    from napari_medseg.window import open_window

    open_window(paths, sample=sample, project=project)
