"""Reading drafts back, whoever wrote them, and whenever their window died."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError
from napari_medseg.models.memory import check_fits_in_memory

from .content import Content
from .identity import salted
from .journal_file import MAGIC, payloads, size_of
from .known_pixels import KnownPixels
from .records import FORMAT, effort_of, prompts_of, step_of, unpacked

_log = logging.getLogger(__name__)


def is_draft_of(path: Path, shape: tuple[int, ...], digest: Callable[[], bytes]) -> bool:
    """Whether a file is a draft of a mask of this image.

    Args:
        path: the file.
        shape: of the image's mask.
        digest: gives that of the image, see `identity`; called only if the shape fits.
    """
    head = _head_of(path)
    if head is None or head["shape"] != shape:
        return False
    return hmac.compare_digest(salted(digest(), head["salt"]), head["image"])


def read_draft(path: Path, digest: bytes) -> Content:
    """Everything in a draft, up to what was being written when the window died, or was damaged later.

    Args:
        path: the file.
        digest: of the image.

    Raises:
        ImageError: it is no draft, or nothing of it can be read; the file is left as it is.
    """
    head, read = _head_of(path), len(MAGIC)

    def each() -> Iterator[dict[str, Any]]:
        nonlocal read
        for payload in payloads(path):
            yield unpacked(payload)
            read += size_of(payload)

    try:
        if head is None:
            raise ValueError("no draft")
        records = each()
        next(records)
        content = _beginning(head, digest, records)
    except ImageError:
        raise  # too large for this computer
    except (OSError, ValueError, TypeError, KeyError, StopIteration) as error:
        raise ImageError(
            "What was kept of this image's corrections is damaged and cannot be read. Nothing was changed; "
            f"the file is '{path.name}' in the folder '{path.parent.name}' of the project."
        ) from error
    _replay(content, records)
    content.complete = read == path.stat().st_size
    return content


def _head_of(path: Path) -> dict[str, Any] | None:
    """What the first record of a draft says; None if it is no draft."""
    try:
        head = unpacked(next(payloads(path)))
        fits = head["kind"] == "draft" and head["format"] == FORMAT and all(type(n) is int for n in head["shape"])
        return head if fits and isinstance(head["salt"], bytes) and isinstance(head["image"], bytes) else None
    except (OSError, ValueError, TypeError, KeyError, StopIteration):
        return None


def _beginning(head: dict[str, Any], digest: bytes, records: Iterator[dict[str, Any]]) -> Content:
    def pixels(kind: str, dtype: str) -> KnownPixels:
        record = next(records)
        if record["kind"] != kind or np.dtype(dtype).kind not in "iu":
            raise ValueError(f"no {kind}")
        size = int(np.prod(head["shape"], dtype=float)) * np.dtype(dtype).itemsize
        check_fits_in_memory(size, "The mask that was kept")
        known = KnownPixels(record["slabs"], head["shape"], np.dtype(dtype))
        known.array()
        return known

    made = pixels("pixels", head["dtype"])
    predicted = None if head["predicted"] is None else pixels("predicted", head["predicted"])
    return Content(digest, made, predicted, head["model"])


def _replay(content: Content, records: Iterator[dict[str, Any]]) -> None:
    """All changes that are whole; the first that is not ends it."""
    try:
        for record in records:
            _replay_one(content, record)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        _log.warning("a draft is damaged; what came before is restored", exc_info=error)
    for step in content.history.done:  # some became one with others
        step.difference.pack()
    content.history.forget_oldest()


def _replay_one(content: Content, record: dict[str, Any]) -> None:
    kind, history = record["kind"], content.history
    if kind in ("done", "undone"):
        (history.done if kind == "done" else history.undone).append(step_of(record, content.pixels.shape))
        return
    if kind == "now":
        content.prompts = prompts_of(record["prompts"])
    elif kind in ("step", "joined"):
        step = step_of(record, content.pixels.shape)
        content.write(step, back=False)
        content.follow(step, back=False)
        history.add(step, join=kind == "joined")
    elif kind in ("undo", "redo"):
        step = history.travel(back=kind == "undo")
        content.write(step, back=kind == "undo")
        content.follow(step, back=kind == "undo")
    content.effort = effort_of(record["effort"])
