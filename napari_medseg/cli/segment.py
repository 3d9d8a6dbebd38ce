"""`medseg segment`: masks for files and folders of images."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from napari_medseg.models.durable import WriteError, make_folder
from napari_medseg.models.engine.client import Engine
from napari_medseg.models.errors import CancelledError, ImageError, MedSegError, ModelError
from napari_medseg.models.reading import is_image
from napari_medseg.models.tiff import stem
from napari_medseg.models.writing import mask_ending, write_mask

from .answering import AsJson, answer, clear_errors, fail
from .naming import ChosenModel, chosen_model, usable_image
from .waiting import bars, engine, show_share, wait_for


class Answer(StrEnum):
    """What a mask tells: one number an object, or one number a class."""

    instances = "instances"
    mask = "mask"


@clear_errors
def segment(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Images, or folders with images.")],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", file_okay=False, help="Folder for the masks; older masks there are replaced."),
    ],
    model: Annotated[str, typer.Option(help="Name of a model (`medseg models`), or a weights file.")] = "nuclei",
    answers: Annotated[
        Answer | None,
        typer.Option("--answer", help="A number for each object, or one mask. By default what the model's card says."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Segment images. The mask of IN is written as OUT/NAME.png, or OUT/NAME.tif for TIFF files.

    An image that cannot be segmented does not stop the others: it is named at the end, with the reason, and the
    exit code is 1.
    """
    images, failed = _found(inputs)
    targets = _targets(images, out)
    chosen = chosen_model(model)
    instances = _instances(chosen, answers)
    make_folder(out)
    if not os.access(out, os.W_OK):  # before hours of segmenting, not after
        raise WriteError(f"You may not write in '{out}'. Nothing was written; choose another folder for the masks.")
    with contextlib.ExitStack() as stack:
        work = _Work(chosen.reference, instances, lambda: stack.enter_context(engine()), failed=failed)
        work.run(targets, out)
    value = {"model": model, "written": work.written, "failed": work.failed}
    done = f"{len(work.written)} {_masks(len(work.written))} written to {out}."
    if not work.failed:
        answer(value, as_json=as_json, text=done)
        return
    reasons = "\n".join(f"  {entry['image']}: {entry['reason']}" for entry in work.failed)
    of = len(work.failed) + len(work.written)
    fail(f"{done} {len(work.failed)} of {of} failed:\n{reasons}", as_json=as_json, value=value)


@dataclass
class _Work:
    """One call of the command: what was written, and what failed.

    Attributes:
        model: what the engine takes.
        instances: number the objects.
        connect: gives the engine; called when there is something to segment, which a bad file is not.
        written: image, mask and number of labels of each mask.
        failed: image and reason of each that has none.
    """

    model: str
    instances: bool
    connect: Callable[[], Engine]
    written: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    _engine: Engine | None = None

    def run(self, targets: dict[Path, Path], out: Path) -> None:
        """Segment each image; a bad one is written down, trouble with the model or the engine ends it all."""
        with bars() as progress:
            show = show_share(progress, "Segmenting")
            for number, (image, target) in enumerate(targets.items()):
                done = number / len(targets)

                def within(share: float, done: float = done) -> None:
                    show(done + share / len(targets))

                within(0.0)
                try:
                    labels = self._segment(image, target, within)
                except CancelledError as error:
                    kept = len(self.written)
                    raise CancelledError(f"Stopped; {kept} {_masks(kept)} written to {out} before.") from error
                except ModelError:
                    raise  # no other image would fare better
                except MedSegError as error:
                    self.failed.append({"image": str(image), "reason": str(error)})
                else:
                    self.written.append({"image": str(image), "mask": str(target), "labels": labels})

    def _segment(self, path: Path, target: Path, progress: Callable[[float], None]) -> int:
        """Write the mask of one image; how many labels it has."""
        image = usable_image(path)
        self._engine = self._engine or self.connect()
        job = self._engine.segment(image, self.model, instances=self.instances, progress=progress)
        labels = wait_for(job).labels
        write_mask(target, labels, image)
        return int(np.count_nonzero(np.unique(labels)))


def _found(inputs: list[Path]) -> tuple[list[Path], list[dict[str, str]]]:
    """The images in files and folders, each once; and what is wrong with folders."""
    found: dict[Path, Path] = {}
    failed = []
    for given in inputs:
        try:
            paths = sorted(filter(is_image, given.iterdir())) if given.is_dir() else [given]
            if not paths:
                raise ImageError(f"There are no images in '{given}' (PNG, JPEG, TIFF or OME-TIFF).")
        except (ImageError, OSError) as error:
            reason = str(error) if isinstance(error, ImageError) else f"The folder cannot be read: {error.strerror}."
            failed.append({"image": str(given), "reason": reason})
            continue
        for path in paths:
            found.setdefault(path.resolve(), path)
    return list(found.values()), failed


def _targets(images: list[Path], out: Path) -> dict[Path, Path]:
    """Where the mask of each image goes; refused if two would be one file, or if one would replace an image."""
    targets: dict[Path, Path] = {}
    for image in images:
        target = out / f"{stem(image)}{mask_ending(image)}"
        other = next((first for first, taken in targets.items() if taken == target), None)
        if other is not None:
            raise typer.BadParameter(
                f"'{other}' and '{image}' would both be written to '{target}'. Nothing was written; "
                "segment them one after the other, into two folders."
            )
        targets[image] = target
    given = {image.resolve() for image in images}
    for image, target in targets.items():
        if target.resolve() in given:
            raise typer.BadParameter(
                f"The mask of '{image}' would replace the image '{target}'. Nothing was written; "
                "choose another folder for the masks."
            )
    return targets


def _instances(chosen: ChosenModel, answers: Answer | None) -> bool:
    wanted = answers or chosen.card.answers[0]
    if wanted not in chosen.card.answers:
        raise typer.BadParameter(
            f"The model '{chosen.card.name}' does not answer with {wanted}; it does with "
            f"{' or '.join(chosen.card.answers)}."
        )
    return wanted == Answer.instances


def _masks(count: int) -> str:
    return "mask was" if count == 1 else "masks were"
