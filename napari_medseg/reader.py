"""Opens images of every format in napari with their spacing, place, units and channels.

napari's own readers show the bare array. They keep PNG and JPEG, which have nothing to lose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import open_image
from napari_medseg.models.formats.kinds import IMAGE_ENDINGS, content_kind

from .opening.layers import LayerData, layers_of

PLUGIN = "napari-medseg"
"""Name for `viewer.open(path, plugin=...)`."""

_NAPARIS = (".png", ".jpg", ".jpeg")

PATTERNS = tuple(
    f"*{spelled}" for ending in IMAGE_ENDINGS if ending not in _NAPARIS for spelled in (ending, ending.upper())
)
"""Files that napari's settings may give to this reader for good."""


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """`read` for what it reads, None for anything else; looks at names and first bytes only and never raises."""
    try:
        return read if isinstance(path, str) and content_kind(path) not in ("png", "jpeg") else None
    except ImageError:
        return None


def read(path: str) -> list[LayerData]:
    """Read a file, a DICOM folder or an OME-Zarr as napari layers, and show what the user has to know of it.

    Where a folder holds several images, the largest is opened and a notice says so; the panel lets the user choose.

    Raises:
        ImageError: it cannot be read; the text says why.
    """
    from napari.utils.notifications import show_info

    opened = open_image(path)
    if opened.notices:
        show_info(" ".join((f"{opened.image.name}:", *opened.notices)))
    return layers_of(opened)


def always_open_here() -> bool:
    """Make this the reader of its files in napari's settings, so that it does not ask each time.

    Returns:
        Whether it is now; False where the user has chosen another for any of them, which is left as it is.
    """
    from napari.settings import get_settings

    plugins = get_settings().plugins
    chosen = dict(plugins.extension2reader)
    if any(chosen.get(pattern, PLUGIN) != PLUGIN for pattern in PATTERNS):
        return False
    plugins.extension2reader = chosen | dict.fromkeys(PATTERNS, PLUGIN)
    return True
