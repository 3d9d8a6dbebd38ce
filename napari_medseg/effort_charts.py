"""Charts of what the cases cost, case after case, as pictures that a page holds."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from statistics import median

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK, SOFT, POINT, LINE = "#1d2733", "#5b6875", "#9fb2c4", "#0072b2"

AROUND = 2
"""Cases before and after one that its running median is of."""


def chart(
    values: Sequence[float | None], label: str, marks: Sequence[tuple[float, str]] = (), top: float | None = None
) -> str:
    """A point for each case and a running median, as an SVG in an address.

    Args:
        values: of each case, in order; None where nobody knows it.
        label: what the values are, with the unit.
        marks: names of versions, and the number of cases that came before them.
        top: end of the axis of values, which begins at 0; by default as high as they are.
    """
    known = [(number, value) for number, value in enumerate(values, start=1) if value is not None]
    figure = Figure(figsize=(3.4, 2.3), layout="constrained")
    axes = figure.add_subplot()
    highest = max((value for _, value in known), default=1.0)
    axes.set(xlim=(0.5, max(len(values), 2) + 0.5), ylim=(0, top or 1.12 * highest or 1.0))
    for before, name in marks:
        axes.axvline(before + 0.5, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.annotate(
            name, (before + 0.5, 1), (2, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
            va="top", fontsize=8, color=SOFT,
        )  # fmt: skip
    numbers, figures = [number for number, _ in known], [value for _, value in known]
    axes.plot(numbers, figures, "o", color=POINT, markersize=4)
    if len(known) > 2 * AROUND:
        smooth = [median(figures[max(0, at - AROUND) : at + AROUND + 1]) for at in range(len(figures))]
        axes.plot(numbers, smooth, "-", color=LINE, linewidth=2)
    axes.set_xlabel("case", color=SOFT, fontsize=9)
    axes.set_title(label, color=INK, fontsize=10, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.tick_params(colors=SOFT, labelsize=8, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#dfe4e9")
    content = io.BytesIO()
    with rc_context({"svg.hashsalt": "medseg"}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return f"data:image/svg+xml;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
