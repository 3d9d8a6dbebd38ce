"""A look at every pair of a folder before a network learns from them: hours later is too late. Without torch."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.errors import CancelledError, ImageError

from .folders import Pair, read_pair

NAMED = 3
"""Pairs that an error names; of more it gives the number."""

_log = logging.getLogger(__name__)


@dataclass
class Survey:
    """What all pairs together are like.

    Attributes:
        channels: how often an image has so many channels.
        longer_sides: in pixels, of each image.
        planes: how many each image has: 1, or the slices of a volume, the frames of a series.
        labels: every label that a mask holds, without the one to ignore.
        instances: some masks number their objects: a network of one class takes them all as foreground.
    """

    channels: Counter[int] = field(default_factory=Counter)
    longer_sides: list[int] = field(default_factory=list)
    planes: list[int] = field(default_factory=list)
    labels: set[int] = field(default_factory=set)
    instances: bool = False

    @property
    def in_channels(self) -> int:
        """Channels that a network for these images reads; 3 for grey and colour, alone or mixed.

        Raises:
            ImageError: no network reads them all.
        """
        others = set(self.channels) - {1, 3}
        if not others:
            return 3
        if len(others) == 1 and 3 not in self.channels:
            return others.pop()
        counts = ", ".join(f"{count} with {channels}" for channels, count in sorted(self.channels.items()))
        raise ImageError(
            f"The images have different numbers of channels ({counts}), and a network reads one number. Train on those "
            "of one kind; grey ones fit any."
        )


def survey(
    pairs: list[Pair],
    classes: int,
    ignore: int | None = None,
    *,
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Survey:
    """Read every pair, and refuse them all if one cannot be used.

    Args:
        pairs: of a folder.
        classes: of the network; 1 takes every label as foreground.
        ignore: label of pixels that count for nothing.
        progress: called with the share done, 0 to 1.
        cancel: asked between pairs.

    Raises:
        ImageError: pairs that cannot be read, do not fit each other or are too small, or labels beyond the classes.
        CancelledError: `cancel` answered True.
    """
    found = Survey()
    wrong: list[str] = []
    for number, pair in enumerate(pairs):
        if cancel and cancel():
            raise CancelledError("Stopped before the training began; nothing was written.")
        try:
            image, mask = read_pair(pair)
            found.channels[image.channels] += 1
            found.longer_sides.append(max(image.mask_shape[-2:]))
            found.planes.append(math.prod(image.mask_shape[:-2]))
            _look_at_labels(found, mask, pair, classes, ignore)
        except ImageError as error:
            wrong.append(str(error))
        if progress:
            progress((number + 1) / len(pairs))
    if len(wrong) == 1:
        raise ImageError(f"{wrong[0]} One of {len(pairs)} pairs cannot be used; nothing was trained.")
    if wrong:
        more = f" And {len(wrong) - NAMED} more." if len(wrong) > NAMED else ""
        raise ImageError(
            f"{len(wrong)} of {len(pairs)} pairs cannot be used; nothing was trained. {' '.join(wrong[:NAMED])}{more}"
        )
    _look_at_classes(found, classes, ignore)
    return found


def _look_at_labels(found: Survey, mask: npt.NDArray[Any], pair: Pair, classes: int, ignore: int | None) -> None:
    labels = {int(label) for label in np.unique(mask)} - {ignore}
    found.labels |= labels
    found.instances |= len(labels - {0}) > 1
    strange = sorted(label for label in labels if label >= classes) if classes > 1 else []
    if strange:
        shown = ", ".join(map(str, strange[:5])) + (", ..." if len(strange) > 5 else "")
        raise ImageError(
            f"'{pair.mask.name}' has label{'s' * (len(strange) > 1)} {shown}, but {classes} classes allow 0 to "
            f"{classes - 1}. {_remedy(labels, strange)}"
        )


def _remedy(labels: set[int], strange: list[int]) -> str:
    if labels <= {0, 255}:
        return "A mask of 0 and 255 has one object class: train with one class, which takes all above 0 as foreground."
    if strange == [255]:
        return "If 255 marks pixels that nobody labelled, ignore 255; else give more classes."
    return "Give more classes, or correct the label."


def _look_at_classes(found: Survey, classes: int, ignore: int | None) -> None:
    """Whether there is something to learn.

    Raises:
        ImageError: no mask holds an object.
    """
    if not found.labels - {0}:
        beside = f" but what is ignored ({ignore})" if ignore is not None else ""
        raise ImageError(f"All masks are empty: no pixel is above 0{beside}. There is nothing to learn from them.")
    missing = sorted(set(range(1, classes)) - found.labels)
    if missing:
        _log.warning(
            "No mask holds class %s, which the network can therefore not learn; are there %d classes?",
            *(", ".join(map(str, missing)), classes),
        )
    if classes == 1 and 2 <= len(found.labels - {0}) <= 20 and found.labels <= set(range(21)):
        _log.warning(
            "The masks hold the labels %s; all count as one foreground. If they are classes, train with %d classes.",
            *(", ".join(map(str, sorted(found.labels - {0}))), max(found.labels) + 1),
        )
