"""How an image is to be segmented: what was asked for, and what the model's card says."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ..devices import choose_device, choose_precision
from ..errors import ModelError

SMALLEST = 64
"""Shorter sides are mirrored up to this many pixels, so that the deepest maps hold more than a few values."""

TILE = 512
"""Side of a tile in pixels, for a network that takes any."""


@dataclass(frozen=True)
class Settings:
    """What is done with each image.

    Attributes:
        in_channels: channels that the network reads, those of neighbouring slices included.
        tile: longest side of a tile in pixels.
        least: shorter sides are mirrored up to this many pixels.
        overlap: smallest share of a tile that its neighbour covers too.
        batch: tiles at once.
        device: where the network runs.
        precision: what it computes in.
        scale: images are seen so many times as large.
        context: neighbouring slices on each side that are channels, too.
        consensus: whether volumes are done along all three axes.
        skip_empty: whether tiles without anything on them are not asked about.
    """

    in_channels: int
    tile: int
    least: int
    overlap: float
    batch: int
    device: torch.device
    precision: str
    scale: float
    context: int
    consensus: bool
    skip_empty: bool

    @property
    def channels(self) -> int:
        """Channels that the network reads of each slice."""
        return self.in_channels // (2 * self.context + 1)

    @property
    def tile_is_fixed(self) -> bool:
        """Whether the network works at this size of tiles only."""
        return self.least >= self.tile

    @property
    def said(self) -> dict[str, object]:
        """What the answer depends on, beside the image and the model: a partial result fits these alone."""
        return {
            "tile": self.tile,
            "overlap": self.overlap,
            "precision": str(choose_precision(self.precision, self.device)),
            "scale": self.scale,
            "context": self.context,
            "consensus": self.consensus,
            "skip_empty": self.skip_empty,
        }


def settings_for(
    model: nn.Module,
    *,
    tile: int | None,
    overlap: float,
    batch: int | None,
    device: str,
    precision: str,
    skip_empty: bool,
) -> Settings:
    """What was asked for, with what the model's card says where nothing was.

    Raises:
        ModelError: a device, a precision, a tile, an overlap or a batch that is not possible.
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
    place = choose_device(device)
    choose_precision(precision, place)
    return Settings(
        in_channels=_channels_read(model),
        tile=tile,
        least=own or SMALLEST,
        overlap=overlap,
        batch=batch or (1 if place.type == "cpu" else 8),
        device=place,
        precision=precision,
        scale=getattr(card, "scale", 1.0),
        context=getattr(card, "context", 0),
        consensus=getattr(card, "planes", "slices") == "consensus",
        skip_empty=skip_empty,
    )


def _channels_read(model: nn.Module) -> int:
    """Channels that a network reads: its card says so, or else its first convolution."""
    if card := getattr(model, "card", None):
        return int(card.in_channels)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise ModelError("This network has no card and no convolution: how many channels it reads cannot be told.")
