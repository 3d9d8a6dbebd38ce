"""Images and masks out of PNG, JPEG, TIFF and OME-TIFF files.

A file is what its first bytes say: a JPEG that is called .png is read as a JPEG.

Pixels are those that are stored. The orientation that cameras note in a JPEG (EXIF) is not applied, because
napari shows the stored pixels, too, and a mask that was painted there must lie on the image that is read here.
"""

from __future__ import annotations

import difflib
import logging
import os
import stat
import warnings
from pathlib import Path
from typing import Literal

import imageio.v3 as iio
import numpy as np
from PIL import Image

from .errors import ImageError
from .image import Array, MedicalImage, as_mask
from .memory import check_fits_in_memory
from .tiff import read_tiff, stem

_log = logging.getLogger(__name__)

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""File endings that `read_image` reads, in lower case; ".ome.tif" is one of ".tif"."""

Kind = Literal["png", "jpeg", "tiff"]

_SIGNATURES: dict[bytes, Kind] = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",  # BigTIFF
    b"MM\0+": "tiff",
}

# Pillow's modes that are not grey, RGB or RGBA of whole numbers, and what they are read as
_CONVERTED_MODES = {"P": "RGB", "PA": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}
_WITH_ALPHA = {"LA", "La", "RGBA", "RGBa", "PA"}


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file of this name is one for `read_image`; nothing is opened. macOS's "._" companions are not."""
    path = Path(path)
    return path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith("._")


def read_image(path: str | os.PathLike[str]) -> MedicalImage:
    """Read an image.

    Args:
        path: a PNG, JPEG, TIFF or OME-TIFF file.

    Returns:
        Pixels with the type they are stored in, (Y, X) or (Y, X, 3) for PNG and JPEG, whose spacing is 1 "pixel";
        some of (T, Z, Y, X, C) for TIFF, with the spacing and unit that the file gives. Palettes of PNG become
        RGB and transparency is left out. PNG with 16 bits a colour comes with 8 (grey keeps its 16).

    Raises:
        ImageError: no such file, not an image, damaged, not to be read by this user, or too large.
    """
    path = Path(path)
    if content_kind(path) == "tiff":
        return read_tiff(path).image
    data = _picture(path)
    return MedicalImage(data, "YXC" if data.ndim == 3 else "YX", name=stem(path))


def read_mask(path: str | os.PathLike[str]) -> Array:
    """Read a label mask.

    Args:
        path: a PNG or TIFF whose values are the labels (those of a palette PNG are its indices), or a JPEG of
            one object, whose values are rounded to 0 and 255.

    Returns:
        Labels, (Y, X), (Z, Y, X), (T, Y, X) or (T, Z, Y, X), in the smallest unsigned type that holds them.

    Raises:
        ImageError: as `read_image`, and for colours or values that are no labels.
    """
    path = Path(path)
    kind = content_kind(path)
    if kind == "tiff":
        content = read_tiff(path)
        data, axes, coloured = content.image.data, content.image.axes, content.coloured and not content.planar
    else:
        data = _picture(path, palette="P")
        axes, coloured = "YXC" if data.ndim == 3 else "YX", data.ndim == 3
    if coloured and (data == data[..., :1]).all():
        data = data[..., 0]  # grey saved as colours
    elif axes == "YXC" and not coloured:
        data = np.moveaxis(data, -1, 0)  # a mask has no channels: planes, which their writer called so
    elif "C" in axes:
        raise ImageError(
            f"'{path.name}' is a colour picture, not a mask. Needed is one number a pixel: 0 for background, "
            "1, 2, ... for the objects; export it as labels (grey or indexed PNG, or TIFF)."
        )
    return as_mask(_two_valued(data, path) if kind == "jpeg" else data)


def content_kind(path: str | os.PathLike[str]) -> Kind:
    """What a file is, by its first bytes.

    Raises:
        ImageError: no such file, a folder, empty, not to be read by this user, or no image.
    """
    path = Path(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"'{path.name}' is a folder; choose one of the files in it ({_allowed()}).")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"'{path.name}' is not a file; choose a file ({_allowed()}).")
        if not is_image(path):
            raise ImageError(
                f"'{path.name}' cannot be opened: its ending is {path.suffix!r}; allowed are {_allowed()}. "
                "Save a copy as TIFF or PNG from the program that made it."
            )
        with path.open("rb") as file:
            start = file.read(8)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"There is no file '{path}'.{_nearest(path)}") from error
    except PermissionError as error:
        raise ImageError(
            f"'{path.name}' may not be read by you. Ask its owner for read permission, or copy it to your own folder."
        ) from error
    except (OSError, ValueError) as error:
        raise ImageError(f"'{path.name}' cannot be opened: {error}. Is its disk still connected?") from error
    if not start:
        raise ImageError(f"'{path.name}' is empty (0 bytes). Copy or export it again from where it came from.")
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    if any(signature.startswith(start) for signature in _SIGNATURES):
        raise ImageError(f"'{path.name}' ends after {len(start)} bytes. Copy or export it again.")
    raise ImageError(
        f"'{path.name}' is not an image, whatever its ending says; allowed are PNG, JPEG, TIFF and OME-TIFF. "
        "Open it in the program that made it and export it as one of these."
    )


def _picture(path: Path, *, palette: str = "RGB") -> Array:
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
        _log.info("%s cannot be decoded", path, exc_info=True)
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


def _two_valued(data: Array, path: Path) -> Array:
    """0 and 255 out of a JPEG, whose compression blurs them; refused if more than edges are in between."""
    between = np.count_nonzero((data >= 64) & (data < 192))
    if between > 0.05 * data.size:
        raise ImageError(
            f"'{path.name}' is a JPEG, which blurs labels into each other, so that they cannot be told apart. "
            "Save the mask as PNG or TIFF."
        )
    return np.where(data >= 128, 255, 0).astype(np.uint8)


def _allowed() -> str:
    return "PNG, JPEG, TIFF or OME-TIFF"


def _nearest(path: Path) -> str:
    """A sentence that names the file that may be meant."""
    try:
        names = [other.name for other in path.parent.iterdir() if is_image(other)]
    except OSError:
        return f" Its folder '{path.parent}' cannot be opened, either; is the disk connected?"
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean '{close[0]}'?" if close else " Check its name and folder."
