"""The pixels of one frame of a DICOM file, as they are stored: decompressed, colours as RGB, nothing rescaled."""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, MPEGTransferSyntaxes

from ..errors import ImageError
from ..image import Array
from ..memory import check_fits_in_memory
from .dicom_codestreams import claimed_size, is_whole
from .dicom_decoders import decode, has_decoder
from .dicom_inflating import opened

_log = logging.getLogger(__name__)

PIXEL_ELEMENTS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}

_DENSEST = 4096
"""No compression that is decoded here makes pixels so many times smaller."""

_BLOCK = 1 << 24
"""Frames of fewer bytes are not worth a question: a black one of 4096 x 4096 is a few bytes of JPEG 2000."""

_PALETTE = ("PALETTE COLOR", "PALETTE")


@dataclass(frozen=True, eq=False)
class StoredPixels:
    """Where and how the pixels of a file are stored.

    Attributes:
        path: the file.
        offset: where the value of their element begins, in the bytes that `dicom_inflating.opened` gives.
        syntax: the transfer syntax that they have.
        options: what pydicom's decoders need to know (rows, columns, bits, photometric interpretation, ...).
        palette: the elements of a colour palette, where the values are its indices.
    """

    path: Path
    offset: int
    syntax: UID
    options: dict[str, Any]
    palette: Dataset | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X), or (Y, X, 3) of colours."""
        rows, columns = self.options["rows"], self.options["columns"]
        return (rows, columns, 3) if self.coloured else (rows, columns)

    @property
    def coloured(self) -> bool:
        """Whether a pixel is red, green and blue."""
        return self.palette is not None or self.options["samples_per_pixel"] == 3

    @property
    def frames(self) -> int:
        """How many planes there are."""
        return int(self.options["number_of_frames"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels that `frame` gives."""
        keyword, bits = self.options["pixel_keyword"], self.options["bits_allocated"]
        if keyword != "PixelData":
            return np.dtype(np.float32 if keyword == "FloatPixelData" else np.float64)
        if self.palette is not None:
            return np.dtype(np.uint8)
        return np.dtype(f"{'i' if self.options['pixel_representation'] else 'u'}{max(bits // 8, 1)}")

    def frame(self, index: int) -> Array:
        """Decode frame `index`: (Y, X), or (Y, X, 3) of colours.

        Raises:
            ImageError: damaged, incomplete, or not what the header says.
        """
        try:
            with opened(self.path, self.syntax == DeflatedExplicitVRLittleEndian) as file:
                file.seek(self.offset)
                if self.syntax.is_encapsulated:
                    self._check_codestream(file, index)
                    file.seek(self.offset)
                decoded = decode(self.syntax, file, index, self.options)
            if self.palette is not None:
                decoded = apply_color_lut(decoded, self.palette)
                decoded = (decoded >> 8).astype(np.uint8) if decoded.dtype == np.uint16 else decoded
            return np.ascontiguousarray(decoded, self.dtype).reshape(self.shape)
        except ImageError:
            raise
        except FileNotFoundError as error:
            raise ImageError(f"'{self.path.name}' is no longer where it was. Open it again.") from error
        except Exception as error:  # a damaged file fails a decoder in any way
            _log.info("%s cannot be decoded", self.path.name, exc_info=True)
            raise ImageError(
                f"'{self.path.name}' is damaged or incomplete: frame {index} of {self.frames} cannot be decompressed "
                f"({self.syntax.name}). Copy or export it again."
            ) from error

    def _codestream(self, file: BinaryIO, index: int) -> bytes:
        offsets = self.options.get("extended_offsets")
        frame: bytes = get_frame(file, index, number_of_frames=self.frames, extended_offsets=offsets)
        return frame

    def _check_codestream(self, file: BinaryIO, index: int) -> None:
        """Raise if a compressed frame claims another size than its header: a decoder would take memory for it."""
        claimed = claimed_size(self._codestream(file, index))
        if claimed and claimed != (self.options["rows"], self.options["columns"]):
            raise ImageError(
                f"'{self.path.name}' is damaged: its header says {self.options['rows']} x {self.options['columns']} "
                f"pixels, but the picture in it is {claimed[0]} x {claimed[1]}. Export it again."
            )


