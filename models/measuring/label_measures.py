"""What is measured of one label."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelMeasures:
    """One label of a mask, in a whole image, in one frame of a series, or in one plane.

    Lengths are in `unit`, areas in its square, volumes in its cube. Where no length of a pixel is known, `unit` is
    "pixel" and every pixel is one long along each axis; the two are never mixed.

    Attributes:
        label: its number in the mask.
        name: what it is called; "" if it has no name.
        unit: of lengths: "mm", "um", ... or "pixel".
        frame: index along time; None in an image without time.
        plane: index along Z: the plane that was measured, or for a volume the one with its longest diameter; None in
            an image without planes.
        pixels: how many have the label.
        pieces: connected parts; what touches at a corner is one.
        area: of a plane; None for a volume.
        volume: None for a plane.
        perimeter: length of the outline of a plane; None for a volume. See `surfaces`.
        surface: area of the surface of a volume; None for a plane.
        longest_diameter: longest distance between two points of the outline of a piece, in one plane of rows and
            columns; of a volume, the largest over its planes. See `diameters`.
        shortest_diameter: longest chord at right angles to it, in the same piece and plane.
        equivalent_diameter: of the disc of that area, or the ball of that volume.
        mean: of the image's values, one for each channel; NaN if there are none that are numbers.
        sd: standard deviation of these values, likewise (of all pixels: divided by their number).
        box: from where to where it reaches along each axis of the mask, as (start, stop).
        centre: index of the pixel at its centre of mass; along Z that of `plane`.
    """

    label: int
    name: str
    unit: str
    frame: int | None
    plane: int | None
    pixels: int
    pieces: int
    area: float | None
    volume: float | None
    perimeter: float | None
    surface: float | None
    longest_diameter: float
    shortest_diameter: float
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    box: tuple[tuple[int, int], ...]
    centre: tuple[int, ...]

    @property
    def equivalent_diameter(self) -> float:
        """Diameter of the disc of that area, or the ball of that volume."""
        if self.volume is not None:
            return math.cbrt(6 * self.volume / math.pi)
        assert self.area is not None
        return 2 * math.sqrt(self.area / math.pi)
