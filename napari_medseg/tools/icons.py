"""Icons of the mask tools, drawn in the colour of napari's theme."""

from __future__ import annotations

from qtpy.QtGui import QIcon

from ..sections.icons import drawn

_SOLID = 'fill="{colour}" stroke="none"'
_DASHED = 'stroke-dasharray="2.5 2.5"'

SHAPES = {
    "smooth": '<path d="M3 9l3-4 3 4 3-4 3 4 3-4 3 4"/><path d="M3 18c4-5 6-5 9-2s5 3 9-2"/>',
    "fill_holes": f'<circle cx="12" cy="12" r="9"/><circle cx="12" cy="12" r="4.5" {_SOLID}/>',
    "remove_small": '<circle cx="9.5" cy="9.5" r="6.5"/><path d="M16 16l5 5M21 16l-5 5"/>',
    "keep_largest": f'<circle cx="9.5" cy="9.5" r="6.5" {_SOLID}/><circle cx="18.5" cy="18.5" r="2.7" {_DASHED}/>',
    "grow": '<circle cx="12" cy="12" r="3.5"/>'
    '<path d="M12 6V2M10 4l2-2 2 2M12 18v4M10 20l2 2 2-2M6 12H2M4 10l-2 2 2 2M18 12h4M20 10l2 2-2 2"/>',
    "shrink": '<circle cx="12" cy="12" r="3.5"/>'
    '<path d="M12 2v4M10 4l2 2 2-2M12 22v-4M10 20l2-2 2 2M2 12h4M4 10l2 2-2 2M22 12h-4M20 10l-2 2 2 2"/>',
    "split": f'<path d="M10 4a8 8 0 0 0 0 16z"/><path d="M14 4a8 8 0 0 1 0 16z" {_SOLID}/>',
    "merge": '<path d="M12 6.5a6 6 0 1 0 0 11a6 6 0 1 0 0-11z"/><path d="M12 10v4M10 12h4"/>',
    "paint_range": f'<circle cx="12" cy="12" r="9"/><path d="M12 3a9 9 0 0 1 0 18z" {_SOLID}/>',
    "copy_previous": '<path d="M2 17l10-4.5 10 4.5-10 4.5z"/><path d="M12 12V3M8.5 6.5L12 3l3.5 3.5"/>',
    "copy_next": '<path d="M2 7l10-4.5L22 7l-10 4.5z"/><path d="M12 12v9M8.5 17.5L12 21l3.5-3.5"/>',
    "interpolate": f'<path d="M3 4.5h18M3 19.5h18"/><path d="M6 9.5h12M6 14.5h12" {_DASHED}/>',
}
"""What each tool's icon is made of, in SVG, 24 by 24."""


def icon(name: str, colour: str) -> QIcon:
    """The icon of a tool.

    Args:
        name: of the tool.
        colour: of the lines, "#rrggbb".
    """
    return drawn(SHAPES[name], colour)
