"""How the panel's own parts look in each of napari's themes."""

from __future__ import annotations

from napari.utils.theme import get_theme

STYLE = """
#hint { font-weight: bold; }
#problem { background: #7a2e2e; color: white; border-radius: 4px; padding: 6px; }
#notice { background: #2e5a4a; color: white; border-radius: 4px; padding: 6px; }
Folding > QPushButton { text-align: left; border: none; background: transparent; font-weight: bold; padding: 2px; }
#about, #progress, #status { color: %s; }
"""

STRENGTH = 0.72
"""Of what is said beside the rest: the share of the text's colour, where 0 would be the ground's."""


def dress(theme: str) -> str:
    """The style sheet of the panel in the theme of that name."""
    return STYLE % soft(theme)


def soft(theme: str) -> str:
    """The colour of what is said beside the rest, "#rrggbb"."""
    colours = get_theme(theme)
    text, ground = colours.text.as_rgb_tuple()[:3], colours.background.as_rgb_tuple()[:3]
    softened = (round(STRENGTH * of_text + (1 - STRENGTH) * under) for of_text, under in zip(text, ground, strict=True))
    return "#" + "".join(f"{part:02x}" for part in softened)


def is_light(theme: str) -> bool:
    """Whether text is dark on a light ground in the theme of that name."""
    return sum(get_theme(theme).background.as_rgb_tuple()[:3]) > 3 * 128
