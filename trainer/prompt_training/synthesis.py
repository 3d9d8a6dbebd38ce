"""Synthetic images with labelled objects, from which the prompt network learns what an object is.

They stand in for kinds of images whose licence keeps them out of a training. A scene (scenes.py, bodies.py) puts shapes
(shapes.py) with textures (textures.py) together; then a camera (artefacts.py) looks at it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label

from .artefacts import camera
from .bodies import chest, organs, parenchyma
from .scenes import anything, cavity, cells, echo, section, skin

SCENES = {
    anything: 0.2,
    cavity: 0.1,
    skin: 0.08,
    echo: 0.13,
    section: 0.09,
    organs: 0.14,
    chest: 0.05,
    parenchyma: 0.12,
    cells: 0.09,
}
"""How often each kind of scene is drawn."""

SMALLEST = 60
"""Pixels of an object."""

LARGEST = 0.6
"""Of the frame that an object may fill."""


def synthetic_case(rng: np.random.Generator, side: int = 192) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Draw an image and its objects; the same state of `rng` gives the same.

    Args:
        rng: source of all chance.
        side: of the image, in pixels, at least 64.

    Returns:
        The image (side, side) or (side, side, 3), and labels (side, side): 0 is background, 1..n are objects, n at
        least 1, each in one piece of `SMALLEST` pixels or more that fills `LARGEST` of the frame at most.
    """
    while True:
        scene = list(SCENES)[rng.choice(len(SCENES), p=list(SCENES.values()))]
        picture, drawn = scene(rng, side)
        labels = whole_objects(drawn)
        if labels.any():
            image = (camera(rng, np.clip(picture, 0, 1)) * 255).astype(np.uint8)
            return (image[..., 0] if image.shape[2] == 1 else image), labels


def whole_objects(drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The largest piece of each label, those too small or too large left out, numbered 1..n without gaps."""
    labels = np.zeros_like(drawn)
    found = 0
    for number, box in enumerate(find_objects(drawn), start=1):
        if box is None:
            continue
        pieces, _ = label(drawn[box] == number)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        if SMALLEST <= sizes.max() <= LARGEST * drawn.size:
            found += 1
            labels[box][pieces == sizes.argmax()] = found
    return labels
