"""Which decoder is asked for each compression of DICOM.

pydicom asks whatever is installed, in alphabetical order, so GDCM before all others. But GDCM ends the whole process on
some damaged JPEGs, and with it all that the user has not saved. It is never asked here: imagecodecs has JPEG of every
process and JPEG 2000, CharLS has JPEG-LS, pydicom itself has RLE.
"""

from __future__ import annotations

from typing import Any

import imagecodecs
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
_JPEG_2000 = (JPEG2000, JPEG2000Lossless)
_HTJ2K = (HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL)

_ASKED = {
    **dict.fromkeys((*_JPEG, *_JPEG_2000, *_HTJ2K), "imagecodecs"),
    **dict.fromkeys((JPEGLSLossless, JPEGLSNearLossless), "pyjpegls"),
    RLELossless: "pydicom",
}

DECODER_DEPENDENCIES = dict.fromkeys((*_JPEG, *_JPEG_2000, *_HTJ2K), ("imagecodecs",))
"""What pydicom wants to know of a module with a decoder: the transfer syntaxes, and what they need."""


def is_available(uid: str) -> bool:
    """Whether this module's decoder can be used: pydicom asks."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(codestream: bytes, runner: DecodeRunner) -> bytes:
    """Decode a frame as pydicom has its decoders do it.

    Args:
        codestream: of one frame.
        runner: what the header says; what the frame turns out to be is put into it.

    Returns:
        The samples, pixel by pixel; those of JPEG in the colours that they are stored in, those of JPEG 2000 as RGB.
    """
    syntax, colours = runner.transfer_syntax, runner.photometric_interpretation
    if syntax in _JPEG:
        stored = ("YCBCR" if "YBR" in colours else "RGB") if runner.samples_per_pixel > 1 else None
        decoded = imagecodecs.jpeg8_decode(codestream, colorspace=stored, outcolorspace=stored)
    else:
        decoded = (imagecodecs.htj2k_decode if syntax in _HTJ2K else imagecodecs.jpeg2k_decode)(codestream)
        if colours in ("YBR_ICT", "YBR_RCT"):
            runner.set_option("photometric_interpretation", "RGB")
    runner.set_option("bits_allocated", 8 * decoded.dtype.itemsize)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    return bytes(decoded.tobytes())


def has_decoder(syntax: UID) -> bool:
    """Whether pixels of a transfer syntax can be read."""
    return syntax.is_transfer_syntax and not syntax.is_private and (not syntax.is_encapsulated or syntax in _ASKED)


def decode(syntax: UID, source: Any, index: int, options: dict[str, Any]) -> Any:
    """Decode frame `index`: (Y, X) or (Y, X, 3), colours as RGB.

    Args:
        syntax: the transfer syntax.
        source: the file, at the beginning of the value of its pixels.
        index: which frame.
        options: what pydicom's decoders need to know.

    Raises:
        RuntimeError: damaged.
    """
    decoder, name = get_decoder(syntax), _ASKED.get(syntax, "")
    return decoder.as_array(source, index=index, decoding_plugin=name, **options)[0]


for _syntax in DECODER_DEPENDENCIES:
    get_decoder(_syntax).add_plugin("imagecodecs", (__name__, "decode_frame"))
