"""The layers of a part, put in and taken out one after the other.

napari takes up to a tenth of a second to have a new layer drawn, or to let go of one, so each `yield` is a turn of the
window's loop, in which the user is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..masks import Mask, Masks
from ..state import PanelState
from .layers import shown_levels
from .open_part import Part, mask_to_correct


def by_turns(post: Callable[[Callable[[], None]], None], steps: Iterator[object], then: Callable[[], None]) -> None:
    """Take a step now and one in each of the next turns of the window's loop, then call `then` in the last of them.

    Args:
        post: has a function called in a later turn.
        steps: ends early if it is not wanted any more.
        then: called at the end, in either case.
    """

    def turn() -> None:
        for _ in steps:
            post(turn)
            return
        then()

    turn()


def put_in(part: Part, layers: Any, masks: Masks, wanted: Callable[[], bool]) -> Iterator[None]:
    """Show a part above the mask of the whole, which then leaves the place to it.

    Args:
        part: what was read of it.
        layers: of the viewer.
        masks: where its mask goes.
        wanted: whether it still is, when the next turn comes.
    """
    yield  # the mask of the whole may have come in this one
    large = part.of
    at = layers.index(large.layer) + 1 if large.layer in layers else len(layers)
    for offset, image in enumerate(part.images):
        if not wanted():
            return
        layers.insert(min(at + offset, len(layers)), image)
        yield
    if not wanted():
        return
    mask = mask_to_correct(part)
    yield
    if not wanted():
        return
    masks.show(mask)
    yield
    mask.layer.bounding_box.visible = True
    if wanted() and large.layer in layers:
        large.layer.data = shown_levels(large.store, without=part.box)


def take_out(part: Part, layers: Any, masks: Masks, state: PanelState, painted: Callable[[], bool]) -> Iterator[None]:
    """Show the whole mask as it is on the disk now, then take away the part.

    Args:
        part: that was put back.
        layers: of the viewer.
        masks: that hold its mask.
        state: in which the whole image is chosen from then on.
        painted: whether it was painted on until the last moment; then it stays.
    """
    large = part.of
    if large.layer in layers:
        large.layer.data = shown_levels(large.store)
    yield
    if painted():
        return
    if large.image in layers:
        state.image = large.image
    gone: list[Any] = []
    for mask in _of_part(part, masks):
        mask.unsaved = False  # in the mask of the whole now, or hidden below the one that is
        gone.append(mask.layer)
    with (
        layers.batched_update()
    ):  # napari collects garbage and updates its scene once, at the end, in a turn of its own
        for layer in (*gone, *part.images):
            if layer in layers:
                layers.remove(layer)
                yield


def _of_part(part: Part, masks: Masks) -> list[Mask]:
    return [mask for mask in masks.all() if mask.image in part.images and masks.holds(mask)]
