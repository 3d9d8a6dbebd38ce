"""Pairs of an image and its mask in a folder, and which of them a network learns from. Without torch.

Two layouts, as the papers' data sets have them:

    FOLDER/{train,val,test}/images/NAME.png     or     FOLDER/images/NAME.nii.gz
    FOLDER/{train,val,test}/masks/NAME.png             FOLDER/masks/NAME.nii.gz

Images are of any format, one file an image: pictures, and volumes, which are always kept whole. `targets` or `labels`
may stand for `masks`; a mask may be called as its image is, with one of `MASK_ENDINGS` added. In the second
layout FOLDER/splits.json may say which names belong to which split: {"train": ["a", "b"], "val": ["c"]}.

FOLDER/groups.csv says which images are of one patient: a first line `image,group`, then a line for each image. Without
it every file is a group of its own. Nothing is guessed from names: in "s01_f007" the patient may be s01, or 007.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image
from napari_medseg.models.formats.kinds import is_image, stem
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.reading import mask_on

SPLITS = ("train", "val", "test")
"""Names of the parts of a data set."""

MASK_FOLDERS = ("masks", "targets", "labels")
"""What a folder of masks may be called."""

MASK_ENDINGS = ("_mask", "_segmentation", "_seg", "_label", "_labels", "_annotation", "_gt")
"""What may follow an image's name in the name of its mask."""

