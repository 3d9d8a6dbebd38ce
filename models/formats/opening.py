"""One door to all formats: which images a file or a folder holds, and each of them, as lazily as its format allows."""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path
from typing import Any, cast

from ..errors import ImageError
from .kinds import Kind, content_kind
from .opened import OpenedImage, Part

_log = logging.getLogger(__name__)

# Where each kind is opened. Such a module has `parts(path) -> tuple[Part, ...]` and `open_part(path, key) ->
# OpenedImage`, and is imported only when one of its kind comes, since the libraries behind them take their time.
_MODULES: dict[Kind, str] = {
    "png": "pictures",
    "jpeg": "pictures",
    "tiff": "tiff",
    "dicom": "dicom",
    "nifti": "nifti",
    "nrrd": "itk",
    "metaimage": "itk",
    "ome-zarr": "ome_zarr",
    "video": "video",
}


def parts(path: str | os.PathLike[str]) -> tuple[Part, ...]:
    """The images in a file or a folder, of which there may be several: series of a DICOM folder, scenes.

    Raises:
        ImageError: as `open_image`.
    """
    path = Path(path).absolute()
    return cast(tuple[Part, ...], _explained(path, "parts", path))


def open_image(path: str | os.PathLike[str], part: str = "") -> OpenedImage:
    """Open an image.

    Args:
        path: a file, or a folder with a DICOM series or an OME-Zarr image.
        part: key of one of its `parts`; where there are several and none is named, the largest is taken and a notice
            says so.

    Raises:
        ImageError: nothing that can be opened; the text says what is wrong and what to do.
    """
    path = Path(path).absolute()
    return cast(OpenedImage, _explained(path, "open_part", path, part))


def _explained(path: Path, call: str, *args: Any) -> Any:
    """Call the module of the path's kind; whatever a damaged file does to a decoder becomes an `ImageError`."""
    kind = content_kind(path)
    module = importlib.import_module(f".{_MODULES[kind]}", __package__)
    try:
        return getattr(module, call)(*args)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(
            f"'{path.name}' does not fit in the memory. Close other programs, or save the part you need as a file."
        ) from error
    except Exception as error:
        _log.info("'%s' cannot be opened as %s", path.name, kind, exc_info=True)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(
            f"'{path.name}' is damaged or incomplete ({reason}). Copy or export it again from where it came from."
        ) from error
