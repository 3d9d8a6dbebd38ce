"""A file segmented to disk, in the engine's predictor; imports torch, so never in a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .streamed import Streamed


def segment_file(
    path: str | Path,
    part: str,
    model: str,
    out: str | Path,
    *,
    progress: Callable[[float], None],
    cancel: Callable[[], bool],
    **options: Any,
) -> Streamed:
    """`predict` for an image that the predictor opens by itself, with a network that stays loaded between calls.

    Args:
        path: file or folder of the image.
        part: which image in it; "" for the one there is, or the largest.
        model: name of a shipped model, or a weights file.
        out: folder for the mask, ending in ".ome.zarr".
        progress: called with the share done.
        cancel: asked before each batch.
        **options: of `predict`.

    Raises:
        MedSegError: as `open_image` and `predict`.
    """
    from ..devices import use_threads
    from ..engine.gate import GATE
    from ..engine.predictor import network_of
    from ..formats.opening import open_image
    from ..inference import predict
    from .identity import file_identity

    use_threads()
    network = network_of(model)
    opened = open_image(path, part)
    done: Streamed = predict(
        network,
        opened.image,
        out=out,
        identity=file_identity(Path(path), opened.part),
        progress=progress,
        cancel=cancel,
        give_way=GATE.wait,
        **options,
    )
    return replace(done, notices=(*done.notices, *opened.found()))
