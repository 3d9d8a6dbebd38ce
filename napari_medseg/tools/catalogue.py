"""The mask tools that the panel offers: what each is called, asks for and does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from napari_medseg.models import mask_tools
from napari_medseg.models.image import PLANE_CALLED
from napari_medseg.models.mask_tools import Change, Selection

from .place import PIXELS, Place

Values: TypeAlias = Mapping[str, Any]
"""What was chosen for a tool, by parameter; "unit" says in what."""

Progress: TypeAlias = Callable[[float], None] | None


@dataclass(frozen=True)
class Parameter:
    """A number that a tool asks for.

    Attributes:
        name: in `Values`.
        title: for people.
        value: at first.
        low: the least that is allowed.
        high: the largest.
        step: of the arrows beside it.
        power: of the unit: 1 for a distance; 0 for an area or a volume, whose power is the number of axes.
    """

    name: str
    title: str
    value: float
    low: float
    high: float
    step: float
    power: int = 1


@dataclass(frozen=True)
class Tool:
    """One mask tool.

    Attributes:
        name: by which it is asked for.
        title: for people, and of its step in the undo history; of "stack" in the words for slices, see `along`.
        tip: what it does, for the tooltip.
        key: Qt's name of the keys that use it.
        parameters: what it asks for.
        kind: "shape" for one that gives labels another shape, in a plane or a volume; "stack" for one across slices;
            "clicks" for one that is shown where by clicks; "brush" for one that changes how the brush paints.
        work: makes the change; None for a brush.
        asks: for "clicks": what to click on, click by click.
    """

    name: str
    title: str
    tip: str
    key: str
    kind: str
    work: Callable[..., Change] | None = None
    parameters: tuple[Parameter, ...] = ()
    asks: tuple[str, ...] = ()

    def along(self, called: str) -> Tool:
        """The tool in the words for a stack whose planes are called "slice" or "frame"."""
        if self.kind != "stack":
            return self
        title, tip = (words.replace(PLANE_CALLED["Z"], called) for words in (self.title, self.tip))
        return replace(self, title=title, tip=tip)

    def defaults(self) -> dict[str, Any]:
        """What is chosen at first."""
        return {"unit": PIXELS} | {parameter.name: parameter.value for parameter in self.parameters}


def _distance(value: float) -> Parameter:
    return Parameter("distance", "Distance", value, 0.01, 1000, 0.5)


def _smooth(place: Place, selected: Selection, values: Values, progress: Progress) -> Change:
    return _shaped(mask_tools.smooth, place, selected, values, progress, values["distance"])


def _grow(place: Place, selected: Selection, values: Values, progress: Progress) -> Change:
    return _shaped(mask_tools.grow, place, selected, values, progress, values["distance"])


def _shrink(place: Place, selected: Selection, values: Values, progress: Progress) -> Change:
    return _shaped(mask_tools.shrink, place, selected, values, progress, values["distance"])


def _remove_small(place: Place, selected: Selection, values: Values, progress: Progress) -> Change:
    return _shaped(mask_tools.remove_small, place, selected, values, progress, values["smallest"])


def _keep_largest(place: Place, selected: Selection, _values: Values, progress: Progress) -> Change:
    return mask_tools.keep_largest(place.pixels, selected, progress=progress)


def _fill_holes(place: Place, selected: Selection, values: Values, progress: Progress) -> Change:
    spacing = place.steps(values["unit"])
    largest = values["largest"] or float("inf")
    return mask_tools.fill_holes(place.pixels, selected, largest=largest, spacing=spacing, progress=progress)


def _shaped(
    tool: Callable[..., Change], place: Place, selected: Selection, values: Values, progress: Progress, size: float
) -> Change:
    return tool(place.pixels, size, selected, spacing=place.steps(values["unit"]), progress=progress)


def _interpolate(place: Place, selected: Selection, _values: Values, progress: Progress) -> Change:
    assert place.across is not None
    across, called = place.across, place.called
    return mask_tools.interpolate(
        place.pixels, selected, axis=across, spacing=place.spacing, progress=progress, called=called
    )


def _copy(by: int) -> Callable[..., Change]:
    def copy(place: Place, selected: Selection, _values: Values, _progress: Progress) -> Change:
        assert place.across is not None
        source, target = place.shown, place.shown + by
        return mask_tools.copy_slice(place.pixels, source, target, selected, axis=place.across, called=place.called)

    return copy


def _split(place: Place, selected: Selection, values: Values, _progress: Progress) -> Change:
    first, second = values["clicks"]
    spacing = () if place.unit == "pixel" else place.spacing
    new_label = None if place.is_all else mask_tools.free_label(place.data)  # free on the other slices and frames, too
    return mask_tools.split(place.pixels, first, second, selected, new_label=new_label, spacing=spacing)


def _merge(place: Place, selected: Selection, values: Values, _progress: Progress) -> Change:
    into, other = values["labels"]
    return mask_tools.merge(place.pixels, into, [other], selected)


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("smooth", "Smooth", "Smooth ragged borders; thin parts are kept", "Shift+S", "shape", _smooth,
             (_distance(1.5),)),
        Tool("fill_holes", "Fill holes", "Fill the background that an object encloses", "Shift+H", "shape",
             _fill_holes, (Parameter("largest", "Up to (0: any)", 0, 0, 1e9, 10, 0),)),
        Tool("remove_small", "Remove small", "Remove parts smaller than a size", "Shift+R", "shape", _remove_small,
             (Parameter("smallest", "Below", 20, 0.001, 1e9, 5, 0),)),
        Tool("keep_largest", "Keep largest", "Keep only the largest part of each label", "Shift+K", "shape",
             _keep_largest),
        Tool("grow", "Grow", "Make objects wider; they never run over others", "Shift+W", "shape", _grow,
             (_distance(1),)),
        Tool("shrink", "Shrink", "Make objects narrower", "Shift+N", "shape", _shrink, (_distance(1),)),
        Tool("split", "Split", "Click on both parts of an object: the second one gets a new label", "Shift+X",
             "clicks", _split, asks=("Click on the first part of an object.", "Click on its second part.")),
        Tool("merge", "Merge", "Click on two objects: the second one gets the first one's label", "Shift+M", "clicks",
             _merge, asks=("Click on the object to keep.", "Click on the one to merge into it.")),
        Tool("paint_range", "Paint by brightness", "Brush, eraser and fill keep to pixels of some brightness",
             "Shift+B", "brush"),
        Tool("copy_previous", "Copy to the slice before", "Copy to the slice before, and go there", "Shift+Left",
             "stack", _copy(-1)),
        Tool("copy_next", "Copy to the next slice", "Copy to the next slice, and go there", "Shift+Right", "stack",
             _copy(1)),
        Tool("interpolate", "Fill between slices", "Fill the slices between annotated ones", "Shift+I", "stack",
             _interpolate),
    )
}  # fmt: skip
"""All of them by name, in the order of the buttons."""
