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


def targets_for(images: list[Path], out: Path) -> tuple[dict[Path, Path], list[dict[str, str]]]:
    """Where the masks go that stand where no other's would; and the images of the others, each with the reason.

    Raises:
        TargetError: one would replace an image.
    """
    places = {image: _places(image, out) for image in images}
    given = {image.resolve() for image in images}
    at_place: dict[Path, list[Path]] = {}
    for image, of_one in places.items():
        for place in of_one:
            if place.resolve() in given:
                raise TargetError(
                    f"The mask of '{image}' would replace the image '{place}'. Nothing was written; "
                    "choose another folder for the masks."
                )
            at_place.setdefault(place, []).append(image)
    alike: dict[Path, str] = {}
    for place, several in at_place.items():
        for image in several if len(several) > 1 else ():
            other = next(path for path in several if path != image)
            alike.setdefault(
                image,
                f"Its mask would be '{place.name}', and so would that of '{other}'. Give one of them another name, or "
                "segment them into two folders.",
            )
    targets = {image: of_one[0] for image, of_one in places.items() if image not in alike}
    return targets, [{"image": str(image), "reason": reason} for image, reason in alike.items()]


def target_by_name(image: Path, out: Path) -> Path:
    """Where the mask of an image goes that somebody draws, and whose usual place would be another's, too."""
    return out / f"{image.name}{mask_ending(image)}"


def _places(image: Path, out: Path) -> list[Path]:
    """Where the mask of an image may stand: as a file, and on the disk if the image turns out to be large."""
    target = out / f"{stem(image)}{mask_ending(image)}"
    return list(dict.fromkeys((target, on_disk(target))))


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
