"""A page with pictures: each image, the masks before and after, and the truth, with figures and measures under them.

The page is one HTML file with its pictures inside, so that it can be mailed and printed.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import jinja2
import numpy as np
import numpy.typing as npt
from skimage.segmentation import find_boundaries

from napari_medseg.models.durable import write
from napari_medseg.models.image import Array, MedicalImage
from napari_medseg.models.measuring import LabelMeasures, columns, measure, shown

RIGHT, MISSED, EXTRA = (0, 114, 178), (230, 159, 0), (204, 64, 140)
"""Colours, RGB, that people with colour blindness tell apart, too (after Okabe and Ito)."""

ACCEPTED = (240, 228, 66)
"""Colour of outlines over an image in its own colours, which stands out from grey, black and stains."""

_PALE = 0.62
"""Contrast that is left of the image under a mask, so that the mask stands out, also on paper."""


@dataclass(frozen=True)
class ReportCase:
    """One image of a report.

    Attributes:
        title: what the image shows.
        note: kind and source, in small letters.
        image: (Y, X) or (Y, X, C).
        before: labels, (Y, X); what is shown is foreground, not objects.
        after: likewise.
        truth: likewise.
        dice_before: Dice of `before`, 0 to 1.
        dice_after: Dice of `after`.
    """

    title: str
    note: str
    image: MedicalImage
    before: Array
    after: Array
    truth: Array
    dice_before: float
    dice_after: float


@dataclass(frozen=True)
class Report:
    """What a page says.

    Attributes:
        title: its headline.
        summary: one paragraph.
        facts: what is told of it, as (name, value).
        cases: one row of pictures each.
        dice_before: mean over `cases`.
        dice_after: mean over `cases`.
        credits: whose images they are.
    """

    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    cases: tuple[ReportCase, ...]
    dice_before: float
    dice_after: float
    credits: str = ""


def write_report(path: Path, report: Report) -> None:
    """Write the page, whole or not at all.

    Raises:
        WriteError: the folder cannot be written.
    """
    write_page(path, "report.html", report=report, rows=map(_row, report.cases))


def write_page(path: Path, template: str, **content: Any) -> None:
    """Write a page, whole or not at all; an older one is replaced.

    Args:
        path: of the page.
        template: name of a template beside this module, which extends page.html.
        content: what it speaks of.

    Raises:
        WriteError: the folder cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    named = {"right": RIGHT, "missed": MISSED, "extra": EXTRA, "accepted": ACCEPTED}
    colours = {name: f"rgb{colour}" for name, colour in named.items()}
    write(path, environment.get_template(template).render(colours=colours, **content).encode())


def _row(case: ReportCase) -> dict[str, object]:
    """A case with its four pictures."""
    measures = measure(case.after, case.image)
    return {
        "case": case,
        "measured": _summary(measures),
        "columns": columns(measures),
        "measures": measures,
        "shown": shown,
        "image": as_png(displayed(case.image)),
        "before": as_png(compared(case.image, case.before, case.truth)),
        "after": as_png(compared(case.image, case.after, case.truth)),
        "truth": as_png(compared(case.image, case.truth, case.truth)),
    }


def _summary(measures: Sequence[LabelMeasures]) -> str:
    """How many objects, and how large they are."""
    if not measures:
        return "Nothing was found"
    unit = {"pixel": "px", "um": "µm"}.get(measures[0].unit, measures[0].unit)
    diameters = [one.equivalent_diameter for one in measures]
    if len(measures) == 1:
        return f"1 label, equivalent diameter {shown(diameters[0])} {unit}"
    mean, spread = float(np.mean(diameters)), float(np.std(diameters))
    return f"{len(measures)} labels, equivalent diameter {shown(mean)} ± {shown(spread)} {unit} (mean ± SD)"


def displayed(image: MedicalImage) -> npt.NDArray[np.uint8]:
    """An image as one sees it, (Y, X, 3): colours as they are, else stretched from the 1st to the 99.8th percentile."""
    data = image.data if "C" in image.axes else image.data[..., np.newaxis]
    if data.shape[-1] not in (3, 4) or data.dtype != np.uint8:
        data = _stretched(data[..., :1])
    return np.ascontiguousarray(np.broadcast_to(data[..., :3], (*data.shape[:-1], 3)))


def compared(image: MedicalImage, mask: Array, truth: Array) -> npt.NDArray[np.uint8]:
    """A mask over its image, (Y, X, 3): what is right, missed and too much in three colours, on paler grey."""
    grey = displayed(image).mean(-1, keepdims=True)
    picture = np.repeat(255 - _PALE * (255 - grey), 3, axis=-1)
    mask, truth = mask > 0, truth > 0
    for area, colour in [(mask & truth, RIGHT), (truth & ~mask, MISSED), (mask & ~truth, EXTRA)]:
        picture[area] = 0.5 * picture[area] + 0.5 * np.array(colour)
    outline = find_boundaries(mask, mode="inner")
    for area, colour in [(outline & truth, RIGHT), (outline & ~truth, EXTRA)]:
        picture[area] = colour
    return picture.round().astype(np.uint8)


def outlined(image: MedicalImage, mask: Array) -> npt.NDArray[np.uint8]:
    """The outline of each label over its image, (Y, X, 3)."""
    picture = displayed(image).copy()
    picture[find_boundaries(mask, mode="thick")] = ACCEPTED
    return picture


def as_png(picture: npt.NDArray[np.uint8]) -> str:
    """A picture, (Y, X, 3), as an address that holds it."""
    content = iio.imwrite("<bytes>", picture, extension=".png", plugin="pillow", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def _stretched(data: Array) -> npt.NDArray[np.uint8]:
    data = np.nan_to_num(data.astype(np.float64))
    low, high = np.percentile(data, (1, 99.8))
    return (255 * np.clip((data - low) / max(high - low, 1e-12), 0, 1)).round().astype(np.uint8)
