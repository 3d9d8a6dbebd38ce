"""Telling images apart by their pixels, without keeping anything that tells whose they are."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import numpy as np

_WHOLE = 2**32
"""Bytes up to which all pixels of an image that is not in memory count; of a larger one, some planes do."""

_PLANES = 16


def digest_of(layer: Any, whole: int = _WHOLE) -> bytes:
    """Digest of what an image layer shows: type, shape and pixels. Takes its time; for any thread.

    Of an image of several resolutions the pixels of the coarsest count, and of one that is larger than memory may be,
    planes at even distances.

    Args:
        layer: of the image.
        whole: bytes up to which all pixels of one that is not in memory count.

    Raises:
        Whatever a lazy array raises whose source is gone.
    """
    finest, pixels = (layer.data[0], layer.data[-1]) if layer.multiscale else (layer.data, layer.data)
    digest = hashlib.blake2b(f"{np.dtype(pixels.dtype).str} {tuple(finest.shape)}\n".encode(), digest_size=32)
    size = int(np.prod(pixels.shape, dtype=float)) * np.dtype(pixels.dtype).itemsize
    if isinstance(pixels, np.ndarray) or size <= whole:
        digest.update(np.ascontiguousarray(pixels).reshape(-1).view(np.uint8).data)
    else:
        for at in np.linspace(0, pixels.shape[0] - 1, _PLANES).astype(int):
            digest.update(np.ascontiguousarray(pixels[int(at)]).reshape(-1).view(np.uint8).data)
    return digest.digest()


def salted(digest: bytes, salt: bytes) -> bytes:
    """What of a digest may be kept: whoever has the image can tell that it is this one, and nobody else anything."""
    return hmac.new(salt, digest, "sha256").digest()
