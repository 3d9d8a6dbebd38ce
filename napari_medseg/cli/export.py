"""`medseg export`: a mask, or all accepted masks of a project, in another format, as outlines or as measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from napari_medseg.models.errors import ImageError
from napari_medseg.models.export import EXPORTS, check_not_the_image, export_mask
from napari_medseg.models.formats import OpenedImage, open_image
from napari_medseg.models.formats.kinds import content_kind
from napari_medseg.models.reading import mask_on
from napari_medseg.trainer.project import is_project, is_url

from .answering import AsJson, answer, clear_errors, note
from .export_project import chosen_format, write_corrections
from .naming import Pixels, existing_project
from .waiting import bars, show_share


@clear_errors
def export(
    data: Annotated[
        str,
        typer.Argument(
            metavar="PROJECT|MASK",
            help="A project's folder, or the URL of its database; or a mask: 0 is background.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="Of a mask the file to write; its ending says how, see --format. Of a project a folder, or one file "
            "that ends in .coco.json or .csv.",
        ),
    ],
    image: Annotated[
        Path | None, typer.Option(help="The image that it is a mask of: a file, a DICOM folder, an OME-Zarr.")
    ] = None,
    part: Annotated[str, typer.Option(help="Which image of a file or folder that holds several.")] = "",
    images: Annotated[bool, typer.Option("--images", help="Of a project: write the images, too.")] = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help=f"As what to write: {', '.join(EXPORTS)}. By default by ending, or what fits each case of a project.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NUMBER=NAME", help="What a label is called; can be given repeatedly.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace files that are there already.")] = False,
    pixels: Pixels = None,
    as_json: AsJson = False,
) -> None:
    """Write masks for other programs: DICOM SEG, NIfTI, OME-TIFF, COCO, GeoJSON, a table of measurements, ...

    Of a project the newest mask of every image is written to OUT/masks, and with --images the image to OUT/images, for
    `medseg train`, `medseg evaluate` and other programs. Files are called by numbers (case-0001), never by names.

    A label is an object of its own; with names (--label) it is a class, and each connected piece of it is an object.

    A DICOM SEG holds the patient's name, ID and birth date, since the standard wants it. Nothing else does.
    """
    names = _names(label or [])
    if is_url(data) or _is_project(data):
        if image is not None or part:
            raise typer.BadParameter("A project has its images. Leave --image and --part out.")
        project = existing_project(data, pixels)
        write_corrections(project, out, key, images=images, names=names or None, replace=replace, as_json=as_json)
        return
    if pixels is not None:
        raise typer.BadParameter("--pixels is for projects in a database. Leave it out.")
    if images:
        raise typer.BadParameter(f"--images is for projects, and '{data}' is none. Leave it out, or give a project.")
    if image is None:
        raise typer.BadParameter(
            f"'{data}' is no project, and a mask needs its image: give --image IMAGE, or the folder of a project."
        )
    _export_mask(Path(data), image, part, out, key, names=names, replace=replace, as_json=as_json)


def _is_project(data: str) -> bool:
    try:
        return is_project(data)
    except OSError:
        return bool(existing_project(data))  # which says why it cannot be looked at


def _export_mask(
    mask: Path,
    image: Path,
    part: str,
    out: Path,
    key: str | None,
    *,
    names: dict[int, str],
    replace: bool,
    as_json: bool,
) -> None:
    chosen = chosen_format(out, key)
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


def _called(opened: OpenedImage) -> str:
    """What COCO's file calls the image; names of DICOM files may be the patient's."""
    return "image" if content_kind(opened.path) == "dicom" else Path(opened.path).name
