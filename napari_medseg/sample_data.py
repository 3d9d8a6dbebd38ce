"""The samples of File > Open Sample > MedSeg: images without their masks, which are yours to make."""

from __future__ import annotations

from .opening.layers import LayerData, layers_of_image
from .phantom import ct_phantom
from .samples import samples


def fluorescence() -> list[LayerData]:
    """Nuclei in fluorescence, some of which touch."""
    return _first("fluorescence")


def histology() -> list[LayerData]:
    """Nuclei in a section with a purple stain."""
    return _first("histology")


def brightfield() -> list[LayerData]:
    """Stained cells in brightfield."""
    return _first("brightfield")


def ultrasound() -> list[LayerData]:
    """The head of a fetus in ultrasound."""
    return _first("ultrasound")


def ct() -> list[LayerData]:
    """A computed CT volume of 5.0 x 1.5 x 1.5 mm, in the window for soft tissue."""
    return [
        (data, settings | {"contrast_limits": (-160, 240)}, kind)
        for data, settings, kind in layers_of_image(ct_phantom())
    ]


def _first(kind: str) -> list[LayerData]:
    return layers_of_image(samples(kind)[0].image())
