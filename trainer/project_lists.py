"""What stands beside the images and masks of an exported project: which are whose, and what each correction took."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .named_cases import NamedCase

COLUMNS = (
    "case",
    "group",
    "split",
    "correction",
    "accepted",
    "seconds",
    "edits",
    "axes",
    "z",
    "y",
    "x",
    "unit",
    "place",
)
"""Of cases.csv. `correction` is the number of the mask in the project, `z`, `y` and `x` are the spacing in `unit`, and
`seconds` and `edits` those of all corrections of the image. `place` is whether the project knows where in the patient
the image lies: "yes", "no", or "not kept" if it was accepted before projects kept that."""


def lists_of(cases: Sequence[NamedCase], names: Mapping[int, str]) -> dict[str, bytes]:
    """The files by their names, as `folders` reads them; none holds the name of a patient or of a file.

    Without a case that was held out, or with none but such, nothing says who learns and who validates.

    Args:
        cases: of the project, all of them.
        names: of labels, if they are known.
    """
    splits = {
        "train": [case.name for case in cases if not case.held_out],
        "val": [case.name for case in cases if case.held_out],
    }
    files = {
        "cases.csv": _csv(COLUMNS, map(_facts, cases)),
        "groups.csv": _csv(("image", "group"), ({"image": case.name, "group": case.group} for case in cases)),
    }
    if all(splits.values()):
        files["splits.json"] = _json(splits)
    if names:
        files["labels.json"] = _json({str(label): name for label, name in sorted(names.items())})
    return files


def _facts(case: NamedCase) -> dict[str, Any]:
    record = case.record
    along = dict(zip([axis.lower() for axis in record.axes if axis in "ZYX"], record.spacing, strict=True))
    return along | {
        "case": case.name,
        "group": case.group,
        "split": "val" if case.held_out else "train",
        "correction": record.id,
        "accepted": record.created.isoformat(timespec="seconds"),
        "seconds": "" if case.seconds is None else f"{case.seconds:.1f}",
        "edits": case.edits,
        "axes": record.axes,
        "unit": record.unit,
        "place": "not kept" if record.place is None else "yes" if "affine" in record.place else "no",
    }


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """In UTF-8 with a byte-order mark, so that spreadsheets take it for what it is."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
