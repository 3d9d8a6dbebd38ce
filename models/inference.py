"""Tiled prediction: an image of any size in, a mask of the same size out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from torch import nn

from .image import MedicalImage, as_mask
from .prediction import Prediction
from .streaming.intensities import Intensities
from .streaming.objects import split_planes
from .streaming.segmentation import segment
from .streaming.settings import SMALLEST, TILE, settings_for
from .streaming.sinks import ArraySink
from .streaming.source import as_lazy_image
from .streaming.steps import Steps
from .streaming.streamed import Streamed

__all__ = ["SMALLEST", "TILE", "predict"]

Array = npt.NDArray[Any]


@overload
def predict(
    model: nn.Module,
    image: MedicalImage | Array,
    *,
    tile: int | None = None,
    overlap: float = 0.25,
    batch: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    instances: bool = False,
    probabilities: bool = False,
    skip_empty: bool = False,
    out: None = None,
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    give_way: Callable[[], object] | None = None,
) -> Prediction: ...
@overload
def predict(
    model: nn.Module,
    image: MedicalImage | Array,
    *,
    tile: int | None = None,
    overlap: float = 0.25,
    batch: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    instances: bool = False,
    skip_empty: bool = False,
    out: str | Path,
    confidence: bool = False,
    identity: str = "",
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    give_way: Callable[[], object] | None = None,
) -> Streamed: ...
def predict(
    model: nn.Module,
    image: MedicalImage | Array,
    *,
    tile: int | None = None,
    overlap: float = 0.25,
    batch: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    instances: bool = False,
    probabilities: bool = False,
    skip_empty: bool = False,
    out: str | Path | None = None,
    confidence: bool = False,
    identity: str = "",
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    give_way: Callable[[], object] | None = None,
) -> Prediction | Streamed:
    """Segment an image plane by plane, large planes in overlapping tiles that are blended smoothly.

    Tiles are blended as they are answered, and what no later tile changes is given out: beside the image and its answer
    no more than a row of tiles is in memory. With `out` the answer goes to disk, so that with a lazy image neither has
    to fit; it is the same, bit for bit.

    A card may ask for neighbouring slices as channels (`context`), or for the mean of the probabilities along all three
    axes of a volume (`planes`), which holds the volume in memory. Frames of a series are done one by one.

    Args:
        model: maps (B, C, H, W) to logits (B, classes, H, W); one that `load_model` gives knows its channels.
        image: any `MedicalImage`, or a NumPy, dask or Zarr array whose axes can be guessed (see
            `MedicalImage.from_array`).
        tile: side of a tile in pixels; planes no larger are done whole. By default what the card says, and then smaller
            planes are mirrored up to it, as in training; 512 if the card says nothing.
        overlap: smallest share of a tile that its neighbour covers too, 0 <= overlap < 1.
        batch: tiles at once; by default 1 on a CPU and 8 on a GPU. Does not change the answer. Where the memory is not
            enough there are fewer, then smaller tiles, then the CPU does it; the notices of the answer say so.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: "auto", "float32", "bfloat16", "float16".
        instances: number touching objects 1 to n instead of labelling classes.
        probabilities: also keep the probabilities, which are `classes` times as large as the mask; not with `out`.
        skip_empty: do not ask the network about tiles that hold nothing but background (see `streaming.emptiness`).
        out: folder for the mask, its name ending in ".ome.zarr"; an older mask of that name is replaced when the new
            one is whole. What is done when it stops early is kept beside it and not done again by the next call.
        confidence: also keep the confidence, as "NAME.confidence.ome.zarr" beside `out`; without `out` it always is.
        identity: what tells this image from others, besides its pixels; a file's size and date, for example.
        progress: called with the share done, 0 < share <= 1.
        cancel: asked before each batch; if it answers True the prediction stops.
        give_way: called before each batch; may take its time, so that something more urgent goes first.

    Raises:
        ImageError: the image has a number of channels that the model does not read, or cannot be read.
        ModelError: a device, a tile, an overlap or a batch that is not possible.
        EngineError: there is not enough memory, not even on the CPU.
        WriteError: no permission, no space; an older mask stays as it is, and what was done is kept.
        CancelledError: `cancel` answered True.
    """
    settings = settings_for(
        model,
        tile=tile,
        overlap=overlap,
        batch=batch,
        device=device,
        precision=precision,
        skip_empty=skip_empty,
    )
    image = as_lazy_image(image)
    known = Intensities.of(image, settings.channels, skip_empty=skip_empty)
    if out is not None:
        from .streaming.to_store import segment_to_store

        return segment_to_store(
            model,
            image,
            known,
            settings,
            Path(out),
            instances=instances,
            confidence=confidence,
            identity=identity,
            progress=progress,
            cancel=cancel,
            give_way=give_way,
        )
    sink = ArraySink(image.mask_shape, probabilities=probabilities)
    steps = Steps(progress, cancel, give_way)
    notices = segment(model, image, known, settings, sink, steps)
    return Prediction(
        labels=_numbered(sink.labels, steps) if instances else as_mask(sink.labels),
        confidence=sink.confidence,
        probabilities=sink.probabilities,
        notices=notices,
    )


def _numbered(mask: npt.NDArray[np.uint8], steps: Steps) -> Array:
    """Touching objects of a mask told apart, counted through all planes."""
    labels = np.zeros(mask.shape, np.uint32)
    planes: Any = mask  # whose index is a tuple of mixed kinds
    for index, start, rows in split_planes(lambda plane, top, end: planes[(*plane, slice(top, end))], mask.shape):
        here: Any = (*index, slice(start, start + len(rows)))
        labels[here] = rows
        steps.check()
    return as_mask(labels)
