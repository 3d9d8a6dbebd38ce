"""A mask whose image was closed is that image's mask again when it is opened once more."""

from __future__ import annotations

import secrets
from typing import Any

from ..background import Background
from ..image_layers import lies_over
from ..masks import Mask, Masks
from .identity import Kinship, identity_of


class Rejoining:
    """Looks, whenever a layer comes, whether it is the image of a mask that has none, or such a mask.

    An image is the same if its pixels are, the mask lies over it, and no other file than its own is known of.

    Args:
        viewer: napari's.
        masks: the masks in work.
        background: where pixels are compared.
    """

    def __init__(self, viewer: Any, masks: Masks, background: Background) -> None:
        self._viewer, self._masks, self._background = viewer, masks, background
        viewer.layers.events.inserted.connect(self._look)

    def close(self) -> None:
        """Look no more."""
        self._viewer.layers.events.inserted.disconnect(self._look)

    def _look(self) -> None:
        for mask in self._masks.all():
            if self._is_alone(mask):
                for image in self._masks.images():
                    if lies_over(mask.layer, image):
                        self._compare(mask, image)

    def _is_alone(self, mask: Mask) -> bool:
        return self._masks.holds(mask) and mask.image not in self._viewer.layers

    def _compare(self, mask: Mask, image: Any) -> None:
        earlier, pixels = mask.image, image.data

        def same() -> bool:
            salt = secrets.token_bytes(16)
            kinship = identity_of(image).kinship(identity_of(earlier).sealed(salt), salt)
            return kinship in (Kinship.OWN, Kinship.PERHAPS)

        def join(is_same: bool) -> None:
            if is_same and self._is_alone(mask) and image in self._viewer.layers and image.data is pixels:
                self._masks.rejoin(mask, image)

        self._background.run(same, join)
