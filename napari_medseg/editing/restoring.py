"""Reading drafts back, whoever wrote them, and whenever their window died."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_medseg.models.errors import ImageError
from napari_medseg.models.memory import check_fits_in_memory

from .content import Content
from .identity import Identity, Kinship, salted
from .journal_file import MAGIC, JournalFile, framed, payloads, size_of
from .known_pixels import KnownPixels
from .records import FORMAT, effort_of, packed, prompts_of, step_of, unpacked

_log = logging.getLogger(__name__)


def kinship_of(path: Path, shape: tuple[int, ...], identity: Callable[[], Identity]) -> Kinship | None:
    """How a file is a draft of a mask of this image; None if it is not.

    Args:
        path: the file.
        shape: of the image's mask.
        identity: gives that of the image; called only if the shape fits.
    """
    head = _head_of(path)
    if head is None or head["shape"] != shape:
        return None
    image = identity()
    kinship = image.kinship(head, head["salt"])
    return None if kinship is Kinship.PERHAPS and _is_refused(path, head, image) else kinship


def shape_of(path: Path) -> tuple[int, ...] | None:
    """Shape of the mask in a draft; None if it is no draft."""
    head = _head_of(path)
    return None if head is None else head["shape"]


def refuse(path: Path, identity: Identity) -> None:
    """Note in a draft, which must be held, that it is not this image's, so that it is not offered for it again.

    Raises:
        WriteError: no permission, no space, ...
    """
    head = _head_of(path)
    if head is None:
        return
    times, content = path.stat(), path.read_bytes()
    end = len(MAGIC) + sum(size_of(payload) for payload in payloads(path))  # behind a torn one it would not be read
    refused = framed(packed({"kind": "refused", "place": salted(identity.place.encode(), head["salt"])}))
    JournalFile(path).rewrite(content[len(MAGIC) : end] + refused + content[end:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # nobody has worked on it


def _is_refused(path: Path, head: dict[str, Any], identity: Identity) -> bool:
    place = salted(identity.place.encode(), head["salt"])
    try:
        said = (unpacked(payload) for payload in payloads(path))
        return any(record["kind"] == "refused" and record.get("place") == place for record in said)
    except (OSError, ValueError):
        return False


def read_draft(path: Path, image: Identity) -> Content:
    """Everything in a draft, up to what was being written when the window died, or was damaged later.

    Args:
        path: the file.
        image: that it is of.

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
        content = _beginning(head, image, records)
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
        sealed = [head["salt"], head["image"], head.get("place") or b"", head.get("file") or b""]
        return head if fits and all(isinstance(said, bytes) for said in sealed) else None
    except (OSError, ValueError, TypeError, KeyError, StopIteration):
        return None


def _beginning(head: dict[str, Any], image: Identity, records: Iterator[dict[str, Any]]) -> Content:
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
    return Content(image, made, predicted, head["model"])


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
    if kind == "refused":
        return
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
