"""What a file or a folder is, by its first bytes: a JPEG that is called .png is a JPEG."""

from __future__ import annotations

import difflib
import gzip
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from ..errors import ImageError

Kind = Literal["png", "jpeg", "tiff", "dicom", "nifti", "nrrd", "metaimage", "ome-zarr", "video"]

IMAGE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff"),
    *(".dcm", ".dicom", ".ima", ".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".zarr"),
    *(".avi", ".mp4", ".mov", ".m4v", ".mkv", ".webm"),
)
"""Endings of names that are opened, in lower case; ".ome.tif" is one of ".tif". DICOM files often have none."""

ALLOWED = "DICOM, NIfTI, NRRD, MetaImage, TIFF, OME-TIFF, OME-Zarr, PNG, JPEG, AVI or MP4"
"""What is opened, for sentences."""

_START = 560
"""Bytes that are looked at: the header of NIfTI 2 and a little more."""


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file of this name is one to be opened; nothing is opened. macOS's "._" companions are not."""
    path = Path(path)
    return path.name.lower().endswith(IMAGE_ENDINGS) and not path.name.startswith("._")


def stem(path: str | os.PathLike[str]) -> str:
    """Name without its ending: "heart" for "heart.ome.tif", "heart.nii.gz" and "heart.ome.zarr"."""
    name = Path(path).name
    for ending in sorted((*IMAGE_ENDINGS, ".ome.tif", ".ome.tiff", ".ome.zarr"), key=len, reverse=True):
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


def content_kind(path: str | os.PathLike[str]) -> Kind:
    """What a file or a folder is.

    Raises:
        ImageError: no such file, empty, not to be read by this user, or none of the kinds that are opened.
    """
    path = Path(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return _kind_of_folder(path)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"'{path.name}' is not a file; choose a file ({ALLOWED}).")
        with path.open("rb") as file:
            start = file.read(_START)
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
    for kind, fits in _TESTS.items():
        if fits(start, path):
            return kind
    if is_image(path) and any(signature.startswith(start) for signature in _SIGNATURES):
        raise ImageError(f"'{path.name}' ends after {len(start)} bytes. Copy or export it again.")
    if is_image(path):
        raise ImageError(
            f"'{path.name}' is not an image, whatever its ending says; allowed are {ALLOWED}. "
            "Open it in the program that made it and export it as one of these."
        )
    raise ImageError(
        f"'{path.name}' cannot be opened: its ending is {path.suffix!r} and it is none of {ALLOWED}. "
        "Save a copy as one of these from the program that made it."
    )


def _starts(*signatures: bytes) -> Callable[[bytes, Path], bool]:
    return lambda start, path: start.startswith(signatures)


def _is_nifti(start: bytes, path: Path) -> bool:
    if start.startswith(b"\x1f\x8b"):
        try:
            start = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(start, _START)
            if len(start) < 348:
                with gzip.open(path) as file:
                    start = file.read(_START)
        except (OSError, EOFError, zlib.error):
            return path.name.lower().endswith(".nii.gz")  # its reader says what is wrong
    single = start[344:348] in (b"n+1\0", b"ni1\0") or start[4:8] in (b"n+2\0", b"ni2\0")
    return single or (path.name.lower().endswith((".nii", ".nii.gz")) and start[:4] in _NIFTI_SIZES)


def _is_dicom(start: bytes, path: Path) -> bool:
    """With the preamble, or without where the first element is one of the groups that stand first."""
    if start[128:132] == b"DICM":
        return True
    return start[:2] in (b"\x02\x00", b"\x08\x00") and start[2:4] in _FIRST_ELEMENTS and b"\0" in start[4:8]


def _is_metaimage(start: bytes, path: Path) -> bool:
    return start.lstrip().startswith((b"ObjectType", b"NDims", b"Comment")) and b"NDims" in start


def _is_video(start: bytes, path: Path) -> bool:
    if start[4:8] == b"ftyp":
        return start[8:12] not in (b"heic", b"heix", b"avif", b"mif1", b"jp2 ")
    return (start[:4] == b"RIFF" and start[8:12] == b"AVI ") or start[:4] == b"\x1a\x45\xdf\xa3"  # Matroska, WebM


_NIFTI_SIZES = (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c")  # 348 and 540, both byte orders
_FIRST_ELEMENTS = (b"\x00\x00", b"\x01\x00", b"\x02\x00", b"\x05\x00", b"\x08\x00", b"\x10\x00", b"\x16\x00")

_PNG, _JPEG = (b"\x89PNG\r\n\x1a\n",), (b"\xff\xd8\xff",)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the latter two: BigTIFF
_SIGNATURES = (*_PNG, *_JPEG, *_TIFF, b"NRRD000")

_TESTS: dict[Kind, Callable[[bytes, Path], bool]] = {
    "dicom": _is_dicom,  # first: its preamble may be anything, a TIFF's header included
    "png": _starts(*_PNG),
    "jpeg": _starts(*_JPEG),
    "tiff": _starts(*_TIFF),
    "nrrd": _starts(b"NRRD000"),
    "nifti": _is_nifti,
    "metaimage": _is_metaimage,
    "video": _is_video,
}


def _kind_of_folder(path: Path) -> Kind:
    """An OME-Zarr by its own files; else DICOM if there is such a file in it or below."""
    if any((path / name).is_file() for name in ("zarr.json", ".zattrs", ".zgroup", ".zarray")):
        return "ome-zarr"
    names = (Path(folder) / name for folder, _, files in os.walk(path) for name in sorted(files))
    for looked_at, file in enumerate(names):
        if looked_at >= 1000:
            break
        try:
            with file.open("rb") as opened:
                if _is_dicom(opened.read(_START), file):
                    return "dicom"
        except OSError:
            continue
    raise ImageError(
        f"'{path.name}' is a folder without a DICOM file, and no OME-Zarr image; choose one of the files in it "
        f"({ALLOWED})."
    )


def _nearest(path: Path) -> str:
    """A sentence that names the file that may be meant."""
    try:
        names = [other.name for other in path.parent.iterdir() if is_image(other)]
    except OSError:
        return f" Its folder '{path.parent}' cannot be opened, either; is the disk connected?"
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean '{close[0]}'?" if close else " Check its name and folder."
