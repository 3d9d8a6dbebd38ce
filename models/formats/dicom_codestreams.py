"""Compressed pixels of DICOM, looked at before a decoder is trusted with them."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import BinaryIO


def is_whole(file: BinaryIO, at: int, there: int) -> bool:
    """Whether no item of encapsulated pixels reaches over the end of the file; only their lengths are read."""
    end = at + there
    while at + 8 <= end:
        file.seek(at)
        group, element, length = struct.unpack("<HHL", file.read(8))
        if (group, element) != (0xFFFE, 0xE000):
            return True  # the delimiter after the last one
        at += 8 + length
    return at == end


def claimed_size(codestream: bytes) -> tuple[int, int] | None:
    """(rows, columns) in the header of a JPEG, JPEG-LS or JPEG 2000 codestream; None of anything else (RLE)."""
    if codestream[:4] == b"\xff\x4f\xff\x51" and len(codestream) >= 24:
        width, height, left, top = struct.unpack(">4L", codestream[8:24])
        return height - top, width - left
    if codestream[:2] != b"\xff\xd8":
        return None
    stream = BytesIO(codestream)
    stream.seek(2)
    while len(marker := stream.read(4)) == 4 and marker[0] == 0xFF:
        kind, length = marker[1], int.from_bytes(marker[2:], "big")
        if kind == 0xFF:  # padding
            stream.seek(-3, 1)
        elif kind == 0xF7 or (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)):  # start of frame
            _, height, width = struct.unpack(">BHH", stream.read(5))
            return (height, width) if height else None
        else:
            stream.seek(length - 2, 1)
    return None
