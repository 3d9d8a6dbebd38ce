"""Which layer is seen where several lie over each other, as images opened one after the other do."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Labels

from napari_medseg.models.errors import PromptError

from .image_layers import channel_siblings, is_image, is_large, lies_over, mask_shape, noted_of
from .layer_pixels import full_size

_OPAQUE = ("opaque", "translucent", "translucent_no_depth")
"""Ways of blending in which a layer of full opacity hides what lies beneath it."""


def covering(viewer: Any, layer: Any, world: Sequence[float]) -> Any | None:
    """The topmost image that hides a layer at a position of the world; None if the layer can be seen there.

    Args:
        viewer: whose layers lie over each other, shown in 2D.
        layer: one of them.
        world: the position, one number for each axis of the viewer.
    """
    if layer not in viewer.layers or viewer.grid.enabled:
        return None
    above = itertools.takewhile(lambda other: other is not layer, reversed(viewer.layers))
    return next((other for other in above if _hides(other, world)), None)


def check_seen(viewer: Any, image: Any, mask: Any | None, world: Sequence[float]) -> None:
    """That somebody who points to a position sees what he points to, and would see what comes of it.

    Args:
        viewer: napari's.
        image: the chosen one.
        mask: the layer of its mask; None without one, which would lie right above the image.
        world: the position.

    Raises:
        PromptError: another image hides it there; nothing was changed.
    """
    other = covering(viewer, image if mask is None else mask, world)
    if other is not None and other is not image and other not in channel_siblings(image, viewer.layers):
        raise PromptError(
            f"'{other.name}' hides '{image.name}' here; nothing was changed. Pick the one that you mean under Image, "
            "which brings it to the top."
        )


def reveal(viewer: Any, image: Any, mask: Any) -> None:
    """Have a mask seen over its own image: visible, and above all of its channels. Other images stay where they are."""
    if not mask.visible:  # napari draws the layer anew also if that changes nothing
        mask.visible = True
    layers = viewer.layers
    own = [one for one in (image, *channel_siblings(image, layers)) if one in layers]
    if own and mask in layers:
        top = max(layers.index(one) for one in own)
        if layers.index(mask) < top:
            layers.move(layers.index(mask), top + 1)


def bring_to_top(viewer: Any, image: Any, masks: Mapping[Any, Any]) -> None:
    """Move an image with all masks of it, and what the panel draws, above an image that hides some of it.

    A large image and the part of it that is open go together, as the part is looked at in the large one.

    Args:
        viewer: whose layers lie over each other.
        image: one of them.
        masks: of which image each Labels layer is that is known to be a mask; another one is of what it lies over.
    """
    layers = viewer.layers
    images = [one for one in layers if is_image(one) and _is_of(one, image, layers)]
    own = {id(one) for one in layers if noted_of(one).get("overlay")} | set(map(id, images))
    for one in layers:
        if isinstance(one, Labels) and any(masks.get(one, of) is of and lies_over(one, of) for of in images):
            own.add(id(one))
    first = min(layers.index(one) for one in images)
    if any(id(one) not in own and is_image(one) and one.visible for one in list(layers)[first + 1 :]):
        layers.move_multiple([at for at, one in enumerate(layers) if id(one) in own], len(layers))


def draw_over(viewer: Any, layer: Any, image: Any | None = None) -> None:
    """Add a layer of the panel's own, not selected even for a moment: who selects a layer means that one's image.

    Args:
        viewer: napari's.
        layer: to be added.
        image: right above which it shall lie; None for above all.
    """
    layers = viewer.layers
    active = layers.selection.active
    with layers.selection.events.active.blocker():
        layers.insert(len(layers) if image is None else layers.index(image) + 1, layer)
        layers.selection.active = active


def _is_of(one: Any, image: Any, layers: Any) -> bool:
    if one is image or one in channel_siblings(image, layers):
        return True
    noted, theirs = noted_of(image), noted_of(one)
    in_parts = is_large(image) or "part_of" in noted
    return in_parts and (noted.get("path"), noted.get("part")) == (theirs.get("path"), theirs.get("part"))


def _hides(other: Any, world: Sequence[float]) -> bool:
    if not is_image(other) or not other.visible or other.opacity < 1 or str(other.blending) not in _OPAQUE:
        return False
    at = np.floor(np.asarray(other.world_to_data(world)) + 0.5).astype(int)
    if not ((at >= 0).all() and (at < np.array(mask_shape(other))).all()):
        return False
    if not other.rgb:
        return bool((np.asarray(other.colormap.colors)[:, 3] >= 1).all())
    pixel = np.asarray(full_size(other)[tuple(at)])
    return pixel.size < 4 or bool(pixel[3] >= (np.iinfo(pixel.dtype).max if pixel.dtype.kind in "ui" else 1))