def pixels_of(path: Path, dataset: Dataset, at: int, syntax: UID) -> StoredPixels:
    """Where and how the pixels are stored, checked against the bytes that there are.

    Args:
        path: the file.
        dataset: its elements up to the pixels.
        at: where the pixels' own element begins.
        syntax: the transfer syntax.

    Raises:
        ImageError: no decoder, a size that cannot be, or pixels that are cut short.
    """
    _check_decoder(path, syntax)
    try:
        options = as_pixel_options(dataset)
        options["number_of_frames"] = int(options["number_of_frames"])
        size = [int(options[name]) for name in ("rows", "columns", "number_of_frames")]
        bits = int(options["bits_allocated"])
        options.setdefault("samples_per_pixel", 1)
        options.setdefault("photometric_interpretation", "MONOCHROME2")
        options.setdefault("pixel_representation", 0)
        options.setdefault("bits_stored", bits)
        if options["samples_per_pixel"] > 1:
            options.setdefault("planar_configuration", 0)
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError(
            f"'{path.name}' does not say how large its image is, or not in numbers. Copy or export it again."
        ) from error
    if min(size) < 1 or bits not in (1, 8, 16, 32, 64) or options["samples_per_pixel"] not in (1, 3):
        raise ImageError(
            f"'{path.name}' is said to have {size[2]} frames of {size[0]} x {size[1]} pixels with "
            f"{options['samples_per_pixel']} values of {bits} bits; that cannot be read. Copy or export it again."
        )
    palette = _palette(dataset) if str(options["photometric_interpretation"]).upper() in _PALETTE else None
    with opened(path, syntax == DeflatedExplicitVRLittleEndian) as file:
        end = file.seek(0, 2)
        file.seek(at)
        value = _value_of_pixels(file, syntax, options)
        stored = StoredPixels(path, value, syntax, options, palette)
        _check_size(stored, file, end - value)
    return stored


def _check_decoder(path: Path, syntax: UID) -> None:
    if syntax in MPEGTransferSyntaxes or "MPEG" in syntax.name or "HEVC" in syntax.name:
        raise ImageError(
            f"'{path.name}' is a film in DICOM ({syntax.name}), which is not read here. Export it as MP4 or AVI; these "
            "are opened."
        )
    if not has_decoder(syntax):
        raise ImageError(
            f"'{path.name}' is compressed with {syntax.name or 'a transfer syntax that it does not name'}, for which "
            "there is no decoder here. Export it without compression (Explicit VR Little Endian), or with JPEG 2000 "
            "or RLE."
        )


def _value_of_pixels(file: BinaryIO, syntax: UID, options: dict[str, Any]) -> int:
    """Where the value begins; which element it is goes into `options`."""
    start = file.read(12)
    order = "<" if syntax.is_little_endian else ">"
    group, element = struct.unpack(f"{order}HH", start[:4])
    options["pixel_keyword"] = PIXEL_ELEMENTS[group << 16 | element]
    explicit = start[4:6] in (b"OB", b"OW", b"UN", b"OF", b"OD")  # whatever the transfer syntax says
    options["pixel_vr"] = start[4:6].decode() if explicit else "OW"
    return file.tell() if explicit else file.tell() - 4


def _check_size(stored: StoredPixels, file: BinaryIO, there: int) -> None:
    """Raise before memory is taken for pixels that cannot be in the file, or if the file ends before they do."""
    rows, columns = stored.shape[:2]
    samples, bits = stored.options["samples_per_pixel"], stored.options["bits_allocated"]
    subsampled = stored.options["photometric_interpretation"] == "YBR_FULL_422" and not stored.syntax.is_compressed
    a_frame = rows * columns * samples * bits / 8 * (2 / 3 if subsampled else 1)
    said = f"{stored.frames} frames of {rows} x {columns}" if stored.frames > 1 else f"{rows} x {columns}"
    lies = ImageError(
        f"'{stored.path.name}' is said to hold {said} pixels, more than its {there} bytes of them can be. It is "
        "incomplete or damaged; copy or export it again from where it came from."
    )
    if not stored.syntax.is_encapsulated:
        if a_frame * stored.frames > there:
            raise lies
    elif 8 * stored.frames > there or (a_frame > _BLOCK and a_frame * stored.frames > _DENSEST * there):
        raise lies
    elif not is_whole(file, stored.offset, there):
        raise ImageError(
            f"'{stored.path.name}' is incomplete: it ends within its compressed pixels. Copy or export it again from "
            "where it came from."
        )
    check_fits_in_memory(int(a_frame), stored.path.name)


def _palette(dataset: Dataset) -> Dataset:
    palette = Dataset()
    for colour in ("Red", "Green", "Blue"):
        for name in (
            f"{colour}PaletteColorLookupTableDescriptor",
            f"{colour}PaletteColorLookupTableData",
            f"Segmented{colour}PaletteColorLookupTableData",
        ):
            if name in dataset:
                palette[name] = dataset[name]
    return palette
