"""An object carried to the next plane, in the predictor; imports torch.

A plane is a job of its own: what the window shows is never further behind than one plane, whoever corrects something
stops it there and then, and a volume that is larger than memory goes through plane by plane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..devices import use_threads
from ..errors import CancelledError
from ..image import MedicalImage
from ..prompts.propagation import Followed, Known
from ..prompts.segmenter import PromptSegmenter
from .gate import GATE
from .once import once
from .region import Region


def follow(
    image: MedicalImage,
    planes: tuple[int, ...],
    plane: tuple[int, ...],
    step: int,
    axis: int,
    before: Region,
    limits: npt.NDArray[np.float64],
    known: Known,
    called: str,
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
        known: of the object, so far: what `known` said of it, or the step before.
        called: what a plane along the axis is called: "slice" or "frame".
        progress: told when it is done.
        cancel: asked once, before.

    Raises:
        PromptError: there is no such plane, or nothing to follow.
        CancelledError: `cancel` answered True.
    """
    segmenter = _ready(cancel)
    segmenter.start(_everywhere(image, planes), limits=limits)
    followed = next(segmenter.follow(before.on_plane(_sides(image)), plane, step, axis, known, called))
    progress(1.0)
    return followed


def known(
    images: Sequence[MedicalImage],
    objects: Sequence[Region],
    limits: npt.NDArray[np.float64],
    *,
    progress: Callable[[float], None],
    cancel: Callable[[], bool],
) -> Known:
    """What can be known of an object from the planes that somebody drew it on.

    Args:
        images: those planes alone, each (Y, X) or (Y, X, C), at least one; the first one is followed from.
        objects: the object on each; not empty on the first.
        limits: (C, 2), intensities that become 0 and 1.
        progress: told when it is done.
        cancel: asked once, before.

    Raises:
        PromptError: there is nothing to follow.
        CancelledError: `cancel` answered True.
    """
    segmenter = _ready(cancel)
    axes = "ZYXC" if "C" in images[0].axes else "ZYX"
    segmenter.start(MedicalImage(np.stack([image.data for image in images]), axes), limits=limits)
    found = segmenter.known([(own.on_plane(_sides(images[0])), (at,)) for at, own in enumerate(objects)])
    progress(1.0)
    return found


def _ready(cancel: Callable[[], bool]) -> PromptSegmenter:
    use_threads()
    GATE.wait()
    if cancel():
        raise CancelledError("It was cancelled; the slices that were done stay.")
    return _segmenter()


def _sides(image: MedicalImage) -> tuple[int, int]:
    height, width = image.mask_shape[-2:]
    return height, width


@once
def _segmenter() -> PromptSegmenter:
    """One of its own: prompts are answered in another thread at the same time."""
    return PromptSegmenter.load()


def _everywhere(image: MedicalImage, planes: tuple[int, ...]) -> MedicalImage:
    """An image with this plane at each index, so that the plane has its own number; it takes no memory."""
    data: npt.NDArray[Any] = np.broadcast_to(image.data, (*planes, *image.data.shape))
    return MedicalImage(data, "TZYX"[-len(planes) - 2 :] + ("C" if "C" in image.axes else ""))
