"""Tools that put a label mask right: pure functions on arrays, without torch and without a window.

Each takes a whole mask and a `Selection` of it, and gives a `Change`: a bounding box, the pixels in it before and
after, and a sentence that says what was done. The mask itself is never written to.
"""

from typing import TYPE_CHECKING, Any

import lazy_loader

if TYPE_CHECKING:
    from .boxes import LabelBoxes as LabelBoxes
    from .boxes import find_boxes as find_boxes
    from .change import Change as Change
    from .change import Region as Region
    from .copying import copy_slice as copy_slice
    from .errors import MaskToolError as MaskToolError
    from .holes import fill_holes as fill_holes
    from .interpolation import interpolate as interpolate
    from .islands import keep_largest as keep_largest
    from .islands import remove_small as remove_small
    from .margins import grow as grow
    from .margins import shrink as shrink
    from .merging import merge as merge
    from .painting import in_range as in_range
    from .painting import limit_stroke as limit_stroke
    from .planes import plane_by_plane as plane_by_plane
    from .selection import Selection as Selection
    from .smoothing import smooth as smooth
    from .splitting import free_label as free_label
    from .splitting import split as split

_attach: Any = lazy_loader.attach(
    __name__,
    submod_attrs={
        "boxes": ["LabelBoxes", "find_boxes"],
        "change": ["Change", "Region"],
        "copying": ["copy_slice"],
        "errors": ["MaskToolError"],
        "holes": ["fill_holes"],
        "interpolation": ["interpolate"],
        "islands": ["keep_largest", "remove_small"],
        "margins": ["grow", "shrink"],
        "merging": ["merge"],
        "painting": ["in_range", "limit_stroke"],
        "planes": ["plane_by_plane"],
        "selection": ["Selection"],
        "smoothing": ["smooth"],
        "splitting": ["free_label", "split"],
    },
)
__getattr__, __dir__, __all__ = _attach
