"""Where a command's log goes: tracebacks into a file, warnings for the user to standard error."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
from pathlib import Path

import platformdirs
import typer

from napari_medseg.models.log_text import WithoutFolders


def command_log() -> Path:
    """The file that the tracebacks of commands go to."""
    return platformdirs.user_log_path("napari-medseg") / "command.log"


def keep_log() -> None:
    """Write what happens to the log, for the rest of this process; a log that cannot be written stops no command."""
    logging.raiseExceptions = False
    file: logging.Handler = logging.NullHandler()
    with contextlib.suppress(OSError):
        command_log().parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            command_log(), maxBytes=1_000_000, backupCount=1, encoding="utf-8", errors="backslashreplace", delay=True
        )
        file.setFormatter(WithoutFolders("%(asctime)s %(name)s %(message)s"))
    logging.getLogger().addHandler(file)
    ours = logging.getLogger("napari_medseg")
    ours.setLevel(logging.INFO)
    ours.addHandler(_Said())


class _Said(logging.Handler):
    """Our own warnings, which have words for people; errors are told by who handles them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, without level and time."""
        if record.levelno == logging.WARNING and not record.exc_info:
            typer.echo(record.getMessage(), err=True)
