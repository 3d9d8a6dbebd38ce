"""How a command answers: JSON or words on standard output, one sentence on standard error if it could not."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from typing import Annotated, Any, NoReturn, TypeVar, cast

import typer

from napari_medseg.models.errors import MedSegError

from .journal import command_log

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
            log.error("%s failed", command.__name__, exc_info=True)
            fail(str(error), as_json=as_json)
        except KeyboardInterrupt:
            fail("Stopped. What was written before is kept.", as_json=as_json)
        except Exception as error:
            log.exception("%s failed unexpectedly", command.__name__)
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
