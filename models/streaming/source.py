"""Arrays of any kind as an image, without reading them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..image import MedicalImage, is_lazy


def as_lazy_image(image: Any) -> MedicalImage:
    """The image itself, or a bare array with guessed axes; dask and Zarr arrays are not read.

    Raises:
        ImageError: an array that is no image.
    """
    if isinstance(image, MedicalImage):
        return image
    if hasattr(image, "store") and hasattr(image, "chunks") and not is_lazy(image):  # a Zarr array
        import dask.array

        image = dask.array.from_array(image, chunks=image.chunks)
    if not is_lazy(image):
        return MedicalImage.from_array(image)
    empty = np.broadcast_to(np.zeros((), image.dtype), image.shape)
    return MedicalImage(image, MedicalImage.from_array(empty).axes)
