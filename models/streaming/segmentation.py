"""An image through a network into a sink; with less at once, or elsewhere, where the memory is not enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ..errors import EngineError, ImageError
from ..image import MedicalImage
from ..scaling import Resampling
from .blending import Block
from .intensities import Intensities
from .network import OutOfMemoryError, TileNetwork, ready, release
from .planes import Planes
from .running import Batch, run
from .settings import SMALLEST, Settings
from .sinks import Sink
from .steps import Steps
from .tiles import Grid


def segment(
    model: nn.Module, image: MedicalImage, known: Intensities, settings: Settings, sink: Sink, steps: Steps
) -> tuple[str, ...]:
    """Have a network answer for each plane of an image.

    Memory that runs out halves the number of tiles at once, then the tiles, and then moves all to the CPU. Smaller
    tiles are other tiles: the image is begun anew with them, so that all of it is done alike.

    Args:
        model: maps (B, C, H, W) to logits (B, classes, H, W).
        image: in memory or lazy.
        known: of its intensities.
        settings: how.
        sink: gets the answer.
        steps: told how far it is.

    Returns:
        What the user has to know about how it was done.

    Raises:
        ImageError: the image cannot be read to its end.
        CancelledError: it was told to stop.
        EngineError: there is not even enough memory on the CPU.
    """
    volume = settings.consensus and "Z" in image.axes and image.mask_shape[-3] > 1
    go = _consensus if volume else _slices
    asked = settings
    while True:
        batch = Batch(settings.batch)
        try:
            with ready(model, settings.device, settings.precision) as network:
                go(network, image, known, settings, sink, batch, steps)
        except OutOfMemoryError:
            pass
        else:
            return tuple(notices(asked, settings, batch))
        release(settings.device)
        settings = with_less(settings, asked)


def with_less(settings: Settings, asked: Settings) -> Settings:
    """What to try when not even one tile fits.

    Raises:
        EngineError: nothing is left to try.
    """
    if settings.tile // 2 >= SMALLEST and not settings.tile_is_fixed:
        return replace(settings, tile=settings.tile // 2, batch=1)
    if settings.device.type != "cpu":
        return replace(asked, device=torch.device("cpu"), batch=1)
    raise EngineError(
        f"There is not enough memory to segment even pieces of {settings.tile} px. Nothing of yours was changed; close "
        "other programs, or choose a smaller network."
    )


def notices(asked: Settings, used: Settings, batch: Batch) -> Iterator[str]:
    """What the user has to know when it was done with less than was asked for."""
    if used.device != asked.device:
        yield "The graphics card has not enough memory for this network; the processor did it, which takes longer."
    if used.tile < asked.tile:
        yield (
            f"There was not enough memory for pieces of {asked.tile} px; pieces of {used.tile} px were used, so the "
            "mask may differ a little."
        )
    elif batch.size < asked.batch and used.device == asked.device:
        yield f"There was not enough memory for {asked.batch} pieces at once; {batch.size} at once were used."


def _slices(
    network: TileNetwork,
    image: MedicalImage,
    known: Intensities,
    settings: Settings,
    sink: Sink,
    batch: Batch,
    steps: Steps,
) -> None:
    """Plane by plane along the last two axes."""
    scales = settings.scale, settings.scale
    planes = Planes.of(image, known.limits, settings.in_channels, settings.context, scales)
    grid = _grid(planes, settings)
    plane, row = sink.begin(settings.tile)
    a_plane = len(grid.rows) * len(grid.columns)
    begin = grid.first_row_for(Resampling(planes.rows.new, planes.rows.length).sources(row, row + 1)[0]) if row else 0
    steps.start(len(planes) * a_plane, plane * a_plane + begin * len(grid.columns))
    if plane < len(planes):
        run(network, planes, grid, sink, batch=batch, start=(plane, begin), background=known.background, steps=steps)


def _consensus(
    network: TileNetwork,
    image: MedicalImage,
    known: Intensities,
    settings: Settings,
    sink: Sink,
    batch: Batch,
    steps: Steps,
) -> None:
    """The mean of the probabilities of the slices along Z, along Y and along X.

    Slices along Y and X show Z in one of their sides; it is stretched so that their pixels are as wide as high. The
    probabilities of a whole volume are held in memory, float32; a series is done volume by volume.
    """
    sink.begin(settings.tile)
    image = image.loaded()
    volumes = list(_volumes(image))
    views = [list(_views(volume, known, settings)) for volume in volumes]
    steps.start(sum(len(planes) * len(grid.rows) * len(grid.columns) for found in views for planes, grid, _ in found))
    depth = image.mask_shape[-3]
    for number, (volume, found) in enumerate(zip(volumes, views, strict=True)):
        total = _Sum(volume.mask_shape)
        for planes, grid, axis in found:
            total.axis = axis
            run(network, planes, grid, total, batch=batch, start=(0, 0), background=known.background, steps=steps)
        for z in range(depth):
            sink.put(Block(number * depth + z, 0, 0, total.mean(z)))


class _Sum:
    """A sink that adds up the probabilities of slices along several axes.

    Attributes:
        axis: along which the slices come now: 0, 1 or 2 for Z, Y or X.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.axis = 0
        self._shape = shape
        self._total: torch.Tensor | None = None  # (classes, Z, Y, X)

    def begin(self, tile: int) -> tuple[int, int]:
        return 0, 0

    def put(self, block: Block) -> None:
        if self._total is None:
            self._total = torch.zeros(block.probability.shape[0], *self._shape)
        slices = self._total.movedim(1 + self.axis, 1)  # (classes, slices, rows, columns), a view
        slices[:, block.plane, block.top : block.bottom, block.left : block.right] += block.probability.cpu()

    def mean(self, z: int) -> torch.Tensor:
        """(classes, Y, X) of a plane."""
        if self._total is None:
            raise ImageError("The volume has no slices.")
        return self._total[:, z] / 3


def _volumes(image: MedicalImage) -> Iterator[MedicalImage]:
    """The image without its time axis, frame by frame."""
    if "T" not in image.axes:
        yield image
        return
    for frame in image.data:
        yield replace(image, data=frame, axes=image.axes[1:])


def _views(volume: MedicalImage, known: Intensities, settings: Settings) -> Iterator[tuple[Planes, Grid, int]]:
    """A volume as slices along Z, along Y and along X, with their tiles."""
    deep, high, wide = volume.spacing
    flat = {0: (1.0, 1.0), 1: (deep / wide, 1.0), 2: (deep / high, 1.0)}
    for axis, ratios in flat.items():
        turned = np.moveaxis(volume.data, axis, 0)
        scales = [settings.scale * ratio for ratio in ratios]
        seen = MedicalImage(turned, volume.axes, unit=volume.unit, name=volume.name)
        planes = Planes.of(seen, known.limits, settings.in_channels, settings.context, (scales[0], scales[1]))
        yield planes, _grid(planes, settings), axis


def _grid(planes: Planes, settings: Settings) -> Grid:
    sides = [max(side, settings.least) for side in planes.shape]
    return Grid(sides[0], sides[1], settings.tile, settings.overlap)
