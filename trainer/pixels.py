"""Pixels under the name of their own contents: written once, never changed, checked whenever they are read."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_medseg.models.durable import explained, sync_folder, write
from napari_medseg.models.errors import LedgerError

Array = npt.NDArray[Any]
_log = logging.getLogger(__name__)
_KEY = re.compile(r"[0-9a-f]{64}")
_BIG = 2**31
"""Bytes from which on a BigTIFF is written; a plain one ends at 4 GiB, and compression may make noise larger."""

_MOST_COMPRESSED = 1032
"""Bytes that zlib makes of one at most."""


def pixel_key(array: Array) -> str:
    """SHA-256 of type, shape and C-order little-endian bytes, as 64 hex digits; booleans count as uint8."""
    array = _plain(array)
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}\n".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


class PixelStore:
    """Arrays in `folder/objects/ab/<key>.tif`, where key is `pixel_key` and "ab" its first two digits.

    The files are ordinary zlib TIFFs that any viewer opens. Two writers of the same pixels write the same
    file, so the store needs no lock.
    """

    def __init__(self, folder: Path) -> None:
        self._objects = folder / "objects"

    def put(self, array: Array) -> str:
        """Keep `array` and return its key; on return it is on the disk.

        Args:
            array: (..., Y, X) or (..., Y, X, C), two axes or more; boolean, whole or real numbers.

        Raises:
            LedgerError: an array that a TIFF cannot hold.
            WriteError: no space, no permission, ...; nothing was changed.
        """
        array = _plain(array)
        key = pixel_key(array)
        path = self._path(key)
        with explained(path):
            there = path.is_file()
        if there and self._verifies(key):
            # Another process may have given the file its name, but not yet forced the name to the disk.
            with explained(path):
                sync_folder(path.parent)
        else:
            write(path, _encoded(array))
        with explained(path):
            sync_folder(self._objects)
        return key

    def holds(self, key: str) -> bool:
        """Whether there is a file of that name; it is not read."""
        return self._path(key).is_file()

    def get(self, key: str) -> Array:
        """The array of `key`, with the type (bool: uint8) and the shape that it was given with.

        Raises:
            LedgerError: no such pixels, or a file that was truncated or changed since.
        """
        path = self._path(key)
        try:
            array = _decoded(path.read_bytes())
        except FileNotFoundError as error:
            raise LedgerError(
                f"Pixels of this project are missing: there is no '{path}'. Everything else is as it was; "
                "put the file back from a copy of the project, or accept the image and its mask again."
            ) from error
        except OSError as error:
            raise LedgerError(
                f"Pixels of this project cannot be read from '{path}': {error.strerror or error}. "
                "Nothing was changed; ask for permission to read the project's folder, or check its disk."
            ) from error
        except Exception as error:  # a damaged TIFF fails in as many ways as it has bytes
            raise _damaged(path) from error
        if pixel_key(array) != key:
            raise _damaged(path)
        return array

    def verify(self) -> list[str]:
        """Read everything; the keys of what is truncated or changed."""
        keys = sorted(path.stem for path in self._objects.glob("??/*.tif") if _KEY.fullmatch(path.stem))
        return [key for key in keys if not self._verifies(key)]

    def _verifies(self, key: str) -> bool:
        try:
            self.get(key)
        except LedgerError:
            _log.warning("the pixels %s do not verify", key, exc_info=True)
            return False
        return True

    def _path(self, key: str) -> Path:
        """A key may come from a damaged database or another program: it must not lead out of the folder."""
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise LedgerError(f"{key!r} does not name pixels of a project; 64 hexadecimal digits are needed.")
        return self._objects / key[:2] / f"{key}.tif"


def _plain(array: Array) -> Array:
    """C order, little endian, and of a type that a TIFF holds."""
    array = np.asarray(array)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "uif" or array.dtype.itemsize > 8 or array.ndim < 2 or array.size == 0:
        raise LedgerError(
            f"An array of shape {array.shape} and type {array.dtype} cannot be kept; whole or real numbers of "
            "at most 64 bits with a Y and an X axis are needed. Nothing was changed."
        )
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _encoded(array: Array) -> bytes:
    coloured = array.ndim > 2 and array.shape[-1] in (3, 4)
    file = io.BytesIO()
    # The shape goes into the description, so that axes of length 1 come back. Level 1 is seven times as fast
    # as the default and leaves CT as small; the person who accepts waits for it.
    tifffile.imwrite(
        file,
        array,
        bigtiff=array.nbytes >= _BIG,
        photometric="rgb" if coloured else "minisblack",
        compression="zlib",
        compressionargs={"level": 1},
        metadata={},
    )
    return file.getvalue()


def _decoded(content: bytes) -> Array:
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        first: Any = file.pages.first
        shape = tuple(json.loads(first.description)["shape"])
        pixels = file.series[0] if math.prod(shape) > 1 else first  # a series has no five axes of length 1
        # A damaged header may speak of an image that takes hours to read, or all memory.
        if pixels.size != math.prod(shape) or pixels.nbytes > _MOST_COMPRESSED * len(content):
            raise ValueError("the file speaks of more pixels than it can hold")
        return np.asarray(pixels.asarray()).reshape(shape)


def _damaged(path: Path) -> LedgerError:
    return LedgerError(
        f"Pixels of this project are damaged: '{path}' was truncated or changed after it was written. It was left "
        "as it is; put it back from a copy of the project, or accept the image and its mask again."
    )