SMALLEST = 32
"""Pixels that each side of an image needs: below it the networks see mostly what was mirrored."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """An image, its mask, and its group: what must not stand on both sides of a split."""

    image: Path
    mask: Path
    group: str


def find_pairs(folder: Path, split: str | None = None) -> list[Pair]:
    """Each image of a folder with its mask, by name; images and masks without a partner are left out with a warning.

    Args:
        folder: holds the pairs in one of the two layouts.
        split: "train", "val" or "test"; by default the folder's own images/ and masks/, all of them.

    Raises:
        ImageError: no pairs, or two files that claim one name; a splits.json or groups.csv that cannot be followed.
    """
    within = folder / split if split and (folder / split / "images").is_dir() else folder
    pairs = _pairs_of(folder, within)
    if split and within == folder:
        wanted = set(_named_splits(folder).get(split, ()))
        if missing := sorted(wanted - {stem(pair.image) for pair in pairs}):
            _log.warning(
                "%d of the %d names of '%s' in splits.json have no image and mask and are left out: %s.",
                *(len(missing), len(wanted), split, _listed(missing)),
            )
        pairs = [pair for pair in pairs if stem(pair.image) in wanted]
    if not pairs:
        raise ImageError(
            f"'{within}' has no pairs of an image and a mask{f' for {split!r}' if split else ''}. It needs a folder "
            "images and a folder masks (or targets) whose files have equal names but for the ending."
        )
    return pairs


def splits_of(folder: Path) -> tuple[str, ...]:
    """Those of `SPLITS` that `find_pairs` can be asked for.

    Raises:
        ImageError: a splits.json that cannot be followed.
    """
    named = _named_splits(folder) if (folder / "images").is_dir() else {}
    return tuple(split for split in SPLITS if (folder / split / "images").is_dir() or named.get(split))


def split_pairs(pairs: list[Pair], share: float = 0.2, seed: int = 0) -> tuple[list[Pair], list[Pair]]:
    """What to learn from and what to validate on; whole groups, at least one on each side.

    The choice depends on the groups' names and the seed alone, and a pair that is added moves few of the others.

    Args:
        pairs: of `find_pairs`.
        share: of the pairs to validate on, 0 < share < 1; about, since groups stay whole.
        seed: of the choice.

    Raises:
        ImageError: all pairs are of one group.
    """
    groups = sorted(
        {pair.group for pair in pairs}, key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).digest()
    )
    if len(groups) < 2:
        raise ImageError(
            f"The {len(pairs)} pair{'s' * (len(pairs) != 1)} cannot be split: at least two images, of two patients if "
            "groups.csv names them, are needed, one to learn from and one to validate on."
        )
    held_out: set[str] = set()
    for group in groups[:-1]:
        if held_out and sum(pair.group in held_out for pair in pairs) >= share * len(pairs):
            break
        held_out.add(group)
    return [pair for pair in pairs if pair.group not in held_out], [pair for pair in pairs if pair.group in held_out]


def read_pair(pair: Pair) -> tuple[MedicalImage, npt.NDArray[Any]]:
    """The image and the mask of a pair, which lie voxel for voxel on each other.

    Raises:
        ImageError: one of them cannot be read, or is smaller than `SMALLEST`, or the mask has another shape or place.
    """
    opened = open_image(pair.image)
    image = opened.image.loaded()
    height, width = image.mask_shape[-2:]
    if min(height, width) < SMALLEST:
        raise ImageError(
            f"'{pair.image.name}' is {width} x {height} pixels, but each side needs {SMALLEST} or more. "
            "Take it out of the folder, or export a larger part."
        )
    return image, mask_on(pair.mask, opened)


def _pairs_of(folder: Path, within: Path) -> list[Pair]:
    """The pairs of `within`/images and `within`/masks, with the groups that `folder` names."""
    images = _by_name(_images(within / "images"))
    masks = _by_name(_images(_mask_folder(within)), set(images))
    groups = _named_groups(folder)
    for what, lone, partner in (
        ("image", [images[name] for name in images.keys() - masks.keys()], "mask"),
        ("mask", [masks[name] for name in masks.keys() - images.keys()], "image"),
    ):
        if lone and images.keys() & masks.keys():
            many = "s have" if len(lone) > 1 else " has"
            names = _listed(sorted(path.name for path in lone))
            _log.warning("%d %s%s no %s and will be left out: %s.", len(lone), what, many, partner, names)
    both = [name for name in images if name in masks]
    if groups and (missing := [name for name in both if name not in groups]):
        raise ImageError(
            f"groups.csv says nothing about {len(missing)} of the {len(both)} images: {_listed(missing)}. Name a group "
            "for each image, or take the file away; then each image is a group of its own."
        )
    return [
        Pair(images[name], masks[name], groups.get(name, images[name].relative_to(folder).as_posix())) for name in both
    ]


def _mask_folder(within: Path) -> Path:
    found = [within / name for name in MASK_FOLDERS if (within / name).is_dir()]
    if len(found) > 1:
        both = " and ".join(path.name for path in found)
        raise ImageError(f"'{within}' has both {both}. Keep one of them, so that it is clear which count.")
    return found[0] if found else within / MASK_FOLDERS[0]


def _images(folder: Path) -> list[Path]:
    try:
        return sorted(filter(is_image, folder.iterdir())) if folder.is_dir() else []
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be read: {error.strerror}.") from error


def _by_name(files: Iterable[Path], names: set[str] | None = None) -> dict[str, Path]:
    """The file of each name; a mask's name is its image's, one of `names`, if the two differ by an ending only."""
    found: dict[str, Path] = {}
    for path in files:
        name = stem(path)
        if names is not None and name not in names:
            bare = [stem(name), *(name[: -len(ending)] for ending in MASK_ENDINGS if name.lower().endswith(ending))]
            name = next((one for one in bare if one in names), name)
        if name in found:
            raise ImageError(
                f"In '{path.parent}' both '{found[name].name}' and '{path.name}' are called {name!r}. "
                "Keep one of them, so that it is clear which counts."
            )
        found[name] = path
    return found


def _named_splits(folder: Path) -> dict[str, list[str]]:
    """What splits.json says; {} without one."""
    file = folder / "splits.json"
    if not file.is_file():
        return {}
    try:
        named = json.loads(file.read_text("utf-8"))
        splits = {split: [str(name) for name in names] for split, names in named.items() if split in SPLITS}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ImageError(
            f"'{file}' cannot be followed ({error}). It holds lists of image names without endings, such as "
            '{"train": ["a", "b"], "val": ["c"]}.'
        ) from error
    for number, split in enumerate(splits):
        for other in list(splits)[:number]:
            if twice := sorted(set(splits[split]) & set(splits[other])):
                raise ImageError(
                    f"'{file}' names {_listed(twice)} in both '{other}' and '{split}'; an image is in one."
                )
    return splits


def _named_groups(folder: Path) -> dict[str, str]:
    """The group of each image's name that groups.csv gives; {} without one."""
    file = folder / "groups.csv"
    if not file.is_file():
        return {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
        images = {stem(Path(row["image"])) if is_image(row["image"]) else row["image"]: row["group"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise ImageError(
            f"'{file}' cannot be followed ({type(error).__name__}: {error}). Its first line is image,group; each other "
            "line names an image and what tells its patient from others."
        ) from error
    if lone := [name for name, group in images.items() if not group or not group.strip()]:
        raise ImageError(f"'{file}' names no group for {_listed(lone)}.")
    return images


def _listed(names: list[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
