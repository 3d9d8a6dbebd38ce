"""PNG and JPEG.

Pixels are those that are stored. The orientation that cameras note in a JPEG (EXIF) is not applied, because
napari shows the stored pixels, too, and a mask that was painted there must lie on the image that is read here.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image

from ..errors import ImageError
from ..image import Array, MedicalImage
from ..memory import check_fits_in_memory
from .kinds import stem
from .opened import OpenedImage, Part

_log = logging.getLogger(__name__)

# Pillow's modes that are not grey, RGB or RGBA of whole numbers, and what they are read as
_CONVERTED_MODES = {"P": "RGB", "PA": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}
_WITH_ALPHA = {"LA", "La", "RGBA", "RGBa", "PA"}


def parts(path: Path) -> tuple[Part, ...]:
    """The one picture of the file."""
    return (Part("", stem(path)),)


def open_part(path: Path, key: str) -> OpenedImage:
    """The picture: (Y, X) or (Y, X, 3) with the type it is stored in, whose spacing is 1 "pixel".

    Palettes of PNG become RGB and transparency is left out. PNG with 16 bits a colour comes with 8 (grey keeps its
    16).
    """
    data = read_picture(path)
    image = MedicalImage(data, "YXC" if data.ndim == 3 else "YX", name=stem(path))
    return OpenedImage(image, str(path), key, coloured=data.ndim == 3)


def read_picture(path: Path, *, palette: str = "RGB") -> Array:
    """Pixels of a PNG or JPEG, (Y, X) or (Y, X, 3); those of a palette in Pillow's mode `palette`."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Image size")  # Pillow warns of large images that it reads all the same
            with iio.imopen(path, "r", plugin="pillow") as file:
                noted = file.metadata(index=0)
                shape, mode = noted["shape"], noted["mode"]
                check_fits_in_memory(4 * shape[0] * shape[1], path.name)
                data = np.asarray(file.read(index=0, mode=palette if mode == "P" else _CONVERTED_MODES.get(mode)))
    except ImageError:
        raise
    except Exception as error:  # a damaged file fails a decoder in any way
        _log.info("%s cannot be decoded", path.name, exc_info=True)
        raise ImageError(_undecodable(path, error)) from error
    if noted.get("Orientation", 1) != 1:
        _log.info("%s is noted as turned (EXIF orientation %s); read as stored", path.name, noted["Orientation"])
    if data.dtype == np.uint8 and _bits_per_sample(path) == 16:
        _log.warning("%s has 16 bits a colour, of which the upper 8 are read; TIFF keeps all", path.name)
    if mode in _WITH_ALPHA and data.ndim == 3 and data.shape[-1] in (2, 4):
        _log.info("%s: transparency (alpha) left out", path.name)
        data = data[..., 0] if data.shape[-1] == 2 else np.ascontiguousarray(data[..., :3])
    return data


def _undecodable(path: Path, error: Exception) -> str:
    if isinstance(error.__cause__, Image.DecompressionBombError):  # imageio wraps it
        return (
            f"'{path.name}' claims to be larger than any PNG or JPEG read here ({error.__cause__}). Save large images "
            "as TIFF, or cut out the part you need; if it should be small, it is damaged."
        )
    if _width_and_height(path)[0] == 0 or _width_and_height(path)[1] == 0:
        width, height = _width_and_height(path)
        return f"'{path.name}' has no pixels: it is {width} x {height}. Export it again."
    return (
        f"'{path.name}' is damaged or incomplete ({str(error).splitlines()[0] if str(error) else 'not readable'}). "
        "Copy or export it again from where it came from."
    )


def _header(path: Path) -> bytes:
    """The first bytes of a PNG, up to the bits a sample; b"" of anything else."""
    with path.open("rb") as file:
        start = file.read(25)
    return start if start.startswith(b"\x89PNG") and len(start) == 25 else b""


def _bits_per_sample(path: Path) -> int:
    return _header(path)[24] if _header(path) else 8


def _width_and_height(path: Path) -> tuple[int, int]:
    """Of a PNG; (1, 1) where it cannot be told."""
    header = _header(path)
    return (int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")) if header else (1, 1)
