"""The object in work of an earlier window, found again from its prompts and the steps since. Without napari."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_medseg.models.engine.region import NOTHING, Region
from napari_medseg.models.prompts.prompts import Point, Prompt, Prompts

from ..editing.history import Step
from .object_in_work import Array, ObjectInWork, Plane, PlaneInWork, trimmed
from .picking import object_at


def restored(mask: Array, prompts: Prompts, steps: Sequence[Step] | None, *, alone: bool) -> ObjectInWork | None:
    """What prompts are about that are older than this window; reads planes and unpacks steps, so it is for a thread.

    Args:
        mask: (..., Y, X), as it is now.
        prompts: of the object, at least one.
        steps: since it got the first of them; None if that is forgotten. Then the object began as it is now.
        alone: whether all pixels of its label are its own.

    Returns:
        The object; None if nothing in the mask tells which one it is.
    """
    now = {plane: np.asarray(mask[plane]) for plane in dict.fromkeys(prompt.plane for prompt in prompts)}
    past = {plane: pixels.copy() for plane, pixels in now.items()}
    for step in reversed(steps or ()):
        for plane, pixels in past.items():
            step.difference.revert_on(plane, pixels)
    label = _label(now, past, prompts)
    if not label:
        return None
    work = ObjectInWork(label, alone)
    for plane, pixels in now.items():
        work.planes[plane] = _in_work(pixels, past[plane], label, prompts.on(plane), alone=alone)
    return work


def _label(now: dict[Plane, Array], past: dict[Plane, Array], prompts: Prompts) -> int:
    """The label that was drawn most, or taken away most if none was drawn; else the one under a click; 0 if none."""
    changed = {plane: now[plane] != past[plane] for plane in now}
    for pixels in (now, past):
        drawn = np.concatenate([pixels[plane][changed[plane]] for plane in now])
        if (drawn := drawn[drawn > 0]).size:
            return int(np.bincount(drawn).argmax())
    under = (_under(now[one.plane], one) for one in prompts if isinstance(one, Point) and one.positive)
    return next((label for label in under if label), 0)


def _in_work(now: Array, past: Array, label: int, prompts: Prompts, *, alone: bool) -> PlaneInWork:
    begun = _begun(past, label, prompts, alone=alone)
    changes = trimmed((slice(0, now.shape[0]), slice(0, now.shape[1])), (now != past) | begun.on_plane(now.shape))
    below = np.where(begun.on_plane(now.shape)[changes.box], 0, past[changes.box]).astype(now.dtype)
    return PlaneInWork(label, alone, begun, changes.box, below)


def _begun(past: Array, label: int, prompts: Prompts, *, alone: bool) -> Region:
    """The object before its first prompt."""
    if alone:
        return trimmed((slice(0, past.shape[0]), slice(0, past.shape[1])), past == label)
    for prompt in prompts:
        if _under(past, prompt) == label:
            row, column = (round(x) for x in prompt.path[0])
            return object_at(past, row, column, alone=False)
    return NOTHING


def _under(pixels: Array, prompt: Prompt) -> int:
    """The label where a prompt begins; 0 beside the image."""
    row, column = (round(x) for x in prompt.path[0])
    inside = 0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1]
    return int(pixels[row, column]) if inside else 0
