"""From the numbers that DICOM stores to those that mean something: Hounsfield units, counts, Gy.

Intensities are rescaled slice by slice (PET has another slope in each), colours never are. Where the file asks for
large values to be shown dark (MONOCHROME1, as many X-ray plates do) they are turned round, so that bone is bright as
in every other image and as networks know it; CT, PET and whatever else names its unit keeps its values. The window
is turned with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from ..image import Array
from .dicom_pixels import StoredPixels
from .dicom_tags import first_item, number, numbers, word

_MEASURING = ("CT", "PT", "NM", "MR", "RTDOSE")
"""Modalities whose values are quantities."""

_INT16, _INT32 = np.iinfo(np.int16), np.iinfo(np.int32)

Window = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Values:
    """What the stored numbers of a frame stand for.

    Attributes:
        ends: the smallest and the largest number that can be stored.
        slope: factor; 1 where there is none.
        intercept: what is added after that.
        table: the first stored number that a modality look-up table has, and its entries; then there is no slope.
        turned: whether bright and dark are exchanged.
        padding: the stored number of pixels outside of what was imaged, if the file names one.
    """

    ends: tuple[int, int]
    slope: float = 1.0
    intercept: float = 0.0
    table: tuple[int, Array] | None = None
    turned: bool = False
    padding: int | None = None

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value that can come out."""
        if self.table is not None:
            return 0.0, float(np.iinfo(self.table[1].dtype).max)
        low, high = sorted(self.slope * end + self.intercept for end in self.ends)
        return low, high

    @property
    def fill(self) -> float:
        """The value of a place where there is no pixel: the padding, else 0 as it is stored."""
        low, high = self.ends
        stored = np.array([min(max(self.padding or 0, low), high)])
        return float(self.apply(stored, np.dtype(np.float64))[0])

    def apply(self, stored: Array, dtype: np.dtype[Any]) -> Array:
        """Values of type `dtype`, as `type_of` gives it for all frames; what lies past its ends is held at them."""
        values: Array
        if self.table is not None:
            first, entries = self.table
            values = entries[np.clip(stored.astype(np.int64) - first, 0, len(entries) - 1)]
        elif (self.slope, self.intercept) == (1.0, 0.0):
            values = stored
        elif dtype.kind == "f":
            short = stored.dtype.itemsize <= 2 and dtype == np.float32
            values = np.multiply(stored, self.slope, dtype=np.float32 if short else np.float64)
            values = np.add(values, self.intercept, dtype=values.dtype)
        else:
            values = np.multiply(stored, int(self.slope), dtype=np.int32 if stored.dtype.itemsize <= 2 else np.int64)
            values = np.add(values, int(self.intercept), dtype=values.dtype)
        if self.turned:
            low, high = self.range
            whole = values.dtype.kind in "iu"
            values = (np.int64(low + high) - values.astype(np.int64)) if whole else np.float64(low + high) - values
        if dtype.kind in "iu" and values.dtype != dtype:
            values = np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max)
        return values.astype(dtype, copy=False)

    def window(self, preset: Window) -> Window:
        """A window in the file's own values, in those that come out."""
        low, high = self.range
        return (low + high - preset[1], low + high - preset[0]) if self.turned else preset


def values_of(dataset: Dataset, pixels: StoredPixels, transformed: Dataset, modality: str) -> Values:
    """What the numbers of a frame stand for.

    Args:
        dataset: the file's elements.
        pixels: how they are stored.
        transformed: where slope and intercept stand: the file, or a functional group of the frame.
        modality: "CT", ...
    """
    signed, bits = bool(pixels.options["pixel_representation"]), int(pixels.options["bits_stored"])
    ends = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if pixels.coloured or pixels.dtype.kind == "f":
        return Values(ends)
    padding = number(dataset, "PixelPaddingValue")
    noted = None if padding is None else int(padding)
    dark = str(pixels.options["photometric_interpretation"]).strip().upper() == "MONOCHROME1"
    measured = modality in _MEASURING or word(transformed, "RescaleType") not in ("", "US")
    turned = dark and not measured
    if table := _modality_table(dataset):
        return Values(ends, table=table, turned=turned, padding=noted)
    slope = number(transformed, "RescaleSlope") or number(dataset, "DoseGridScaling") or 1.0
    intercept = number(transformed, "RescaleIntercept") or 0.0
    return Values(ends, slope, intercept, turned=turned, padding=noted)


def type_of(values: Iterable[Values], stored: np.dtype[Any]) -> np.dtype[Any]:
    """The type that holds the values of all frames of an image.

    The stored one where nothing is rescaled; int16 where the values are whole and fit, and also for those of 16 bits
    with a slope of 1, whose ends no detector reaches; int32 for other whole values; float32 else.
    """
    every = list(values)
    if stored.kind == "f":
        return stored
    if all(v.table is not None for v in every):
        return np.result_type(*(v.table[1].dtype for v in every if v.table is not None))
    if all(v.table is None and (v.slope, v.intercept) == (1.0, 0.0) for v in every):
        return stored
    whole = all(v.table is not None or (v.slope.is_integer() and v.intercept.is_integer()) for v in every)
    low, high = min(v.range[0] for v in every), max(v.range[1] for v in every)
    shifted = stored == np.int16 and all(v.table is None and v.slope == 1 for v in every)
    if whole and ((low >= _INT16.min and high <= _INT16.max) or shifted):
        return np.dtype(np.int16)
    return np.dtype(np.int32 if whole and low >= _INT32.min and high <= _INT32.max else np.float32)


def window_of(dataset: Dataset) -> Window | None:
    """The first window preset: the values to be shown black and white; None if there is none, or nonsense.

    Source: DICOM PS3.3 C.11.2.1.2 (LINEAR), C.11.2.1.3.2 (LINEAR_EXACT, by which SIGMOID is taken here, too).
    """
    centres, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    if not centres or not widths:
        return None
    centre, width = centres[0], widths[0]
    if word(dataset, "VOILUTFunction") in ("LINEAR_EXACT", "SIGMOID"):
        return (centre - width / 2, centre + width / 2) if width > 0 else None
    return (centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2) if width > 1 else None


def _modality_table(dataset: Dataset) -> tuple[int, Array] | None:
    described = first_item(dataset, "ModalityLUTSequence")
    shape, data = numbers(described, "LUTDescriptor", 3), described.get("LUTData")
    if shape is None or data is None:
        return None
    length, first, bits = int(shape[0]) or 65536, int(shape[1]), int(shape[2])
    if isinstance(data, bytes):
        entries = np.frombuffer(data, "<u2" if len(data) >= 2 * length else "u1")
    else:
        entries = np.asarray(data if hasattr(data, "__iter__") else [data]).astype("u2")
    return first, entries[:length].astype(np.uint8 if bits <= 8 else np.uint16)
