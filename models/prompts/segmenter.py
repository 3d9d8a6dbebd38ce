"""From an image and prompts to the mask of one object, a click at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..devices import choose_device, fastest_precision
from ..errors import ImageError, PromptError
from ..image import MedicalImage, as_image
from ..intensity import intensity_limits
from .answering import Answering
from .pieces import found_again
from .plane import Plane
from .prompts import Prompt, Prompts
from .propagation import Followed, Known, judged
from .proposal import Proposal
from .shipped import load_network

REMEMBERED = 64
"""Answers that are kept, so that taking a click back costs nothing."""

PLANES = 4
"""Planes of a volume that are kept ready."""


class PromptSegmenter:
    """Answers prompts about one object after the other in one image.

    An answer depends on the image, on the mask that the object began with and on the prompts, in their order; not on
    what else was asked meanwhile. So a click that is taken back leaves no trace.

    Args:
        answering: the network.
    """

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._pixels: npt.NDArray[Any] | None = None  # (..., Y, X, C)
        self._begun: npt.NDArray[np.bool_] | None = None  # (..., Y, X)
        self._planes: OrderedDict[tuple[int, ...], Plane] = OrderedDict()
        self._answers: OrderedDict[tuple[tuple[int, ...], Prompts], Proposal] = OrderedDict()

    @classmethod
    def load(cls, path: Path | str | None = None, device: str = "auto", threads: int | None = None) -> PromptSegmenter:
        """With the weights that come with the package, or those of a file.

        Args:
            path: of the file.
            device: "auto", "cpu", "cuda" or "mps".
            threads: that look on a processor, each at other windows; as many as there are cores by default.

        Raises:
            ModelError: the file cannot be used, or there is no such device.
        """
        chosen = choose_device(device)
        network = load_network(path).fold().to(chosen, memory_format=torch.channels_last)
        return cls(Answering(network, chosen, fastest_precision(chosen), threads))

    def start(
        self,
        image: MedicalImage | npt.NDArray[Any],
        mask: npt.NDArray[Any] | None = None,
        *,
        limits: npt.NDArray[Any] | None = None,
    ) -> None:
        """Turn to an image, and to an object in it.

        Args:
            image: with its axes, or an array whose axes are guessed: (Y, X), (Y, X, 3 or 4), (Z, Y, X), ...
            mask: in the image's mask shape, not 0 in the object that is to be corrected; None if there is none.
            limits: (C, 2), intensities that become 0 and 1; by default percentiles of the image.

        Raises:
            ImageError: an array that is no image, or a mask of another shape.
        """
        pixels = _with_channels(image)
        if mask is not None and mask.shape != pixels.shape[:-1]:
            raise ImageError(f"The mask has shape {mask.shape}, but the image has {pixels.shape[:-1]}.")
        self._pixels = pixels
        self._limits = intensity_limits(pixels) if limits is None else np.asarray(limits, np.float64)
        self._planes.clear()
        self._answering.forget()
        if pixels.ndim == 3:
            self._plane(())  # so that the first click need not wait for it
        self.turn_to(mask)

    def forget(self) -> None:
        """Let go of the image."""
        self._pixels = None
        self._planes.clear()
        self._answering.forget()
        self.turn_to(None)

    def turn_to(self, mask: npt.NDArray[Any] | None = None) -> None:
        """Begin another object in the same image, with a mask of it if there is one."""
        self._begun = None if mask is None else np.asarray(mask) != 0
        self._answers.clear()

    def update(self, prompts: Prompts) -> npt.NDArray[np.bool_]:
        """The mask (Y, X) of the object on the plane of the newest prompt; without prompts, what it began with.

        Raises:
            PromptError: no image was started, or a prompt that lies beside it.
        """
        pixels = self._started()
        return self.propose(prompts).full(pixels.shape[-3:-1])

    def propose(self, prompts: Prompts, mask: npt.NDArray[Any] | None = None) -> Proposal:
        """The same, in its bounding box and with its confidence.

        Args:
            prompts: of the object, on all planes; those on the plane of the newest count.
            mask: (Y, X), not 0 in the object as it is on that plane now, if it is not what was last proposed.

        Raises:
            PromptError: no image was started, or a prompt that lies beside it.
        """
        pixels = self._started()
        plane = prompts.plane if prompts else (0,) * (pixels.ndim - 3)
        _check_plane(plane, pixels.shape[:-3])
        here = prompts.on(plane)
        for prompt in here:
            _check_position(prompt, pixels.shape[-3:-1])
        if mask is not None:
            asked = here.but_newest()
            before = found_again(Proposal.of(np.asarray(mask) != 0, plane), asked)
            self._answers = OrderedDict({(plane, asked): before})
        return self._answer(plane, here)

    def follow(
        self,
        mask: npt.NDArray[Any],
        plane: tuple[int, ...],
        step: int = 1,
        axis: int = -1,
        known: Known | None = None,
        called: str = "plane",
    ) -> Iterator[Followed]:
        """Carry an object from one plane to the next ones, a plane at a time, until there is a reason to stop.

        What of an answer does not look like the object is left out. Where an object that looks the same begins just
        where this one ends, it may go on into that.

        Args:
            mask: (Y, X), not 0 in the object.
            plane: where that is.
            step: 1 or -1: to the planes after or before.
            axis: which of the leading axes to go along; the last one by default.
            known: what `known` said of the object; of the given plane if it is None.
            called: what a plane along the axis is called in reasons to stop: "slice" or "frame".

        Raises:
            PromptError: no image was started, it has no such plane, or the mask is empty.
        """
        pixels = self._started()
        _check_plane(plane, pixels.shape[:-3])
        before = Proposal.of(np.asarray(mask) != 0, plane)
        if not plane or before.extent is None:
            raise PromptError("To follow an object from plane to plane takes a mask of it on one of several planes.")
        axis %= len(plane)
        known = known or self.known([(mask, plane)])
        for at in range(plane[axis] + step, pixels.shape[axis] if step > 0 else -1, step):
            here = (*plane[:axis], at, *plane[axis + 1 :])
            found, expected = self._answering.follow(self._plane(here), before, here)
            followed = judged(before, found, expected, known, pixels[here], self._limits, f"{called} {at}")
            yield followed
            if followed.reason:
                return
            before, known = followed.proposal, followed.known
            assert known is not None
        yield Followed(before, f"It reached the {'last' if step > 0 else 'first'} {called}.", known)

    def known(self, seen: Sequence[tuple[npt.NDArray[Any], tuple[int, ...]]]) -> Known:
        """What can be known of an object from where somebody drew or confirmed it.

        Args:
            seen: masks (Y, X), not 0 in the object, each with its plane, at least one; the first is followed from.

        Raises:
            PromptError: no image was started, it has no such plane, or the first mask is empty.
        """
        pixels = self._started()
        objects = [Proposal.of(np.asarray(mask) != 0, plane) for mask, plane in seen]
        for known in objects:
            _check_plane(known.plane, pixels.shape[:-3])
        if objects[0].extent is None:
            raise PromptError("To follow an object from plane to plane takes a mask of it on one of several planes.")
        first = objects[0].plane
        expected = self._answering.follow(self._plane(first), objects[0], first)[1]
        return Known.of(expected, [(pixels[known.plane], known) for known in objects if known.extent], self._limits)

    def _answer(self, plane: tuple[int, ...], prompts: Prompts) -> Proposal:
        """One step beyond the answer to all but the newest prompt."""
        if known := self._answers.get((plane, prompts)):
            self._answers.move_to_end((plane, prompts))
            return known
        if prompts:
            before = self._answer(plane, prompts.but_newest())
            answer = self._answering.answer(self._plane(plane), prompts, before)
        else:
            answer = Proposal.nothing(plane) if self._begun is None else Proposal.of(self._begun[plane], plane)
        self._answers[plane, prompts] = answer
        while len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return answer

    def _plane(self, at: tuple[int, ...]) -> Plane:
        if at not in self._planes:
            self._planes[at] = Plane(self._started()[at], self._limits)
            while len(self._planes) > PLANES:
                self._planes.popitem(last=False)
        return self._planes[at]

    def _started(self) -> npt.NDArray[Any]:
        if self._pixels is None:
            raise PromptError("No image was started; start one before prompts are given.")
        return self._pixels


def _check_plane(plane: tuple[int, ...], planes: tuple[int, ...]) -> None:
    if len(plane) != len(planes) or not all(0 <= at < count for at, count in zip(plane, planes, strict=True)):
        has = f"planes up to {tuple(count - 1 for count in planes)}" if planes else "no planes beside its own"
        raise PromptError(f"A prompt lies on plane {plane}, but the image has {has}.")


def _check_position(prompt: Prompt, shape: tuple[int, ...]) -> None:
    """Something of a prompt must lie in the plane; the rest may hang over."""
    path = np.array(prompt.path)
    if (path.max(0) < -0.5).any() or (path.min(0) >= np.array(shape) - 0.5).any():
        row, column = (round(number) for number in prompt.path[0])
        raise PromptError(
            f"A prompt at row {row}, column {column} lies outside the image, which has {shape[0]} rows and "
            f"{shape[1]} columns. It changes nothing."
        )


def _with_channels(image: MedicalImage | npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., Y, X, C)."""
    known = as_image(image)
    return known.data if "C" in known.axes else known.data[..., None]
