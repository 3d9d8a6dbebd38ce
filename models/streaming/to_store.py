"""An image segmented into a mask on disk, so that neither has to fit into memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..image import MedicalImage
from ..label_store import CHUNK, LabelStore
from .intensities import Intensities
from .objects import split_planes
from .partial import Partial, check_replaceable
from .segmentation import segment
from .settings import Settings
from .steps import Steps
from .store_sink import StoreSink
from .streamed import Streamed

CANCELLED = (
    "The segmentation was cancelled. What was done is kept beside the mask, and the same segmentation, started again, "
    "goes on from there."
)

FEW = np.iinfo(np.uint16).max // 2
"""Objects for which uint16 has numbers, and for as many that are drawn later."""

PART = 2**18
"""Labels that are counted at once, for which they are made eight times as large."""

NUMBERING = 0.05
"""Share of the work that numbering the objects is taken for."""


def segment_to_store(
    model: nn.Module,
    image: MedicalImage,
    known: Intensities,
    settings: Settings,
    out: Path,
    *,
    instances: bool,
    confidence: bool,
    identity: str,
    progress: Callable[[float], None] | None,
    cancel: Callable[[], bool] | None,
    give_way: Callable[[], object] | None,
) -> Streamed:
    """`predict` with `out`; see there.

    Raises:
        CancelledError: `cancel` answered True; what was done is kept.
        WriteError: no permission, no space, or something else than a mask stands there.
    """
    out = out.absolute()
    beside = out.with_name(f"{_stem(out)}.confidence.ome.zarr")
    if confidence:
        check_replaceable(beside)
    wanted = {"instances": instances, "confidence": confidence, "identity": identity, "sample": known.digest}
    partial = Partial.begin(out, _fingerprint(model, image, settings.said | wanted))
    like = {
        "shape": image.mask_shape,
        "axes": image.axes.replace("C", ""),
        "spacing": image.spacing,
        "unit": image.unit,
        "geometry": image.geometry,
        "origin": image.origin,
        "time": (image.time_step, image.time_unit),
    }
    mask = partial.store("mask", like | {"dtype": np.uint8})
    sure = partial.store("confidence", like | {"dtype": np.uint8}) if confidence else None
    size = int(np.prod(image.mask_shape[:-2], dtype=np.int64)) * image.mask_shape[-2]
    resumed = (partial.plane * image.mask_shape[-2] + partial.row) / size
    share = 1 - NUMBERING if instances else 1.0
    steps = Steps(progress and (lambda done: progress(share * done)), cancel, give_way, CANCELLED)
    with StoreSink(partial, mask, sure) as sink:
        notices = segment(model, image, known, settings, sink, steps)
    if instances:
        numbered = Steps(progress and (lambda done: progress(share + NUMBERING * done)), cancel, give_way, CANCELLED)
        labels = _numbered(mask, partial, like, numbered)
    else:
        labels = _count(mask)
    partial.finish({"objects" if instances else "mask": out} | ({"confidence": beside} if confidence else {}))
    return Streamed(out, beside if confidence else None, labels, resumed, notices)


def _numbered(mask: LabelStore, partial: Partial, like: dict[str, Any], steps: Steps) -> int:
    """Number the objects of a mask into a store "objects", uint16 if they are few; how many there are."""
    count = _number(mask, partial.scratch("objects", like | {"dtype": np.uint16}), steps, FEW)
    if count is None:
        count = _number(mask, partial.scratch("objects", like | {"dtype": np.uint32}), steps, np.iinfo(np.uint32).max)
    assert count is not None
    return count


def _number(mask: LabelStore, objects: LabelStore, steps: Steps, most: int) -> int | None:
    """Number the objects of a mask into another store; how many there are, None if they are more than `most`."""

    def read(index: tuple[int, ...], top: int, bottom: int) -> Any:
        return mask.read((*(slice(i, i + 1) for i in index), slice(top, bottom))).reshape(bottom - top, -1)

    steps.start(int(np.prod(mask.shape[:-2], dtype=np.int64)) * mask.shape[-2])
    count = 0
    for index, start, rows in split_planes(read, mask.shape):
        steps.check()
        if (count := max(count, int(rows.max(initial=0)))) > most:
            return None
        here = (*(slice(i, i + 1) for i in index), slice(start, start + len(rows)))
        objects.write(here, rows.reshape(*(1,) * len(index), *rows.shape))
        steps.advance(len(rows))
    return count


def _count(mask: LabelStore) -> int:
    """How many classes are there, background not counted."""
    found = np.zeros(256, bool)
    for index in np.ndindex(*mask.shape[:-2]):
        for top in range(0, mask.shape[-2], CHUNK):
            rows = mask.read((*(slice(i, i + 1) for i in index), slice(top, top + CHUNK))).ravel()
            for start in range(0, rows.size, PART):
                found |= np.bincount(rows[start : start + PART], minlength=256) > 0
    return int(np.count_nonzero(found[1:]))


def _fingerprint(model: nn.Module, image: MedicalImage, wanted: dict[str, object]) -> str:
    """What a partial result belongs to: a hash, from which nothing can be told."""
    about = [image.axes, list(image.data.shape), str(image.data.dtype), list(image.spacing), type(model).__name__]
    digest = hashlib.sha256(json.dumps([about, wanted], sort_keys=True).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _stem(out: Path) -> str:
    for ending in (".ome.zarr", ".zarr"):
        if out.name.endswith(ending):
            return out.name.removesuffix(ending)
    return out.name
