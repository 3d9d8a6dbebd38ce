"""`medseg export`: a mask in another format, its outlines, or its measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from napari_medseg.models.errors import ImageError
from napari_medseg.models.export import EXPORTS, Export, check_not_the_image, export_mask, export_of
from napari_medseg.models.formats import OpenedImage, open_image
from napari_medseg.models.formats.kinds import content_kind
from napari_medseg.models.reading import mask_on

from .answering import AsJson, answer, clear_errors, note
from .waiting import bars, show_share


@clear_errors
def export(
    mask: Annotated[Path, typer.Argument(metavar="MASK", help="The mask: 0 is background.")],
    image: Annotated[Path, typer.Option(help="The image that it is a mask of: a file, a DICOM folder, an OME-Zarr.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write; its ending says how, see --format.")],
    part: Annotated[str, typer.Option(help="Which image of a file or folder that holds several.")] = "",
    key: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help=f"As what to write: {', '.join(EXPORTS)}. By default by ending."
        ),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NUMBER=NAME", help="What a label is called; can be given repeatedly.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a file that is there already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a mask for other programs: DICOM SEG, NIfTI, OME-TIFF, COCO, GeoJSON, a table of measurements, ...

    A label is an object of its own; with names (--label) it is a class, and each connected piece of it is an object.

    A DICOM SEG holds the patient's name, ID and birth date, since the standard wants it. Nothing else does.
    """
    names = _names(label or [])
    chosen = _chosen(out, key)
    check_not_the_image(out, image)
    if out.exists() and not replace:
        raise ImageError(f"There is a '{out.name}' in '{out.absolute().parent}' already. Give --replace to replace it.")
    opened = open_image(image, part)
    for notice in opened.notices:
        note(notice)
    pixels = mask_on(mask, opened)
    with bars() as progress:
        export_mask(
            out,
            pixels,
            opened.image,
            key=chosen.key,
            source=opened,
            names=names,
            instances=not names,
            file_name=_called(opened),
            progress=show_share(progress, "Measuring") if chosen.key.startswith("csv") else None,
        )
    for notice in opened.found():
        note(notice)
    count = int(np.count_nonzero(np.unique(pixels)))
    said = f"{count} label{'s' * (count != 1)} written to {out} as {chosen.title}."
    if chosen.key == "dicom-seg":
        said += " It holds the patient's name and ID, since the standard wants it."
    answer({"written": str(out), "format": chosen.key, "labels": count}, as_json=as_json, text=said)


def _names(given: list[str]) -> dict[int, str]:
    names = {}
    for one in given:
        number, _, name = one.partition("=")
        if not number.strip().isdigit() or int(number) == 0 or not name.strip():
            raise typer.BadParameter(f"'{one}' names no label; write for example --label 1=liver.")
        names[int(number)] = name.strip()
    return names


def _chosen(out: Path, key: str | None) -> Export:
    if key is not None and key not in EXPORTS:
        raise typer.BadParameter(f"There is no format '{key}'; there are {', '.join(EXPORTS)}.")
    chosen = EXPORTS[key] if key else export_of(out)
    if chosen is None:
        endings = ", ".join(export.ending for export in EXPORTS.values())
        raise typer.BadParameter(f"The ending of '{out.name}' is none of {endings}; change it, or give --format.")
    return chosen


def _called(opened: OpenedImage) -> str:
    """What COCO's file calls the image; names of DICOM files may be the patient's."""
    return "image" if content_kind(opened.path) == "dicom" else Path(opened.path).name
