"""Pixels of layers, those that are read from a disk or a server as they are needed among them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_medseg.models.errors import ImageError


@contextmanager
def reading(layer: Any) -> Iterator[None]:
    """While pixels of a layer are read.

    Raises:
        ImageError: instead of whatever a lazy array raises whose source is gone.
    """
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # a lazy array fails in any way that its source can
        raise ImageError(
            f"The pixels of layer '{layer.name}' cannot be had ({error}). Is the disk or server they come from still "
            "connected? Open the file again."
        ) from error


def full_size(layer: Any) -> Any:
    """The pixels at full size, as the layer has them: perhaps lazy."""
    return layer.data[0] if layer.multiscale else layer.data


def pixels_at(layer: Any, where: tuple[Any, ...]) -> npt.NDArray[Any]:
    """Full-size pixels at an index, with their colours; takes its time.

    Raises:
        ImageError: they cannot be had.
    """
    with reading(layer):
        return np.ascontiguousarray(np.asarray(full_size(layer)[where]))
