"""Text of logs, in which no folder of the user's is named: folders are often called after patients.

The names of files stay, without where they are: a log that does not say which of a thousand files is damaged helps
nobody, and the user is referred to it for that. What has no ending of a file counts as a folder, and OME-Zarr images
are folders. Where it cannot be told where a path ends, more of the line goes rather than less.
"""

from __future__ import annotations

import logging
import re

from .formats.kinds import IMAGE_ENDINGS

_ENDINGS = (
    *(ending for ending in IMAGE_ENDINGS if ending != ".zarr"),
    *(".json", ".jsonl", ".csv", ".txt", ".html", ".log", ".lock", ".draft", ".db", ".sqlite", ".safetensors"),
    *(".pt", ".pth", ".py", ".so", ".toml", ".yaml", ".xml", ".zip", ".gz", ".partial"),
)
"""Of files that are read and written here."""

_SEPARATOR = re.compile(r"[/\\]")

_FILE = re.compile(rf"[^/\\]*(?:{'|'.join(map(re.escape, _ENDINGS))})", re.IGNORECASE)

_INSIDE = r"""(?:(?!(?P=quote))[^\n]|(?<=\w)'(?=\w))*"""
"""What stands in quotes; the apostrophe of O'Brien does not end it."""

_QUOTED_PATH = re.compile(
    rf"""(?<!\w)(?P<quote>['"])(?=(?:(?!(?P=quote)).|(?<=\w)'(?=\w))*[/\\])(?P<text>{_INSIDE})(?P=quote)"""
)
_QUOTED = re.compile(rf"""(?<!\w)(?P<quote>['"])(?P<text>{_INSIDE})(?P=quote)""")

_PATH = re.compile(
    r"""(?:(?<![\w:/\\<…])|(?<=file:[/\\]{2}))(?:[A-Za-z]:)?[/\\](?=[^\s'"])"""
    r"""(?:[^'"\n:<>|]|:(?=\S)|(?<=\w)'(?=\w))*"""
)
"""An absolute path without quotes and the words behind it, up to a quote, a colon or the end: folders may have spaces
in their names."""

_CODE = re.compile(r'^\s*File "')
"""A line of a traceback: where our code is, which is not the user's."""

_OURS = re.compile(r"\bnapari_medseg\.")
"""A line that this project wrote: in its sentences files and folders are quoted without where they are, too."""


class WithoutFolders(logging.Formatter):
    """Writes "…/scan.nii" for "/scans/Jane Doe/scan.nii", in messages and in the texts of errors."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text, tracebacks included."""
        lines = super().format(record).splitlines()
        return "\n".join(line if _CODE.match(line) else without_folders(line) for line in lines)


def without_folders(line: str) -> str:
    """A line of text without folders: "…/NAME" for paths of files, "…" for paths of folders."""
    line = (_QUOTED if _OURS.search(line) else _QUOTED_PATH).sub(_without_quoted, line)
    return _PATH.sub(_without, line)


def _without_quoted(found: re.Match[str]) -> str:
    quote, text = found["quote"], found["text"]
    *folders, name = _SEPARATOR.split(text)
    kept = ("…/" if folders else "") + name if _FILE.fullmatch(name) else "…"
    return f"{quote}{kept}{quote}"


def _without(found: re.Match[str]) -> str:
    """The file at the end of a path, and the words behind it; nothing if it cannot be told from a folder."""
    *_, rest = _SEPARATOR.split(found[0])
    name = rest.partition(" ")[0]
    return f"…/{rest}" if _FILE.fullmatch(name.rstrip(".,;)]")) else "…"
