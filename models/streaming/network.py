"""A network on its device, run on batches of tiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..devices import choose_precision
from ..errors import MedSegError
from ..layout import channels_last
from .folding import folded

_SAID = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "insufficient memory")
"""What the errors of devices and of the CPU's allocator say, in lower case, when memory runs out."""


ROWS = 32
"""Rows that are computed at once on processors: with 512 columns and 32 channels they are 2 MB, as large as a cache."""


class OutOfMemoryError(MedSegError):
    """The device has not enough memory for what it was given."""


@dataclass(frozen=True)
class TileNetwork:
    """A network that is ready to answer.

    Attributes:
        network: on its device, in evaluation mode.
        device: where it is.
        precision: the type that it computes in.
    """

    network: nn.Module
    device: torch.device
    precision: torch.dtype

    @torch.inference_mode()
    def run(self, tiles: list[npt.NDArray[np.float32]]) -> torch.Tensor:
        """Probabilities (B, classes, h, w), float32 and on the device, of tiles (C, h, w); one class: the foreground.

        Raises:
            OutOfMemoryError: there is not enough memory for so many tiles of this size.
        """
        with memory_watched():
            batch = torch.from_numpy(np.stack(tiles) if len(tiles) > 1 else tiles[0][None])  # (B, C, h, w)
            batch = batch.to(self.device, memory_format=torch.channels_last)
            with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
                logits = self.network(batch)
            logits = logits.float()
            return logits.sigmoid_() if logits.shape[1] == 1 else logits.softmax(1)


@contextmanager
def ready(model: nn.Module, device: torch.device, precision: str) -> Iterator[TileNetwork]:
    """A copy of a model that is fit for predicting; the model itself is afterwards in the mode it was in.

    Raises:
        ModelError: there is no such precision.
        OutOfMemoryError: the device has no room for the weights.
    """
    kind = choose_precision(precision, device)
    training = model.training
    model.eval()
    try:
        with memory_watched():
            network = channels_last(folded(channels_last(model.to(device))))
            if device.type == "cpu":
                _take_few_rows(network)
        yield TileNetwork(network, device, kind)
    finally:
        model.train(training)


def _take_few_rows(network: nn.Module) -> None:
    """Have those parts of a network that can compute their maps some rows at a time do so."""
    for part in network.modules():
        if hasattr(part, "rows_at_once"):
            part.rows_at_once = ROWS


@contextmanager
def memory_watched() -> Iterator[None]:
    """Turn whatever says in this block that memory ran out into an `OutOfMemoryError`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        typed = isinstance(error, MemoryError | getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError))
        if not typed and not any(said in str(error).lower() for said in _SAID):
            raise
    else:
        return
    raise OutOfMemoryError("There is not enough memory.")  # outside, so that the error holds no tensors any more


def release(device: torch.device) -> None:
    """Give back memory of a GPU that nothing uses any more."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
