"""The command line `medseg`: the loop of the panel without a window, for scripts, servers and tests.

Exit codes: 0 done, 1 failed (one sentence on standard error says why), 2 wrong use. With `--json` the last line of
standard output is the answer as JSON. No command imports torch when it starts: what computes runs in the engine, and
`train` imports it when it begins.
"""

from __future__ import annotations

import contextlib
import sys

import typer

from .accept import accept
from .demo import demo
from .doctor import doctor
from .evaluate import evaluate
from .export import export
from .finetune import finetune
from .journal import keep_log
from .models import models
from .open import open_
from .report import report
from .segment import segment
from .train import train

app = typer.Typer(
    name="medseg",
    help=(
        "Segment medical images, correct the masks, and let the network learn from the corrections. "
        "For research; not a medical device."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("open")(open_)
app.command()(demo)
app.command()(models)
app.command()(segment)
app.command()(accept)
app.command()(finetune)
app.command()(train)
app.command()(evaluate)
app.command()(export)
app.command()(report)
app.command()(doctor)


def main() -> None:
    """The entry point of the command `medseg`."""
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end the command
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    keep_log()
    app()
