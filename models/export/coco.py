"""COCO's instance annotations (cocodataset.org, "Data format"), which most tools for object detection read.

A piece without holes is a polygon along the edges of its pixels; an object with holes, which COCO's polygons cannot
have, is a run-length code, not compressed. Both cover exactly the object's pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cancelling import Cancel, each_unless
from ..image import PLANE_CALLED, Array, MedicalImage, as_mask
from .objects import PlaneObject, plane_objects
from .outlines import polygons


def coco_json(
    mask: Array,
    image: MedicalImage,
    *,
    file_name: str,
    names: Mapping[int, str] | None = None,
    instances: bool = True,
    cancel: Cancel | None = None,
) -> bytes:
    """The annotations of an image; of a volume or a series one COCO image for each plane.

    Args:
        mask: labels of the image's `mask_shape`; 0 is background.
        image: whose size, and whose planes, are written.
        file_name: of the image; COCO files are matched to images by it. Planes get their frame and slice beside it.
        names: of labels.
        instances: whether each label is one object, all of them of one category "object"; else each label is
            a category, and each connected piece of it in a plane is an object.
        cancel: asked whether to stop.

    Returns:
        JSON in UTF-8. Annotations and images are numbered from 1; an annotation keeps its "label". Coordinates are
        pixels, 0 being the outer edge of the first one; areas count pixels.

    Raises:
        ImageError: not a mask of this image.
        CancelledError: asked to stop.
    """
    data_set = CocoDataSet(names, instances=instances)
    data_set.add(mask, image, file_name=file_name, cancel=cancel)
    return data_set.to_json()


class CocoDataSet:
    """The annotations of one image after another, as one file; see `coco_json`."""

    def __init__(self, names: Mapping[int, str] | None = None, *, instances: bool = True) -> None:
        self._names, self._instances = names or {}, instances
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._labels: set[int] = set()

    def add(self, mask: Array, image: MedicalImage, *, file_name: str, cancel: Cancel | None = None) -> None:
        """Add an image, whole or not at all.

        Raises:
            ImageError: not a mask of this image.
            CancelledError: asked to stop.
        """
        mask = as_mask(mask, image)
        leading = image.axes.replace("C", "")[:-2]
        indices = list(np.ndindex(*mask.shape[:-2]))
        ids = {index: number for number, index in enumerate(indices, start=len(self._images) + 1)}
        objects = each_unless(cancel, plane_objects(mask, instances=self._instances))
        annotations = [
            _annotation(number, found, ids[found.index], 1 if self._instances else found.label, mask.shape[-2:])
            for number, found in enumerate(objects, start=len(self._annotations) + 1)
        ]
        height, width = mask.shape[-2:]
        self._images += [
            {"id": ids[index], "file_name": file_name, "height": height, "width": width, **_place(index, leading)}
            for index in indices
        ]
        self._annotations += annotations
        self._labels |= {one["label"] for one in annotations}

    def to_json(self) -> bytes:
        """The file, in UTF-8."""
        labels = [] if self._instances else sorted(self._labels)
        categories = [{"id": label, "name": self._names.get(label) or f"label {label}"} for label in labels]
        content = {
            "info": {"description": "Masks from MedSeg for napari"},
            "images": self._images,
            "categories": categories or [{"id": 1, "name": "object"}],
            "annotations": self._annotations,
        }
        return json.dumps(content, ensure_ascii=False).encode()


def _place(index: tuple[int, ...], leading: str) -> dict[str, int]:
    return {PLANE_CALLED[axis]: at for axis, at in zip(leading, index, strict=True)}


def _annotation(number: int, found: PlaneObject, image: int, category: int, shape: tuple[int, int]) -> dict[str, Any]:
    rows, columns = found.inside.shape
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "label": found.label,
        "segmentation": _segmentation(found, shape),
        "area": int(np.count_nonzero(found.inside)),
        "bbox": [found.left, found.top, columns, rows],
        "iscrowd": 0,
    }


def _segmentation(found: PlaneObject, shape: tuple[int, int]) -> list[list[int]] | dict[str, Any]:
    pieces = polygons(found.inside)
    if any(piece.holes for piece in pieces):
        return {"size": list(shape), "counts": _run_lengths(found, shape)}
    return [(piece.outer + found.corner).ravel().tolist() for piece in pieces]


def _run_lengths(found: PlaneObject, shape: tuple[int, int]) -> list[int]:
    """Lengths of the runs outside, inside, outside, ... of the plane's pixels, read column by column."""
    height, width = shape
    columns, rows = np.nonzero(found.inside.T)  # in the order in which COCO reads
    at = (columns + found.left) * height + rows + found.top
    starts = np.flatnonzero(np.diff(at, prepend=-2) > 1)
    ends = np.append(starts[1:], len(at))
    turns: npt.NDArray[np.int64] = np.stack((at[starts], at[ends - 1] + 1), axis=1).ravel()
    runs: list[int] = np.diff(turns, prepend=0, append=height * width).tolist()
    return runs if runs[-1] else runs[:-1]
