"""Telling images apart, by their pixels and where they come from, without keeping anything that tells whose they are.

Images of two patients may have equal pixels: blank ones, phantoms, copies. What was kept of an image is its own if the
place that it came from is the same, or the file, which keeps its number when it is renamed. If neither is, and the file
is still at that place, it is another image's. Else the file was moved, or nobody can tell.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from ..image_layers import file_path, noted_of

_WHOLE = 2**32
"""Bytes up to which all pixels of an image that is not in memory count; of a larger one, some planes do."""

_PLANES = 16


class Kinship(IntEnum):
    """How what was kept belongs to an image that has the same pixels."""

    OWN = 0
    PERHAPS = 1
    ANOTHERS = 2


@dataclass(frozen=True)
class Identity:
    """What an image is told by.

    Attributes:
        pixels: their digest.
        place: file and part of it, or the layer's name if it came from no file; JSON.
        file: number of the file on its disk, and when it was written; "" if there is none.
    """

    pixels: bytes
    place: str
    file: str = ""

    def sealed(self, salt: bytes) -> dict[str, bytes]:
        """What of it may be kept: readable for nobody who does not have the image."""
        return {
            "image": salted(self.pixels, salt),
            "place": _covered(self.place.encode(), self.pixels, salt),
            "file": salted(self.file.encode(), salt) if self.file else b"",
        }

    def kinship(self, kept: Mapping[str, Any], salt: bytes) -> Kinship | None:
        """How what is `kept` of an image, as `sealed` gave it, belongs to this one; None if its pixels are others.

        Of what earlier versions kept, which had no place and no file, it is PERHAPS this one's.
        """
        if not hmac.compare_digest(salted(self.pixels, salt), kept["image"]):
            return None
        place = _covered(kept.get("place") or b"", self.pixels, salt)
        if place == self.place.encode():
            return Kinship.OWN
        file = kept.get("file") or b""
        if self.file and hmac.compare_digest(salted(self.file.encode(), salt), file):
            return Kinship.OWN
        there = _file_at(place)
        stays = bool(there) and hmac.compare_digest(salted(there.encode(), salt), file)
        return Kinship.ANOTHERS if stays else Kinship.PERHAPS


def identity_of(layer: Any, whole: int = _WHOLE) -> Identity:
    """What the image of a layer is told by. Takes its time; for any thread; see `digest_of`."""
    path = file_path(layer)
    if path is None:
        return Identity(digest_of(layer, whole), json.dumps({"name": layer.name}))
    noted = noted_of(layer)
    remote = ":/" in str(path)[2:]  # on a server, and not on Windows' disk "C:/"
    at = str(path) if remote else os.path.normcase(os.path.realpath(path))
    part = [noted.get("part", ""), noted.get("part_of", ()), noted.get("channel", 0)]
    return Identity(digest_of(layer, whole), json.dumps({"path": at, "part": part}), _file(Path(path), part))


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


def _covered(content: bytes, pixels: bytes, salt: bytes) -> bytes:
    """Made unreadable without the digest of the pixels; and readable again by the same."""
    stream = hashlib.shake_256(salt + pixels).digest(len(content))
    return bytes(one ^ other for one, other in zip(content, stream, strict=True))


def _file(path: Path, part: Any) -> str:
    """What a file keeps when it is renamed, as JSON; "" if there is none, or the disk numbers none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ""
    written = found.st_mtime_ns if path.is_file() else ""  # a folder's changes with what is put into it
    return json.dumps([found.st_ino, written, part]) if found.st_ino else ""


def _file_at(place: bytes) -> str:
    """The file that is at a place now."""
    try:
        said = json.loads(place)
        return _file(Path(said["path"]), said["part"])
    except (ValueError, TypeError, KeyError):  # of no file, or damaged
        return ""
