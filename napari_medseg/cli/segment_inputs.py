"""Which images `medseg segment` was given, and where their masks go."""

from __future__ import annotations

import contextlib
from itertools import islice
from pathlib import Path

import typer

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats.kinds import ALLOWED, content_kind, is_image, stem
from napari_medseg.models.writing import mask_ending

LOOKED_AT = 20
"""Files of a folder that are looked at to see whether it is a DICOM series."""


def images_in(inputs: list[Path]) -> tuple[list[Path], list[dict[str, str]]]:
    """The images in files and folders, each once; and what is wrong with folders.

    A folder that is an OME-Zarr image or holds a DICOM series is one image; of another one, the images in it are taken,
    and the folders in it that are one.
    """
    found: dict[Path, Path] = {}
    failed = []
    for given in inputs:
        try:
            paths = _inside(given) if given.is_dir() else [given]
            if not paths:
                raise ImageError(f"There are no images in '{given}' ({ALLOWED}).")
        except (ImageError, OSError) as error:
            reason = str(error) if isinstance(error, ImageError) else f"The folder cannot be read: {error.strerror}."
            failed.append({"image": str(given), "reason": reason})
            continue
        for path in paths:
            found.setdefault(path.resolve(), path)
    return list(found.values()), failed


def targets_for(images: list[Path], out: Path) -> dict[Path, Path]:
    """Where the mask of each image goes; refused if two would be one file, or if one would replace an image."""
    targets: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for image in images:
        target = out / f"{stem(image)}{mask_ending(image)}"
        if target in taken:
            raise typer.BadParameter(
                f"'{taken[target]}' and '{image}' would both be written to '{target}'. Nothing was written; "
                "segment them one after the other, into two folders."
            )
        taken[target] = image
        targets[image] = target
    given = {image.resolve() for image in images}
    for image, target in targets.items():
        if target.resolve() in given:
            raise typer.BadParameter(
                f"The mask of '{image}' would replace the image '{target}'. Nothing was written; "
                "choose another folder for the masks."
            )
    return targets


def _inside(folder: Path) -> list[Path]:
    """The folder itself if it is one image, else the images in it."""
    if _is_one_image(folder):
        return [folder]
    return sorted(path for path in folder.iterdir() if (_is_one_image(path) if path.is_dir() else is_image(path)))


def _is_one_image(folder: Path) -> bool:
    """Whether it is an OME-Zarr image, or holds DICOM files and no other images."""
    if folder.name.startswith("."):
        return False
    if any((folder / name).is_file() for name in ("zarr.json", ".zattrs", ".zgroup", ".zarray")):
        return True
    kinds = set()
    for path in islice((path for path in sorted(folder.iterdir()) if path.is_file()), LOOKED_AT):
        with contextlib.suppress(ImageError):
            kinds.add(content_kind(path))
    return kinds == {"dicom"}
