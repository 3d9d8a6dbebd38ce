"""Objects of folders of images and masks, each of which is clicked for by itself.

A folder has images/ and masks/ with equal names and may have splits.json, as `napari_medseg.trainer.folders` says;
NIfTI volumes (with nibabel installed) are taken slice by slice along the axis from foot to head.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import label, regionprops

from napari_medseg.models.errors import ImageError
from napari_medseg.models.image import MedicalImage
from napari_medseg.trainer.folders import Pair, find_pairs, read_pair

SMALLEST = 30
"""Pixels; smaller objects are left out, as one pixel more or less decides their IoU."""


@dataclass(frozen=True)
class Folder:
    """A folder of images and masks.

    Attributes:
        name: of its kind of images, in the table.
        path: of the folder.
        instances: whether each label is an object; else a label is a class, and its largest component is the object.
    """

    name: str
    path: Path
    instances: bool

    @classmethod
    def of(cls, text: str) -> Folder:
        """From NAME=PATH[:instance|semantic]; semantic is the default.

        Raises:
            ValueError: a text of another form.
        """
        name, _, path = text.partition("=")
        if not path or "/" in name:
            raise ValueError(f"a folder is NAME=PATH or NAME=PATH:instance, its name without a slash; not {text!r}")
        bare, _, way = path.rpartition(":")
        if way not in ("instance", "semantic"):
            bare, way = path, "semantic"
        return cls(name, Path(bare).expanduser(), way == "instance")


@dataclass(frozen=True)
class Case:
    """One object.

    Attributes:
        pair: files of the image and the mask.
        plane: index along the leading axes; () for a 2D image.
        value: its label.
        largest: whether only the largest component of that label counts.
    """

    pair: Pair
    plane: tuple[int, ...]
    value: int
    largest: bool

    @property
    def name(self) -> str:
        """File, plane and label."""
        place = "".join(f" @{number}" for number in self.plane)
        return f"{self.pair.image.name}{place} #{self.value}"

    def is_like(self, other: Case) -> bool:
        """Whether both are of a kind: of a folder of objects, or of the same class."""
        return not self.largest or self.value == other.value

    def load(self) -> tuple[MedicalImage, npt.NDArray[np.bool_]]:
        """The image, of one plane, and the object (Y, X)."""
        image, mask = _read(self.pair)
        truth = mask[self.plane] == self.value
        axes = "YXC" if "C" in image.axes else "YX"
        plane = MedicalImage(image.data[self.plane], axes, image.spacing[-2:], image.unit)
        return plane, largest_component(truth) if self.largest else truth


def find_cases(folder: Folder, split: str, *, an_image: int, at_most: int | None, seed: int) -> tuple[list[Case], int]:
    """Objects of a folder, in an order drawn at random: one of each image, then a second of each, and so on.

    Args:
        folder: where.
        split: "train", "val" or "test" of its splits.json, or "all".
        an_image: objects of an image (of a plane of a volume) at most, drawn at random.
        at_most: objects in all; None for no limit.
        seed: of both draws.

    Returns:
        The cases, and how many objects were left out for having fewer than `SMALLEST` pixels.

    Raises:
        ImageError: no images of that split, or a pair that does not fit.
    """
    chance = random.Random(f"{seed} {folder.name}")
    drawn: list[tuple[int, float, Case]] = []
    small = 0
    for pair in _pairs(folder.path, split):
        mask = _read(pair)[1]
        for plane in np.ndindex(*mask.shape[:-2]):
            found, left_out = _objects(mask[plane], folder.instances)
            small += left_out
            chance.shuffle(found)
            cases = [Case(pair, plane, value, not folder.instances) for value in found[:an_image]]
            drawn += [(rank, chance.random(), case) for rank, case in enumerate(cases)]
    drawn.sort(key=lambda entry: entry[:2])
    return [case for *_, case in drawn[:at_most]], small


def largest_component(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The largest piece of a mask (Y, X); pixels that touch at a corner are one piece."""
    pieces = label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())


def _objects(mask: npt.NDArray[Any], instances: bool) -> tuple[list[int], int]:
    """Labels on a plane whose objects are large enough, and how many are not."""
    if instances:
        sizes = {int(region.label): int(region.area) for region in regionprops(mask.astype(np.int64))}
    else:
        sizes = {int(value): int(largest_component(mask == value).sum()) for value in np.unique(mask) if value}
    large = [value for value, size in sizes.items() if size >= SMALLEST]
    return large, len(sizes) - len(large)


def _pairs(folder: Path, split: str) -> list[Pair]:
    volumes = sorted((folder / "images").glob("*.nii*"))
    if not volumes:
        return find_pairs(folder, None if split == "all" else split)
    if split != "all":
        named = json.loads((folder / "splits.json").read_text("utf-8")).get(split, [])
        volumes = [path for path in volumes if path.name.partition(".nii")[0] in named]
    if not volumes:
        raise ImageError(f"'{folder}' has no volumes for {split!r}; its splits.json may say so.")
    return [Pair(path, folder / "masks" / path.name, path.name) for path in volumes]


@lru_cache(maxsize=2)
def _read(pair: Pair) -> tuple[MedicalImage, npt.NDArray[Any]]:
    if ".nii" not in pair.image.name:
        return read_pair(pair)
    import nibabel

    volumes = [nibabel.as_closest_canonical(nibabel.load(path)) for path in (pair.image, pair.mask)]
    image, mask = (np.asarray(volume.dataobj).T[:, ::-1] for volume in volumes)  # (Z, Y, X), the front at the top
    spacing = tuple(float(size) for size in volumes[0].header.get_zooms()[2::-1])
    return MedicalImage(np.ascontiguousarray(image), "ZYX", spacing, "mm"), np.ascontiguousarray(mask)
