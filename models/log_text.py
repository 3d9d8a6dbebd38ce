"""Text of logs, in which no folder of the user's is named: folders are often called after patients."""

from __future__ import annotations

import logging
import re

# From the first separator to the last before a quote, a colon or the end: folders may have spaces in their names.
_FOLDERS = re.compile(r"""(?<![\w:/\\])(?:[A-Za-z]:)?[/\\][^'"\n:<>|]*[/\\](?=[^/\\\s'"])""")

_CODE = re.compile(r'^\s*File "')
"""A line of a traceback: where our code is, which is not the user's."""


class WithoutFolders(logging.Formatter):
    """Writes "…/scan.nii" for "/scans/Jane Doe/scan.nii", in messages and in the texts of errors."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text, tracebacks included."""
        lines = super().format(record).splitlines()
        return "\n".join(line if _CODE.match(line) else without_folders(line) for line in lines)


def without_folders(line: str) -> str:
    """A line of text without the folders of absolute paths."""
    return _FOLDERS.sub("…/", line)
