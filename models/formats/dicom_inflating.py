"""DICOM files whose data set is deflated as a whole (transfer syntax 1.2.840.10008.1.2.1.99)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.filereader import read_file_meta_info

from ..errors import ImageError
from ..memory import check_fits_in_memory

_AT_ONCE = 1 << 20


@contextmanager
def opened(path: Path, deflated: bool) -> Iterator[BinaryIO]:
    """The bytes in which offsets are counted: the file's own, or those of its data set once it is inflated."""
    with path.open("rb") as file:
        yield BytesIO(_inflated(file, path)) if deflated else file


def _inflated(file: BinaryIO, path: Path) -> bytes:
    """The data set of a deflated file.

    Raises:
        ImageError: damaged, or larger than the memory that is free: a few kilobytes can be blown up to gigabytes.
    """
    # the preamble and "DICM", the element that has the length of the file's meta information, and that
    file.seek(132 + 12 + int(read_file_meta_info(path).FileMetaInformationGroupLength))
    deflated = zlib.decompressobj(-zlib.MAX_WBITS)
    parts, size = [], 0
    try:
        while chunk := file.read(_AT_ONCE):
            while chunk:
                parts.append(deflated.decompress(chunk, _AT_ONCE))
                chunk = deflated.unconsumed_tail
                size += len(parts[-1])
                check_fits_in_memory(2 * size, path.name)
    except zlib.error as error:
        raise ImageError(f"'{path.name}' is damaged: it cannot be inflated ({error}). Export it again.") from error
    if not deflated.eof:
        raise ImageError(f"'{path.name}' is incomplete: its end is missing. Copy or export it again.")
    return b"".join(parts)
