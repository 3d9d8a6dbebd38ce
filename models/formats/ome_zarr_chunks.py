"""Zarr arrays whose chunks are looked at before they are decompressed.

A compressed chunk says itself how large it is, and a decoder takes that much memory before it knows better: a file of a
few bytes can claim gigabytes. Here each claim is held against the size that the array's header gives its chunks.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numcodecs.abc  # type: ignore[import-untyped]
import numcodecs.zstd  # type: ignore[import-untyped]
import numpy as np
import zarr
from zarr.abc.codec import BytesBytesCodec, Codec
from zarr.codecs import ShardingCodec

from ..errors import ImageError
from ..memory import check_fits_in_memory

_SLACK = 4096
"""Bytes that a compressed chunk may have more than its pixels: checksums, and the padding of filters."""

_WIDEST_FILTER = 8
"""Filters before a compression make numbers wider: one of 8 bits for each of 1 bit, or 64 for 8."""

_GZIP_DENSEST = 1032
"""Deflate makes nothing so many times smaller."""

_UNQUESTIONED = 64 << 20
"""Bytes that a chunk may come to without a closer look."""

_CHECKED = ("blosc", "zstd", "gzip", "zlib", "lz4")
_HARMLESS = ("bytes", "endian", "crc32c", "transpose", "crc32", "adler32", "fletcher32", "shuffle", "delta")
_FILTERS = ("shuffle", "delta", "fixedscaleoffset", "astype", "packbits", "bitround", "quantize", "crc32", "adler32")


def open_checked(path: Path, called: str) -> zarr.Array[Any]:
    """An array on disk, for reading.

    Args:
        path: folder of the array.
        called: the name of the image, for errors.

    Raises:
        ImageError: numbers that are no pixels, a compression that is not read here, or chunks that do not fit in the
            memory. When it is read: a chunk that claims to be what it cannot be.
    """
    array = zarr.open_array(str(path), mode="r")
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "buif":
        raise ImageError(f"'{called}' holds values of type {dtype}; whole or real numbers are needed.")
    pixels = math.prod(array.chunks) * dtype.itemsize
    check_fits_in_memory(pixels, called)
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        named = [one.codec_id for one in metadata.filters or ()]
        _refuse_unknown([name for name in named if name not in _FILTERS], called)
        if metadata.compressor is None:
            return array
        _refuse_unknown([name for name in (metadata.compressor.codec_id,) if name not in _CHECKED], called)
        limit = (_WIDEST_FILTER if named else 1) * pixels + _SLACK
        metadata = replace(metadata, compressor=_CheckedCompressor(metadata.compressor, limit, called))
    else:
        metadata = replace(metadata, codecs=_with_checks(metadata.codecs, called))
    return zarr.Array(zarr.AsyncArray(metadata, array.store_path))


def _refuse_unknown(names: list[str], called: str) -> None:
    if names:
        raise ImageError(
            f"'{called}' is compressed with {names[0]}, which is not read here. Save it with Blosc, Zstandard or gzip."
        )


def _with_checks(codecs: tuple[Codec, ...], called: str) -> tuple[Codec, ...]:
    """The codecs of Zarr 3, each compression followed (when decoding: preceded) by a look at what it claims."""
    checked: list[Codec] = []
    for codec in codecs:
        if isinstance(codec, ShardingCodec):
            checked.append(replace(codec, codecs=_with_checks(codec.codecs, called)))
            continue
        name = str(codec.to_dict()["name"]).removeprefix("numcodecs.")
        _refuse_unknown([] if name in _CHECKED or name in _HARMLESS else [name], called)
        checked.append(codec)
        if name in _CHECKED:
            checked.append(_Check(name, called))
    return tuple(checked)


@dataclass(frozen=True)
class _Check(BytesBytesCodec):
    """Passes a compressed chunk on that is not larger than it should be."""

    name: str
    called: str
    is_fixed_size = False

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        pixels = math.prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize
        check_claim(self.name, chunk_bytes.to_bytes(), pixels + _SLACK, self.called)
        return chunk_bytes

    def to_dict(self) -> dict[str, Any]:
        return {"name": "check", "configuration": {"name": self.name}}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return input_byte_length


class _CheckedCompressor(numcodecs.abc.Codec):  # type: ignore[misc]
    """A compressor of Zarr 2 that decompresses what is not larger than it should be."""

    codec_id = "checked"

    def __init__(self, compressor: Any, limit: int, called: str) -> None:
        self._compressor, self._limit, self._called = compressor, limit, called

    def get_config(self) -> Any:
        return self._compressor.get_config()

    def encode(self, buf: Any) -> Any:
        return self._compressor.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        check_claim(self._compressor.codec_id, bytes(buf), self._limit, self._called)
        return self._compressor.decode(buf, out)


def check_claim(compression: str, chunk: bytes, limit: int, called: str) -> None:
    """Refuse a compressed chunk that would come to more than `limit` bytes, or whose end is missing.

    Args:
        compression: "blosc", "zstd", "gzip", "zlib" or "lz4".
        chunk: as it is stored.
        limit: bytes that its pixels have.
        called: the name of the image.

    Raises:
        ImageError: it claims more, or there is less of it than it says.
    """
    claimed = {"blosc": _of_blosc, "zstd": _of_zstd, "lz4": _of_lz4}.get(compression, _of_deflate)(chunk, limit)
    if claimed is None:
        raise ImageError(
            f"Part of '{called}' is cut short: a chunk of it ends after {len(chunk)} bytes. Copy the whole folder "
            "again."
        )
    if claimed > limit:
        raise ImageError(
            f"Part of '{called}' is damaged: a chunk of it claims to be more than the {limit - _SLACK} bytes that its "
            "pixels have. Copy the whole folder again from where it came from."
        )


def _of_blosc(chunk: bytes, limit: int) -> int | None:
    """Header: version, version, flags, type size, then bytes when decompressed, block size, bytes as stored."""
    if len(chunk) < 16 or int.from_bytes(chunk[12:16], "little") > len(chunk):
        return None
    return int.from_bytes(chunk[4:8], "little")


def _of_lz4(chunk: bytes, limit: int) -> int | None:
    return int.from_bytes(chunk[:4], "little") if len(chunk) > 4 else None


def _of_zstd(chunk: bytes, limit: int) -> int | None:
    """The size in the header of the frame (RFC 8878, 3.1.1.1); where there is none, what comes out is counted."""
    if len(chunk) < 6 or chunk[:4] != b"\x28\xb5\x2f\xfd":
        return None
    single, width = chunk[4] >> 5 & 1, (0, 2, 4, 8)[chunk[4] >> 6]
    width = width or single
    if width:
        start = 5 + (0 if single else 1) + (0, 1, 2, 4)[chunk[4] & 3]
        return int.from_bytes(chunk[start : start + width], "little") + (256 if width == 2 else 0)
    try:
        numcodecs.zstd.Zstd().decode(chunk, np.empty(limit, np.uint8))
    except (ValueError, RuntimeError):
        return limit + 1
    return limit


def _of_deflate(chunk: bytes, limit: int) -> int | None:
    """Counted up to the limit, since neither gzip nor zlib says a size that could be relied upon."""
    if len(chunk) * _GZIP_DENSEST <= max(limit, _UNQUESTIONED):
        return limit
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    return len(stream.decompress(chunk, limit + 1))
