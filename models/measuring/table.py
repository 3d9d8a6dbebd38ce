"""Measures as a table: its columns with their units, and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .label_measures import LabelMeasures

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets run a text that begins so."""


@dataclass(frozen=True)
class Column:
    """One column of a table of measures.

    Attributes:
        key: in files: lower case, with the unit, e.g. "volume_mm3".
        title: for people, e.g. "Volume".
        unit: for people, e.g. "mm³"; "" for what has none.
        value: of a row; None where the row has none.
    """

    key: str
    title: str
    unit: str
    value: Callable[[LabelMeasures], float | int | str | None]


def columns(measures: Sequence[LabelMeasures]) -> tuple[Column, ...]:
    """The columns that these measures fill; () for none."""
    if not measures:
        return ()
    first = measures[0]
    unit = first.unit
    short = {"pixel": "px", "um": "µm"}.get(unit, unit)
    flat = first.volume is None
    made = [Column("label", "Label", "", lambda row: row.label)]
    if any(row.name for row in measures):
        made.append(Column("name", "Name", "", lambda row: row.name))
    if first.frame is not None:
        made.append(Column("frame", "Frame", "", lambda row: row.frame))
    if first.plane is not None and flat:
        made.append(Column("slice", "Slice", "", lambda row: row.plane))
    if flat:
        made.append(Column(f"area_{unit}2", "Area", f"{short}²", lambda row: row.area))
    else:
        made.append(Column(f"volume_{unit}3", "Volume", f"{short}³", lambda row: row.volume))
    made += [
        Column(f"longest_diameter_{unit}", "Longest diameter", short, lambda row: row.longest_diameter),
        Column(f"shortest_diameter_{unit}", "Shortest diameter", short, lambda row: row.shortest_diameter),
        Column(f"equivalent_diameter_{unit}", "Equivalent diameter", short, lambda row: row.equivalent_diameter),
    ]
    if flat:
        made.append(Column(f"perimeter_{unit}", "Perimeter", short, lambda row: row.perimeter))
    else:
        made.append(Column(f"surface_{unit}2", "Surface", f"{short}²", lambda row: row.surface))
    for channel in range(len(first.mean)):
        number = f" {channel + 1}" if len(first.mean) > 1 else ""
        key = number.replace(" ", "_")
        made += [
            Column(f"mean{key}", f"Mean{number}", "", _mean(channel)),
            Column(f"sd{key}", f"SD{number}", "", _sd(channel)),
        ]
    if not flat:
        made.append(Column("slice_of_diameter", "Slice of diameter", "", lambda row: row.plane))
    made.append(Column("pieces", "Pieces", "", lambda row: row.pieces))
    made.append(Column("pixels", "Pixels", "", lambda row: row.pixels))
    return tuple(made)


def _mean(channel: int) -> Callable[[LabelMeasures], float]:
    return lambda row: row.mean[channel]


def _sd(channel: int) -> Callable[[LabelMeasures], float]:
    return lambda row: row.sd[channel]


def shown(value: float | int | str | None) -> str:
    """A value for people: four digits, and as many as it takes before the point; "" for none."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "" if value is None else str(value)


def csv_text(measures: Sequence[LabelMeasures]) -> str:
    """The table as CSV: a line of keys, then a line for each row; numbers with a point, to 7 digits.

    Slices and frames count from 0, as napari's sliders do.
    """
    kept = columns(measures)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.key for column in kept] or ["label"])
    writer.writerows([_cell(column.value(row)) for column in kept] for row in measures)
    return text.getvalue()


def csv_of_cases(cases: Mapping[str, Sequence[LabelMeasures]]) -> bytes:
    """The tables of several cases as one file, as `csv_file` writes one.

    The first column is the case. There is a column for whatever one of them has; units stand in the names of columns,
    so cases in millimetres and cases in pixels fill different ones. A case without a label has a line of its own.
    """
    tables = {case: columns(measures) for case, measures in cases.items()}
    keys = list(dict.fromkeys(column.key for kept in tables.values() for column in kept)) or ["label"]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["case", *keys], lineterminator="\n")
    writer.writeheader()
    for case, measures in cases.items():
        for row in measures:
            writer.writerow({"case": case} | {column.key: _cell(column.value(row)) for column in tables[case]})
        if not measures:
            writer.writerow({"case": case})
    return text.getvalue().encode("utf-8-sig")


def csv_file(measures: Sequence[LabelMeasures]) -> bytes:
    """The table as a file: UTF-8 with a byte-order mark, without which Excel shows other letters than ASCII wrongly."""
    return csv_text(measures).encode("utf-8-sig")


def _cell(value: float | int | str | None) -> str:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.7g}"
    return "" if value is None else str(value)
