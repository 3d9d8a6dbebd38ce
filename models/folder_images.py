"""Which images there are in files and folders, and where their masks go."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from .errors import ImageError
from .formats.kinds import ALLOWED, content_kind, is_image, stem
from .writing import mask_ending, on_disk

LOOKED_AT = 20
"""Files of a folder that are looked at to see whether it is a DICOM series."""

NAMED = 5
"""Images of a folder that are named where there should be but one."""


class TargetError(ImageError):
    """The masks of some images cannot all go where they would."""


def images_in(inputs: list[Path]) -> tuple[list[Path], list[dict[str, str]]]:
    """The images in files and folders, each once; and what is wrong with folders.

    A folder that is an OME-Zarr image or holds a DICOM series is one image; of another one, the images in it are taken,
    and those of the folders in it that are one.
    """
    found: dict[Path, Path] = {}
    failed: list[dict[str, str]] = []
    for path in _listed(inputs, failed):
        try:
            images = images_of(path) if path.is_dir() else [path]
        except (ImageError, OSError) as error:
            failed.append(_reason(path, error))
            continue
        for image in images:
            found.setdefault(image.resolve(), image)
    return list(found.values()), failed


def images_of(folder: Path) -> list[Path]:
    """A folder that is one image; the files in it, where each of them is a DICOM image of its own, as radiographs are.

    Scouts and segmentations beside a series do not count.

    Raises:
        ImageError: it holds several images, not each in a file of its own.
    """
    if content_kind(folder) != "dicom":
        return [folder]
    from .formats import parts
    from .formats.dicom_folder import found_in  # its headers are read once, for all who ask

    absolute = folder.absolute()
    shown = parts(absolute)
    stacks = {key: stack for key, stack in found_in(absolute).stacks.items() if not stack[0].header.is_segmentation}
    scouts = {key for key, stack in stacks.items() if "LOCALIZER" in (stack[0].header.dataset.get("ImageType") or ())}
    meant = [key for key in stacks if key not in scouts] or list(stacks)
    if len(meant) < 2:
        return [folder]
    files = [{frame.header.path for frame in stacks[key]} for key in meant]
    each = {next(iter(paths)) for paths in files if len(paths) == 1}
    if len(each) == len(meant):
        return sorted(folder / file.relative_to(absolute) for file in each)
    titles = [part.title.partition(", '")[0] for part in shown if part.key in meant]  # not what was typed
    raise ImageError(
        f"'{folder.name}' holds {len(meant)} images: {'; '.join(titles[:NAMED])}{'; ...' * (len(titles) > NAMED)}. "
        "Open it in the panel and choose, or put each into a folder of its own."
    )


def targets_for(images: list[Path], out: Path) -> dict[Path, Path]:
    """Where the mask of each image goes.

    Raises:
        TargetError: two would be one file, or one would replace an image.
    """
    targets: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for image in images:
        target = out / f"{stem(image)}{mask_ending(image)}"
        for place in dict.fromkeys((target, on_disk(target))):  # the second one if the image turns out to be large
            if place in taken:
                raise TargetError(
                    f"'{taken[place]}' and '{image}' would both be written to '{place}'. Nothing was written; "
                    "segment them one after the other, into two folders."
                )
            taken[place] = image
        targets[image] = target
    given = {image.resolve() for image in images}
    for place, image in taken.items():
        if place.resolve() in given:
            raise TargetError(
                f"The mask of '{image}' would replace the image '{place}'. Nothing was written; "
                "choose another folder for the masks."
            )
    return targets


def _listed(inputs: list[Path], failed: list[dict[str, str]]) -> Iterator[Path]:
    """Files, and folders that are images, in the order given; folders that are none go to `failed`."""
    for given in inputs:
        try:
            paths = _inside(given) if given.is_dir() else [given]
            if not paths:
                raise ImageError(f"There are no images in '{given}' ({ALLOWED}).")
        except (ImageError, OSError) as error:
            failed.append(_reason(given, error))
            continue
        yield from paths


def _reason(path: Path, error: ImageError | OSError) -> dict[str, str]:
    reason = str(error) if isinstance(error, ImageError) else f"The folder cannot be read: {error.strerror}."
    return {"image": str(path), "reason": reason}


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
