"""`medseg train`: train a network on a folder of images and masks, as the papers do."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.progress import Progress

from napari_medseg.trainer.folder_config import FolderRequest
from napari_medseg.trainer.folder_outcome import FolderProgress, FolderResult, show_looking
from napari_medseg.trainer.folder_plan import plan_training

from .answering import AsJson, answer, clear_errors, note
from .waiting import bars


class RecipeName(StrEnum):
    """How to train."""

    published = "published"
    quick = "quick"


@clear_errors
def train(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Holds train/ and val/ with images/ and masks/ (or targets/, labels/) in each; or images/ and masks/, "
            "of which about a fifth then validates. Pictures, or volumes (.nii.gz, .nrrd, ...), slice by slice.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", file_okay=False, help="Folder for the weights; a training there goes on.")
    ],
    model: Annotated[str, typer.Option(help="Name of a network (`medseg models`).")] = "unet",
    recipe: Annotated[
        RecipeName, typer.Option(help="As the network's paper trains it, or as works well on a desk.")
    ] = RecipeName.quick,
    adstnet: Annotated[
        bool, typer.Option("--adstnet", help="Train with AdSTNet's head on, for sharper borders; it is dropped later.")
    ] = False,
    budget: Annotated[float | None, typer.Option(min=0.01, help="Minutes to train for, validation included.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps to train for, instead of the recipe's epochs.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of fresh weights and random crops.")] = 0,
    classes: Annotated[
        int | None,
        typer.Option(min=1, max=255, help="1: all that is above 0 in a mask; n: the labels 0 to n - 1. 1 by default."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Names of the classes 1, 2, ..., with commas between: liver,spleen.")
    ] = None,
    ignore: Annotated[
        int | None, typer.Option(min=0, help="Label of pixels that nobody labelled; they count for nothing.")
    ] = None,
    empty: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Share of the crops of volumes from slices without an object. By default 0.2, and with the published "
            "recipe as they come.",
        ),
    ] = None,
    context: Annotated[
        int,
        typer.Option(min=0, max=8, help="Slices on each side that the network sees beside the one it segments (2.5D)."),
    ] = 0,
    batch: Annotated[int | None, typer.Option(min=1, help="Crops a step, instead of the recipe's.")] = None,
    crop: Annotated[int | None, typer.Option(min=32, help="Side of a crop in pixels, instead of the recipe's.")] = None,
    lr: Annotated[float | None, typer.Option(min=1e-9, help="Learning rate, instead of the recipe's.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Begin from these weights: a .safetensors file or a model's name.")
    ] = None,
    encoder_weights: Annotated[
        Path | None, typer.Option(help="A file with published weights of the network's encoder.")
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Download published weights of the network's encoder.")
    ] = False,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="An option of the network, such as variant=large.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a network on a folder of images and masks. OUT/best.safetensors are the weights that were best on val.

    Ctrl-C, a crash or a power cut lose nothing but the last half minute: the same command goes on where it was.
    """
    names = tuple(name.strip() for name in labels.split(",")) if labels else ()
    request = FolderRequest(
        folder=folder.expanduser().absolute(),
        out=out.expanduser().absolute(),
        network=model,
        recipe=recipe.value,
        adstnet=adstnet,
        minutes=budget,
        steps=steps,
        batch=batch,
        crop=crop,
        lr=lr,
        seed=seed,
        classes=classes or (len(names) + 1 if len(names) > 1 else 1),
        labels=names,
        ignore=ignore,
        empty=empty,
        context=context,
        options=dict(map(_option, option or [])),
        weights=weights,
        encoder_weights=encoder_weights,
        pretrained=pretrained,
    )
    with _stop_at_ctrl_c() as stopped, bars(trainer=True) as progress:
        result = _train(request, _shown(progress), stopped)
    slices = f" ({result.planes} slices)" if result.planes > result.trained_on else ""
    text = (
        f"Trained {model} on {_images(result.trained_on)}{slices} for {result.epochs:.1f} epochs ({result.steps} "
        f"steps, {_lasted(result.seconds)}). Dice {result.dice:.3f} on {_images(result.validated_on)} apart, at epoch "
        f"{result.best_epoch:.1f}.\nTry it: medseg segment IMAGES -o MASKS --model {result.weights}"
    )
    if not _helps():
        answer(asdict(result) | {"weights": str(result.weights)}, as_json=as_json, text=text)


def _train(request: FolderRequest, show: Callable[[FolderProgress], None], stopped: Callable[[], bool]) -> FolderResult:
    """In this process: torch is imported once all input is known to be good, and Ctrl-C is seen between two steps."""
    plan = plan_training(request, progress=show_looking(show), cancel=stopped)
    warnings.filterwarnings("ignore")  # of libraries about each other; ours are in the log
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    from napari_medseg.trainer.folder_training import train_planned

    return train_planned(plan, progress=show, cancel=stopped)


def _helps() -> bool:
    """Whether this is one of the processes that Fabric starts for the second and each further GPU; they say nothing."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


def _option(given: str) -> tuple[str, Any]:
    """Name and value of NAME=VALUE; a value is JSON, or else text."""
    name, equals, value = given.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"'{given}' is not NAME=VALUE, such as variant=large.")
    with contextlib.suppress(ValueError):
        return name, json.loads(value)
    return name, value


@contextlib.contextmanager
def _stop_at_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Tells whether Ctrl-C was pressed, which by itself interrupts nothing until it is pressed once more."""
    pressed: list[bool] = []

    def press(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)
        note("Stopping after this step ...")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def _shown(progress: Progress) -> Callable[[FolderProgress], None]:
    """Shows how far the training is: in a bar, or where there is no terminal as a line for each look at val."""
    if _helps():
        return lambda now: None
    bar = progress.add_task("", total=1.0, figures="", eta=None)
    last: list[FolderProgress] = []

    def show(now: FolderProgress) -> None:
        progress.update(
            bar, completed=now.share, description=now.message, figures=_figures(now), eta=now.eta, told=time.monotonic()
        )
        if progress.disable and last and last[0].message == "Validating" and now.message == "Training":
            note(f"Step {now.step}: {_figures(now)}")
        last[:] = [now]

    return show


def _figures(now: FolderProgress) -> str:
    parts = [f"epoch {now.epoch:.1f}"] if now.step else []
    if now.loss == now.loss:
        parts.append(f"loss {now.loss:.3f}")
    if now.dice is not None:
        parts.append(f"validation Dice {now.dice:.3f}, best {now.best:.3f}")
    return "  ".join(parts)


def _images(count: int) -> str:
    return f"{count} image{'s' * (count != 1)}"


def _lasted(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
