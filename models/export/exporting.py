"""One way to write a mask in any of the formats, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ..cancelling import Cancel, stop_if
from ..durable import write
from ..errors import ImageError
from ..formats.opened import OpenedImage
from ..image import Array, MedicalImage
from ..measuring import csv_file, measure, measure_planes
from ..writing import write_mask
from .coco import coco_json
from .geojson import geojson
from .kinds import EXPORTS, export_of


def export_mask(
    path: str | os.PathLike[str],
    mask: Array,
    image: MedicalImage,
    *,
    key: str = "",
    source: OpenedImage | str | os.PathLike[str] | None = None,
    names: Mapping[int, str] | None = None,
    instances: bool = True,
    file_name: str = "image",
    progress: Callable[[float], object] | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Write a mask, its outlines or its measurements.

    Args:
        path: the file, or the folder of an OME-Zarr; an older one is replaced.
        mask: labels of the image's `mask_shape`.
        image: whose place and spacing are written; only measurements look at its pixels.
        key: one of `EXPORTS`; what the ending of `path` means by default.
        source: the DICOM images that the image was read from, for a DICOM SEG.
        names: of labels.
        instances: whether each label is one object, or a class of objects; for outlines.
        file_name: what COCO's file is to call the image.
        progress: told which share is measured.
        cancel: asked whether to stop.

    Raises:
        ImageError: not a mask of this image, or a format that cannot hold it or does not have this ending.
        WriteError: no permission, no space, ...; what was there is untouched.
        CancelledError: asked to stop; what was there is untouched.
    """
    path = Path(path)
    by_ending = export_of(path)
    if not key and by_ending is None:
        allowed = ", ".join(export.ending for export in EXPORTS.values())
        raise ImageError(
            f"'{path.name}' does not say as what the mask shall be written: its ending is {path.suffix!r}; allowed are "
            f"{allowed}. Nothing was written; '{path.stem}.nii.gz' would work."
        )
    key = key or (by_ending.key if by_ending else "")
    if key == "coco":
        outlines = coco_json(mask, image, file_name=file_name, names=names, instances=instances, cancel=cancel)
        write(path, outlines)
    elif key == "geojson":
        write(path, geojson(mask, image, names=names, instances=instances, cancel=cancel))
    elif key in ("csv", "csv-slices"):
        each = measure if key == "csv" else measure_planes
        measures = each(mask, image, names=names, progress=progress, cancel=cancel)
        stop_if(cancel)
        write(path, csv_file(measures))
    else:
        if by_ending is None or by_ending.key != key:
            raise ImageError(
                f"{EXPORTS[key].title} ends in {EXPORTS[key].ending}, and '{path.name}' does not. Nothing was written; "
                f"'{path.stem}{EXPORTS[key].ending}' would work."
            )
        write_mask(path, mask, image, source=source, names=names, cancel=cancel)
