r"""A file that only grows: records one after the other, each with its length and a checksum.

    "MEDSEG draft 1\n"
    length (8 bytes, little endian), CRC-32 of the payload (4 bytes), payload
    ...

A machine that dies while it writes leaves a torn last record; whoever reads stops before it and has all others.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from napari_medseg.models.durable import explained, make_folder, sync_folder, write

MAGIC = b"MEDSEG draft 1\n"

_HEAD = struct.Struct("<QI")


def framed(payload: bytes) -> bytes:
    """A record as it stands in the file."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def payloads(path: Path) -> Iterator[bytes]:
    """The records of a file, oldest first, up to the first that is torn or damaged.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            if length > size - file.tell():
                return
            payload = file.read(length)
            if zlib.crc32(payload) != checksum:
                return
            yield payload


def size_of(payload: bytes) -> int:
    """Bytes of a record in the file."""
    return _HEAD.size + len(payload)


class JournalFile:
    """One such file, written by one thread.

    Args:
        path: where; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._descriptor: int | None = None

    def append(self, records: bytes) -> None:
        """Add framed records; on return they are on the disk.

        Raises:
            WriteError: no space, no permission, ...; the file may end in a torn record now: `rewrite` it.
        """
        with explained(self.path):
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
            rest = memoryview(records)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        self.size += len(records)

    def rewrite(self, records: bytes) -> None:
        """Put framed records in the place of all that the file holds, whole or not at all.

        Raises:
            WriteError: as above; the file is as it was.
        """
        self.close()
        make_folder(self.path.parent)
        write(self.path, MAGIC + records)
        self.size = len(MAGIC) + len(records)

    def remove(self) -> None:
        """Have no such file any more.

        Raises:
            WriteError: no permission, ...
        """
        self.close()
        with explained(self.path):
            self.path.unlink(missing_ok=True)
            if self.path.parent.is_dir():
                sync_folder(self.path.parent)
        self.size = 0

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
