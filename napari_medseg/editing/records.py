"""Steps and prompts as plain numbers, words and bytes, which is all that goes to the disk: no pickle."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np

from napari_medseg.models.prompts import Box, Lasso, Point, Prompts, Scribble

from .boxes import sides
from .content import Effort
from .difference import Difference
from .history import Step
from .packing import Packed

FORMAT = 1
"""Of drafts; what another version of this program cannot read gets another number."""

_PROMPTS: dict[str, Any] = {"point": Point, "scribble": Scribble, "box": Box, "lasso": Lasso}


def packed(record: dict[str, Any]) -> bytes:
    """A record as bytes."""
    return bytes(msgpack.packb(record, default=_plain))


def unpacked(payload: bytes) -> dict[str, Any]:
    """A record of these bytes.

    Raises:
        ValueError: they are none.
    """
    record = msgpack.unpackb(payload, use_list=False)
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise ValueError("not a record of a draft")
    return record


def step_record(step: Step) -> dict[str, Any]:
    """A step; compresses it if it is not yet. Its token for merging is of no use to anyone later."""
    pieces = [
        ([(s.start, s.stop) for s in piece.box], piece.dtype, piece.count, piece.changed, piece.before, piece.after)
        for piece in step.difference.pack()
    ]
    prompts = None if step.prompts is None else tuple(prompts_record(prompts) for prompts in step.prompts)
    return {"name": step.name, "pieces": pieces, "prompts": prompts}


def step_of(record: dict[str, Any], shape: tuple[int, ...]) -> Step:
    """The step of a record.

    Args:
        record: as `step_record` made it, or as somebody else wrote it.
        shape: of the mask that it must fit.

    Raises:
        ValueError, TypeError, KeyError, PromptError: it is no step of such a mask.
    """
    prompts = record["prompts"]
    both = None if prompts is None else (prompts_of(prompts[0]), prompts_of(prompts[1]))
    return Step(str(record["name"]), Difference([_piece(piece, shape) for piece in record["pieces"]]), both)


def prompts_record(prompts: Prompts) -> list[dict[str, Any]]:
    """Prompts, oldest first."""
    return [{"is": type(prompt).__name__.lower(), **vars(prompt)} for prompt in prompts]


def prompts_of(record: Any) -> Prompts:
    """The prompts of a record.

    Raises:
        ValueError, TypeError, KeyError, PromptError: it holds none.
    """
    return Prompts(tuple(_PROMPTS[prompt["is"]](**{k: v for k, v in prompt.items() if k != "is"}) for prompt in record))


def effort_record(effort: Effort) -> tuple[float, int, int]:
    """What was spent."""
    return effort.seconds, effort.edits, effort.changes


def effort_of(record: Any) -> Effort:
    """What was spent, by a record.

    Raises:
        ValueError, TypeError: it does not say.
    """
    seconds, edits, changes = record
    return Effort(float(seconds), int(edits), int(changes))


def _plain(number: Any) -> Any:
    """A number of numpy's, such as a position that came from an array."""
    if isinstance(number, np.generic):
        return number.item()
    raise TypeError(f"{type(number).__name__} does not go into a draft")


def _piece(record: Any, shape: tuple[int, ...]) -> Packed:
    spans, dtypes, count, *content = record
    box = tuple(slice(start, stop) for start, stop in spans)
    fits = len(box) == len(shape) and all(0 <= s.start < s.stop <= side for s, side in zip(box, shape, strict=True))
    whole_numbers = len(dtypes) == 2 and all(np.dtype(dtype).kind in "iu" for dtype in dtypes)
    if not (fits and whole_numbers and 0 < count <= math.prod(sides(box)) and all(type(c) is bytes for c in content)):
        raise ValueError("a step does not fit its mask")
    changed, before, after = content
    return Packed(box, (str(dtypes[0]), str(dtypes[1])), count, changed, before, after)
