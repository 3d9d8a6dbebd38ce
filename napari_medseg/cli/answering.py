"""How a command answers: JSON or words on standard output, one sentence on standard error if it could not."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import logging.handlers
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, cast

import platformdirs
import typer

from napari_medseg.models.errors import MedSegError

AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON, on the last line of standard output.")]
"""The option `--json`; the parameter is called `as_json` in every command."""

Command = TypeVar("Command", bound=Callable[..., None])

log = logging.getLogger(__name__)


def answer(value: dict[str, Any], *, as_json: bool, text: str = "") -> None:
    """Print the answer: `value` as one line of JSON, or `text`."""
    if as_json:
        typer.echo(json.dumps(value))
    elif text:
        typer.echo(text)


def note(text: str) -> None:
    """Say something beside the answer."""
    typer.echo(text, err=True)


def clear_errors(command: Command) -> Command:
    """Make a command end with one sentence and exit code 1 when it fails; the traceback goes to the log.

    With `--json` the answer is then {"error": SENTENCE}. Wrong use (`typer.BadParameter`) is left to typer, which
    exits with 2.
    """

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        as_json = bool(options.get("as_json"))
        try:
            command(*args, **options)
        except (typer.Exit, typer.BadParameter, BrokenPipeError):
            raise
        except MedSegError as error:
            _write_down(f"{command.__name__} failed")
            fail(str(error), as_json=as_json)
        except KeyboardInterrupt:
            fail("Stopped. What was written before is kept.", as_json=as_json)
        except Exception as error:
            _write_down(f"{command.__name__} failed unexpectedly")
            fail(
                f"Something unexpected went wrong ({type(error).__name__}: {error}). What was written before is kept; "
                f"the details are in {command_log()}.",
                as_json=as_json,
            )

    return cast(Command, run)


def fail(sentence: str, *, as_json: bool, value: dict[str, Any] | None = None) -> NoReturn:
    """Say why it failed, and end with exit code 1; with `--json` answer with `value`, or with the error alone."""
    note(sentence)
    answer(value or {"error": sentence}, as_json=as_json)
    raise typer.Exit(1)


def command_log() -> Path:
    """Where the tracebacks of commands go."""
    return platformdirs.user_log_path("napari-medseg") / "command.log"


def _write_down(what: str) -> None:
    """Append the current traceback to the log, unless the log cannot be written: that must not hide the sentence."""
    with contextlib.suppress(OSError):
        command_log().parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            command_log(), maxBytes=1_000_000, backupCount=1, encoding="utf-8", errors="backslashreplace"
        )
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.propagate = False
        log.addHandler(handler)
        log.error(what, exc_info=True)
        log.removeHandler(handler)
        handler.close()
