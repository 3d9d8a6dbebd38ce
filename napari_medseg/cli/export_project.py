"""`medseg export PROJECT`: all accepted masks of a project, for other programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from napari_medseg.models.export import EXPORTS, Export, export_of
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.project import Project

from .answering import answer, fail
from .waiting import bars, show_share

_NAMED = 3
"""Cases that a sentence names; of more it gives the number."""


def write_corrections(
    project: Project,
    out: Path,
    key: str | None,
    *,
    images: bool,
    names: dict[int, str] | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Write the newest masks of a project, as `trainer.project_export` does, and answer.

    Args:
        project: its folder, or its database.
        out: a folder, or one file for all cases.
        key: of the format; by default what fits each case.
        images: whether to write the images, too.
        names: of labels; by default those of the active model.
        replace: whether files of these cases may be replaced.
        as_json: how to answer.
    """
    from napari_medseg.trainer.project_export import export_project  # with every writer that there is

    key = _chosen_of_project(out, key, images=images)
    out = out.expanduser().absolute()
    with Ledger.open(project) as ledger, bars() as progress:
        done = export_project(
            ledger,
            out,
            key=key,
            images=images,
            names=names,
            replace=replace,
            progress=show_share(progress, "Exporting"),
        )
    masks, written = len(done.masks), len(done.images)
    value: dict[str, Any] = {
        "written": str(out),
        "format": key or None,
        "masks": {name: str(path) for name, path in done.masks.items()},
        "images": {name: str(path) for name, path in done.images.items()},
        "failed": [asdict(one) for one in done.failed],
        "unplaced": done.unplaced,
    }
    said = f"{masks} mask{'s' * (masks != 1)}"
    said += f" and {written} image{'s' * (written != 1)}" if images else ""
    said += f" written to {out}."
    if done.unplaced:
        said += _without_place(done.unplaced)
    if done.failed:
        reasons = "\n".join(f"  {one.case}: {one.reason}" for one in done.failed)
        sentence = f"{said} These could not be written:\n{reasons}"
        fail(sentence, as_json=as_json, value=value | {"error": sentence})
    if not images and not key:
        said += " The images are not among them; --images writes them, too."
    answer(value, as_json=as_json, text=said)


def _without_place(cases: list[str]) -> str:
    """A sentence on cases that were accepted before projects kept where they lie in the patient."""
    several = len(cases) > 1
    named = ", ".join(cases[:_NAMED]) + (f" and {len(cases) - _NAMED} more" if len(cases) > _NAMED else "")
    return (
        f" Where {named} {'lie' if several else 'lies'} in the patient is not in the project, as an older version "
        f"accepted {'them' if several else 'it'}; the {'files say' if several else 'file says'} no place. Open "
        f"{'such an' if several else 'the'} image and accept its mask once more, unchanged, to have its place kept."
    )


def _chosen_of_project(out: Path, key: str | None, *, images: bool) -> str:
    """The key of the format; "" for what fits each case."""
    from napari_medseg.trainer.project_export import REFUSED, TOGETHER

    by_ending = export_of(out)
    if key is None and by_ending is None:
        return ""
    chosen = chosen_format(out, key)
    if chosen.key in REFUSED:
        raise typer.BadParameter(
            f"A project cannot be written as {chosen.title}: {REFUSED[chosen.key]}. Export it with --format nifti, "
            "and then each mask with --image."
        )
    if by_ending is None:
        return chosen.key
    if by_ending.key not in TOGETHER or by_ending.key != chosen.key:
        raise typer.BadParameter(
            f"'{out.name}' would be one file; the masks of a project go to a folder. Give a name without an ending."
        )
    if images:
        raise typer.BadParameter(f"Images go to a folder, and '{out.name}' is one file. Give a name without an ending.")
    return chosen.key


def chosen_format(out: Path, key: str | None) -> Export:
    """The format that was asked for, or that the ending means.

    Raises:
        typer.BadParameter: there is no such format.
    """
    if key is not None and key not in EXPORTS:
        raise typer.BadParameter(f"There is no format '{key}'; there are {', '.join(EXPORTS)}.")
    chosen = EXPORTS[key] if key else export_of(out)
    if chosen is None:
        endings = ", ".join(export.ending for export in EXPORTS.values())
        raise typer.BadParameter(f"The ending of '{out.name}' is none of {endings}; change it, or give --format.")
    return chosen
