"""Which layer is seen where several lie over each other, as images opened one after the other do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from napari_medseg.models.errors import PromptError

from .image_layers import channel_siblings, is_image, mask_shape, noted_of

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
    above = viewer.layers[viewer.layers.index(layer) + 1 :]
    return next((other for other in reversed(above) if _hides(other, world)), None)


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
    mask.visible = True
    layers = viewer.layers
    own = [one for one in (image, *channel_siblings(image, layers)) if one in layers]
    if own and mask in layers:
        top = max(layers.index(one) for one in own)
        if layers.index(mask) < top:
            layers.move(layers.index(mask), top + 1)


def bring_to_top(viewer: Any, image: Any, masks: Iterable[Any]) -> None:
    """Move an image with its masks, and what the panel draws over it, above an image that hides some of it."""
    layers = viewer.layers
    own = {id(one) for one in (image, *channel_siblings(image, layers), *masks)}
    own |= {id(one) for one in layers if noted_of(one).get("overlay")}
    first = layers.index(image)
    if any(id(one) not in own and is_image(one) and one.visible for one in layers[first + 1 :]):
        layers.move_multiple([at for at, one in enumerate(layers) if id(one) in own], len(layers))


def _hides(other: Any, world: Sequence[float]) -> bool:
    if not is_image(other) or not other.visible or other.opacity < 1 or str(other.blending) not in _OPAQUE:
        return False
    at = np.asarray(other.world_to_data(world))
    return bool((at >= -0.5).all() and (at < np.array(mask_shape(other)) - 0.5).all())
