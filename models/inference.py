"""Tiled prediction: an image of any size in, a mask of the same size out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .devices import choose_device, choose_precision
from .errors import CancelledError, ModelError
from .image import MedicalImage, as_image, as_mask
from .instances import split_touching
from .intensity import intensity_limits, match_channels, normalise
from .layout import channels_last
from .prediction import Prediction
from .scaling import resize_map, resize_plane, scaled_shape
from .tiling import blend_window, tile_origins

SMALLEST = 64
"""Shorter sides are mirrored up to this many pixels, so that the deepest maps hold more than a few values."""

TILE = 512
"""Side of a tile in pixels, for a network that takes any."""

Array = npt.NDArray[Any]


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
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    give_way: Callable[[], object] | None = None,
) -> Prediction:
    """Segment an image plane by plane, large planes in overlapping tiles that are blended smoothly.

    Args:
        model: maps (B, C, H, W) to logits (B, classes, H, W); one that `load_model` gives knows its channels.
        image: any `MedicalImage`, or an array whose axes can be guessed (see `MedicalImage.from_array`).
        tile: side of a tile in pixels; planes no larger are done whole. By default what the card says, and then smaller
            planes are mirrored up to it, as in training; 512 if the card says nothing.
        overlap: smallest share of a tile that its neighbour covers too, 0 <= overlap < 1.
        batch: tiles at once; by default 1 on a CPU and 8 on a GPU. Does not change the answer.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: "auto", "float32", "bfloat16", "float16".
        instances: number touching objects 1 to n instead of labelling classes.
        probabilities: also keep the probabilities, which are `classes` times as large as the mask.
        progress: called with the share done, 0 < share <= 1.
        cancel: asked before each batch; if it answers True the prediction stops.
        give_way: called before each batch; may take its time, so that something more urgent goes first.

    Raises:
        ImageError: the image has a number of channels that the model does not read.
        ModelError: a device, a tile, an overlap or a batch that is not possible.
        CancelledError: `cancel` answered True.
    """
    card = getattr(model, "card", None)
    own = getattr(card, "tile", None) if tile is None else None
    tile = tile if tile is not None else own or TILE
    if tile < SMALLEST or not 0 <= overlap < 1:
        raise ModelError(
            f"Tiles of {tile} px with overlap {overlap} are not possible; use {SMALLEST} or more and 0 to 0.9."
        )
    if batch is not None and batch < 1:
        raise ModelError(f"{batch} tiles at once are not possible; use 1 or more.")
    image = as_image(image)
    place = choose_device(device)
    batch = batch or (1 if place.type == "cpu" else 8)
    tiled = _TiledNetwork(
        channels_last(model.to(place)),
        choose_precision(precision, place),
        own or SMALLEST,
        tile,
        overlap,
        batch,
    )
    scale = getattr(card, "scale", 1.0)
    planes = int(np.prod(image.mask_shape[:-2], dtype=int))
    steps = _Steps(planes * tiled.batches(*scaled_shape(image.mask_shape, scale)), progress, cancel, give_way)
    training = model.training
    model.eval()
    try:
        answers = [
            _answer(_at_scale(tiled, plane, scale, steps), probabilities)
            for plane in _network_planes(image, _channels_read(model))
        ]
    finally:
        model.train(training)
    labels, confidence = (np.stack(part).reshape(image.mask_shape) for part in list(zip(*answers, strict=True))[:2])
    kept = (
        np.stack([np.asarray(answer[2]) for answer in answers], 1) if probabilities else None
    )  # (classes, planes, Y, X)
    return Prediction(
        labels=split_touching(labels) if instances else as_mask(labels),
        confidence=confidence,
        probabilities=None if kept is None else kept.reshape(-1, *image.mask_shape),
    )


@dataclass(frozen=True)
class _TiledNetwork:
    """A network that answers for planes of any size."""

    network: nn.Module
    precision: torch.dtype
    least: int
    tile: int
    overlap: float
    batch: int

    def _corners(self, height: int, width: int) -> list[tuple[int, int]]:
        rows, columns = (tile_origins(side, min(self.tile, side), self.overlap) for side in (height, width))
        return [(row, column) for row in rows for column in columns]

    def batches(self, height: int, width: int) -> int:
        """Number of batches that a plane takes."""
        return -(-len(self._corners(max(height, self.least), max(width, self.least))) // self.batch)

    @torch.inference_mode()
    def probabilities(self, plane: npt.NDArray[np.float32], steps: _Steps) -> torch.Tensor:
        """Probabilities (classes, Y, X) of a plane (C, Y, X); one class: of the foreground."""
        padded = _mirrored(plane, self.least)
        sides = padded.shape[1:]
        height, width = min(self.tile, sides[0]), min(self.tile, sides[1])
        window = torch.from_numpy(blend_window(height, width))
        weight = torch.zeros(sides)
        total = torch.zeros(())
        corners = self._corners(*sides)
        for start in range(0, len(corners), self.batch):
            steps.check()
            chosen = corners[start : start + self.batch]
            tiles = np.stack([padded[:, row : row + height, column : column + width] for row, column in chosen])
            answers = self._run(torch.from_numpy(tiles))  # (B, C, h, w) -> (B, classes, h, w)
            if start == 0:
                total = torch.zeros(answers.shape[1], *sides)
            for answer, (row, column) in zip(answers, chosen, strict=True):
                here = (..., slice(row, row + height), slice(column, column + width))
                total[here] += answer * window
                weight[here] += window
            steps.advance()
        return (total / weight)[:, : plane.shape[1], : plane.shape[2]]

    def _run(self, tiles: torch.Tensor) -> torch.Tensor:
        """Probabilities (B, classes, h, w) of tiles (B, C, h, w), on the CPU in float32."""
        place = next(self.network.parameters()).device
        with torch.autocast(place.type, self.precision, enabled=self.precision != torch.float32):
            logits = self.network(tiles.to(place, memory_format=torch.channels_last)).float()
        return (logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)).cpu()


class _Steps:
    """Counts batches: reports progress, gives way, and stops when asked to."""

    def __init__(
        self,
        total: int,
        progress: Callable[[float], None] | None,
        cancel: Callable[[], bool] | None,
        give_way: Callable[[], object] | None,
    ) -> None:
        self.total, self.done = total, 0
        self.progress, self.cancel, self.give_way = progress, cancel, give_way

    def check(self) -> None:
        if self.give_way:
            self.give_way()
        if self.cancel and self.cancel():
            raise CancelledError("The segmentation was cancelled; the image and its mask are as they were.")

    def advance(self) -> None:
        self.done += 1
        if self.progress:
            self.progress(self.done / self.total)


def _channels_read(model: nn.Module) -> int:
    """Channels that a network reads: its card says so, or else its first convolution."""
    if card := getattr(model, "card", None):
        return int(card.in_channels)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise ModelError("This network has no card and no convolution: how many channels it reads cannot be told.")


def _network_planes(image: MedicalImage, in_channels: int) -> Iterator[npt.NDArray[np.float32]]:
    """Each plane as the network reads it, (C, Y, X); intensities are scaled over the whole image."""
    data = image.data if "C" in image.axes else image.data[..., np.newaxis]
    data = match_channels(data, in_channels)
    limits = intensity_limits(data)
    for index in np.ndindex(*data.shape[:-3]):
        yield normalise(data[index], limits)


def _at_scale(tiled: _TiledNetwork, plane: npt.NDArray[np.float32], scale: float, steps: _Steps) -> torch.Tensor:
    """Probabilities (classes, Y, X) of a plane that the network sees resized by `scale`."""
    probability = tiled.probabilities(resize_plane(plane, scale), steps)
    return probability if scale == 1 else resize_map(probability, (plane.shape[-2], plane.shape[-1]))


def _mirrored(plane: npt.NDArray[np.float32], least: int) -> npt.NDArray[np.float32]:
    """A plane (C, Y, X) whose sides have at least `least` pixels, mirrored below and to the right."""
    missing = [max(0, least - side) for side in plane.shape[1:]]
    return np.pad(plane, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric") if any(missing) else plane


def _answer(probability: torch.Tensor, keep: bool) -> tuple[Array, Array, Array | None]:
    """Labels, confidence and, if kept, the probabilities of one plane (classes, Y, X)."""
    if probability.shape[0] == 1:
        foreground = probability[0]
        labels = foreground > 0.5
        winner = torch.where(labels, foreground, 1 - foreground)
    else:
        winner, labels = probability.max(0)
    confidence = (winner * 255).round().to(torch.uint8)
    return labels.to(torch.uint8).numpy(), confidence.numpy(), probability.half().numpy() if keep else None
