"""An object carried to the next plane, in the predictor; imports torch.

A plane is a job of its own: what the window shows is never further behind than one plane, whoever corrects something
stops it there and then, and a volume that is larger than memory goes through plane by plane.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..devices import use_threads
from ..errors import CancelledError
from ..image import MedicalImage
from ..prompts.propagation import Followed
from ..prompts.segmenter import PromptSegmenter
from .gate import GATE
from .region import Region


def follow(
    image: MedicalImage,
    planes: tuple[int, ...],
    plane: tuple[int, ...],
    step: int,
    axis: int,
    before: Region,
    limits: npt.NDArray[np.float64],
    usual: float,
    *,
    progress: Callable[[float], None],
    cancel: Callable[[], bool],
) -> Followed:
    """What an object on one plane is on the next one, or why it cannot be said.

    Args:
        image: the next plane alone, (Y, X) or (Y, X, C).
        planes: length of each leading axis of the whole image.
        plane: index of the plane that the object is on.
        step: 1 or -1: to the plane after or before.
        axis: which of the leading axes to go along.
        before: the object; not empty.
        limits: (C, 2), intensities that become 0 and 1, the same for all planes so that they look alike.
        usual: what `expected` said of the plane that the object was known on.
        progress: told when it is done.
        cancel: asked once, before.

    Raises:
        PromptError: there is no such plane, or nothing to follow.
        CancelledError: `cancel` answered True.
    """
    segmenter = _started(image, planes, limits, cancel)
    followed = next(segmenter.follow(before.on_plane(_sides(image)), plane, step, axis, usual))
    progress(1.0)
    return followed


def expected(
    image: MedicalImage,
    planes: tuple[int, ...],
    plane: tuple[int, ...],
    known: Region,
    limits: npt.NDArray[np.float64],
    *,
    progress: Callable[[float], None],
    cancel: Callable[[], bool],
) -> float:
    """The intersection over union that the network expects of its answer on the plane where an object is known.

    Args:
        image: that plane alone, (Y, X) or (Y, X, C).
        planes: length of each leading axis of the whole image.
        plane: index of it.
        known: the object; not empty.
        limits: (C, 2), intensities that become 0 and 1.
        progress: told when it is done.
        cancel: asked once, before.
    """
    answer = _started(image, planes, limits, cancel).expected(known.on_plane(_sides(image)), plane)
    progress(1.0)
    return answer


def _started(
    image: MedicalImage, planes: tuple[int, ...], limits: npt.NDArray[np.float64], cancel: Callable[[], bool]
) -> PromptSegmenter:
    use_threads()
    GATE.wait()
    if cancel():
        raise CancelledError("It was cancelled; the slices that were done stay.")
    segmenter = _segmenter()
    segmenter.start(_everywhere(image, planes), limits=limits)
    return segmenter


def _sides(image: MedicalImage) -> tuple[int, int]:
    height, width = image.mask_shape[-2:]
    return height, width


@lru_cache(maxsize=1)
def _segmenter() -> PromptSegmenter:
    """One of its own: prompts are answered in another thread at the same time."""
    return PromptSegmenter.load()


def _everywhere(image: MedicalImage, planes: tuple[int, ...]) -> MedicalImage:
    """An image with this plane at each index, so that the plane has its own number; it takes no memory."""
    data: npt.NDArray[Any] = np.broadcast_to(image.data, (*planes, *image.data.shape))
    return MedicalImage(data, "TZYX"[-len(planes) - 2 :] + ("C" if "C" in image.axes else ""))
