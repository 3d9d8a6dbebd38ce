"""Whether the pixels of a project are there and whole, and what else lies in its folder."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_medseg.models.errors import LedgerError
from napari_medseg.trainer.ledger import Ledger
from napari_medseg.trainer.ledger_copy import LOGS, NAME
from napari_medseg.trainer.named_cases import named_cases
from napari_medseg.trainer.pixels import PixelStore
from napari_medseg.trainer.records import CorrectionRecord

from ..project_places import DRAFTS, LARGE
from ..sizes import in_bytes
from .finding import Finding, fine, note, wrong

_YOUNG = 300.0
"""Seconds: a file that is no older when the ledger is copied may be of a correction that is just being accepted."""

_OURS = {NAME, *(f"{NAME}{ending}" for ending in (*LOGS, "-shm")), "objects", "versions", "jobs", DRAFTS, LARGE}
"""What lies in the folder of a project."""

_WRITTEN_IN = ("", "objects/??/", "versions/", "jobs/*/", f"{DRAFTS}/", f"{LARGE}/*/")
"""Where files are written under another name first; not deeper, where masks have hundreds of thousands of pieces."""


def pixels(opened: Ledger, seconds: float) -> Iterator[Finding]:
    """Whether the pixels of all cases are there, and, for as many as the time allows, whole; the newest first.

    Args:
        opened: the project, as far as it is only read.
        seconds: that may be spent on reading.
    """
    store = PixelStore(opened.folder)
    end = time.monotonic() + seconds
    cases = named_cases(opened)
    bad: dict[str, list[str]] = {}  # by case
    proposals, read, unread = [], 0, 0
    for case in reversed(cases):
        lost = [what for what, key in _keys(case.record) if not _is_there(opened.folder, key)]
        if not lost and time.monotonic() < end:
            states = [(what, _state(store, key)) for what, key in _keys(case.record)]
            lost = [what for what, state in states if state == "damaged"]
            unread += any(state == "unknown" for _, state in states)
            read += 1
        elif not lost:
            unread += 1
        if lost == ["proposal"]:
            proposals.append(case.name)
        elif lost:
            bad[case.name] = lost
    details = {"cases": len(cases), "read": read}
    if bad:
        yield _damaged(bad, len(cases), details)
    if proposals:
        yield note(
            f"Of {_cases(proposals)} the mask that the model had proposed is missing or damaged. The image and its "
            "accepted mask are there.",
            "Nothing has to be done; only reports need it. A copy of the project may still have it.",
            details=details,
        )
    if unread:
        yield note(
            f"The pixels of {unread} of {len(cases)} cases are there, but were not read to the end for want of time or "
            "memory.",
            "To read all of them: medseg doctor PROJECT --patience 3600",
            details=details,
        )
    if not (bad or proposals or unread):
        yield fine(_all_whole(len(cases)), details=details)


def others(opened: Ledger, begun: float) -> Iterator[Finding]:
    """What lies in the folder that nothing refers to.

    Args:
        opened: the project, as far as it is only read.
        begun: when it was opened, in s as `time.time` has it: a copy does not know what was accepted since.
    """
    known = {key for record in opened.corrections(all=True) for _, key in _keys(record)}
    versions = {version.name for version in opened.models()}
    folder, before = opened.folder, begun - _YOUNG
    unused = [
        *(path for path in folder.glob("objects/??/*.tif") if path.stem not in known),
        *(path for path in folder.glob("versions/*.safetensors") if path.stem not in versions),
        *(path for path in folder.glob("versions/*.json") if path.stem not in versions),
        *(path for place in _WRITTEN_IN for path in folder.glob(f"{place}*.partial") if _half_written(path)),
    ]
    unused = [path for path in dict.fromkeys(unused) if _age(path) < before]
    foreign = [path for path in folder.iterdir() if path.name not in _OURS and not _half_written(path)]
    names = {"unused": [str(p.relative_to(folder)) for p in unused], "foreign": sorted(p.name for p in foreign)}
    details = {"unused files": len(unused), "foreign files and folders": len(foreign)}
    if unused:
        size = in_bytes(sum(map(_size, unused)))
        yield note(
            f"{_files(len(unused))} of this project ({size}) belong to nothing: left over from a crash or a full disk. "
            "They do no harm.",
            "Leave them, unless you need their room; then ask whoever looks after this computer. --verbose names them.",
            details=details,
            names=names,
        )
    if foreign:
        yield note(
            f"{_files(len(foreign))} or folders in the project's folder are not MedSeg's.",
            "They do no harm. If they are yours, keep them elsewhere: who gets this folder gets them, too. --verbose "
            "names them.",
            details=details,
            names=names,
        )
    if not (unused or foreign):
        yield fine("Nothing lies in the project's folder that does not belong there.", details=details)


def _half_written(path: Path) -> bool:
    return bool(re.fullmatch(r".*\.[0-9a-f]{8}\.partial", path.name))


def _keys(record: CorrectionRecord) -> list[tuple[str, str]]:
    keys = [("image", record.image_key), ("mask", record.mask_key), ("proposal", record.predicted_key)]
    return [(what, key) for what, key in keys if key is not None]


def _is_there(folder: Path, key: str) -> bool:
    return bool(re.fullmatch("[0-9a-f]{64}", key)) and (folder / "objects" / key[:2] / f"{key}.tif").is_file()


def _state(store: PixelStore, key: str) -> str:
    """How these pixels are: "whole", "damaged", or "unknown" for want of memory."""
    try:
        store.get(key)
    except LedgerError as error:
        return "unknown" if isinstance(error.__cause__, MemoryError) else "damaged"
    return "whole"


def _damaged(bad: dict[str, list[str]], count: int, details: dict[str, int]) -> Finding:
    kinds = [what for what in ("image", "mask") if any(what in lost for lost in bad.values())]
    return wrong(
        f"Pixels of {len(bad)} of {count} cases are missing or damaged ({' and '.join(kinds)}): {_cases(sorted(bad))}. "
        "The others are as they were.",
        "Put the folder objects back from a copy of the project, or open these images again and accept their masks. "
        "Look after the disk: files do not change by themselves.",
        details=details | dict(sorted(bad.items())[:20]),
    )


def _cases(names: Iterable[str], shown: int = 5) -> str:
    """Cases are called by numbers."""
    listed = list(names)
    more = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return f"{', '.join(listed[:shown])}{more}"


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _all_whole(count: int) -> str:
    if count == 0:
        return "Nothing was accepted yet."
    return f"Image and mask of {'the one case' if count == 1 else f'all {count} cases'} are there and whole."


def _age(path: Path) -> float:
    """When it was changed; now, if it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
