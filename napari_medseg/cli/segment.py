"""`medseg segment`: masks for files and folders of images."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from napari_medseg.models.chosen_model import ChosenModel, chosen_model
from napari_medseg.models.durable import WriteError, make_folder
from napari_medseg.models.engine.client import Engine
from napari_medseg.models.errors import CancelledError, EngineError, MedSegError, ModelError
from napari_medseg.models.folder_images import TargetError, images_in, targets_for
from napari_medseg.models.formats.opening import open_image
from napari_medseg.models.label_store import LabelStore
from napari_medseg.models.mask_record import Record
from napari_medseg.models.streaming.partial import partial_of
from napari_medseg.models.streaming.streamed import Streamed
from napari_medseg.models.writing import on_disk, write_mask

from .answering import AsJson, answer, clear_errors, fail, note
from .naming import usable
from .waiting import bars, engine, show_share, wait_for

LARGE = 2**27
"""Pixels of a mask above which it goes to disk as it is made."""

PLACED = (".nii.gz", ".nrrd", ".mha")
"""Endings of masks that get their own format afterwards, since it says where the image lies in the patient."""


class Answer(StrEnum):
    """What a mask tells: one number an object, or one number a class."""

    instances = "instances"
    mask = "mask"


@clear_errors
def segment(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Images, or folders with images.")],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", file_okay=False, help="Folder for the masks."),
    ],
    model: Annotated[str, typer.Option(help="Name of a model (`medseg models`), or a weights file.")] = "nuclei",
    answers: Annotated[
        Answer | None,
        typer.Option("--answer", help="A number for each object, or one mask. By default what the model's card says."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Make all masks anew, and replace corrected ones, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Segment images. The mask of IN is written as OUT/NAME, in a format that fits that of IN.

    That is .nii.gz for NIfTI and DICOM, .nrrd, .mha, .tif or .ome.zarr for their like, and .png for pictures. The mask
    of a picture or a TIFF that is too large for the memory is written as OUT/NAME.tif.ome.zarr or the like. A folder
    that holds a DICOM series or is an OME-Zarr image is one image; of other folders, the images in them are taken.

    A mask that was made before, by the same model of the same image, stays: started again, the command goes on where
    it stopped. A mask that was corrected since stays, and so does any other file that this command did not write; they
    are named at the end. An image that cannot be segmented, or where the mask of another image stands or would, does
    not stop the others: it is named at the end, with the reason, and the exit code is 1.
    """
    images, failed = images_in(inputs)
    try:
        targets, alike = targets_for(images, out)
    except TargetError as error:
        raise typer.BadParameter(str(error)) from error
    failed += alike
    chosen = _chosen(model)
    instances = _instances(chosen, answers)
    make_folder(out)
    if not os.access(out, os.W_OK):  # before hours of segmenting, not after
        raise WriteError(f"You may not write in '{out}'. Nothing was written; choose another folder for the masks.")
    record = Record.of(out, chosen, instances=instances)
    with contextlib.ExitStack() as stack:
        work = _Work(chosen.reference, instances, lambda: stack.enter_context(engine()), record, again, failed=failed)
        work.run(targets)
    value = {
        "model": model,
        "written": work.written,
        "skipped": work.skipped,
        "kept": work.kept,
        "failed": work.failed,
    }
    done = f"{len(work.written)} {_masks(len(work.written))} written to {out}."
    if work.skipped:
        done += f" {len(work.skipped)} {_masks(len(work.skipped))} there already; --again makes them anew."
    if work.kept:
        names = "".join(f"\n  {entry['mask']}" for entry in work.kept)
        done += (
            f" {len(work.kept)} {_masks(len(work.kept))} kept, corrected or not made by this command; --again replaces "
            f"them:{names}"
        )
    if not work.failed:
        answer(value, as_json=as_json, text=done)
        return
    reasons = "\n".join(f"  {entry['image']}: {entry['reason']}" for entry in work.failed)
    of = len(work.failed) + len(work.written) + len(work.skipped) + len(work.kept)
    done += "\n" if work.kept else " "
    fail(f"{done}{len(work.failed)} of {of} failed:\n{reasons}", as_json=as_json, value=value)


class _KeptError(Exception):
    """There is a mask that stays as it is."""

    def __init__(self, mask: Path) -> None:
        super().__init__(str(mask))
        self.mask = mask


@dataclass
class _Work:
    """One call of the command: what was written, and what failed.

    Attributes:
        model: what the engine takes.
        instances: number the objects.
        connect: gives the engine; called when there is something to segment, which a bad file is not.
        record: of what is done.
        again: make masks anew that are done, and replace those that are not as this command wrote them.
        written: image, mask and number of labels of each mask.
        skipped: image and mask of each that was done before.
        kept: image and mask of each that would have replaced a correction, or a file that is not ours.
        failed: image and reason of each that has none.
    """

    model: str
    instances: bool
    connect: Callable[[], Engine]
    record: Record
    again: bool
    written: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    kept: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    _engine: Engine | None = None

    def run(self, targets: dict[Path, Path]) -> None:
        """Segment each image; a bad one is written down, trouble with the model or the engine ends it all."""
        with bars() as progress:
            show = show_share(progress, "Segmenting")
            for number, (image, target) in enumerate(targets.items()):
                done = number / len(targets)

                def within(share: float, done: float = done) -> None:
                    show(done + share / len(targets))

                within(0.0)
                known = None if self.again else self.record.is_done(image, [target, on_disk(target)])
                if known:
                    self.skipped.append({"image": str(image), "mask": str(known)})
                    continue
                try:
                    mask, labels = self._segment(image, target, within)
                except _KeptError as error:
                    self.kept.append({"image": str(image), "mask": str(error.mask)})
                except (CancelledError, KeyboardInterrupt) as error:
                    kept = len(self.written)
                    raise CancelledError(
                        f"Stopped; {kept} {_masks(kept)} written to {self.record.folder} before. The same command "
                        "goes on from there."
                    ) from error
                except ModelError:
                    raise  # no other image would fare better
                except MedSegError as error:
                    self.failed.append({"image": str(image), "reason": str(error)})
                else:
                    self.written.append({"image": str(image), "mask": str(mask), "labels": labels})

    def _segment(self, path: Path, target: Path, progress: Callable[[float], None]) -> tuple[Path, int]:
        """Write the mask of one image; where it is, and how many labels it has."""
        opened = open_image(path)
        for notice in opened.notices:
            note(f"'{path.name}': {notice}")
        known = opened.notices
        large = bool(np.prod(opened.image.mask_shape, dtype=np.int64) > LARGE)
        self._check_may_replace(path, target, large=large)
        if large:
            target, labels = self._stream(path, opened.part, target, progress)
        else:
            opened = opened.loaded()
            for notice in opened.notices[len(known) :]:
                note(f"'{path.name}': {notice}")
            image = usable(opened.image, path.name)
            predicted = self._answer("segment", image, self.model, instances=self.instances, progress=progress)
            self._check_may_replace(path, target, large=False)  # corrected meanwhile
            write_mask(target, predicted.labels, image, source=opened)
            labels = int(np.count_nonzero(np.unique(predicted.labels)))
        self.record.add(path, target)
        return target, labels

    def _check_may_replace(self, image: Path, target: Path, *, large: bool) -> None:
        """Look at what stands where the mask of an image goes.

        Raises:
            _KeptError: a mask that somebody corrected or drew, or another file.
            WriteError: the mask of another image, which is not replaced in any case.
        """
        places = [target] if not large else [on_disk(target), *([target] if target.name.endswith(PLACED) else [])]
        if large and self.record.is_begun_of_another(image, on_disk(target)):
            raise WriteError(
                f"In '{target.parent}' there is the unfinished mask of another image of this name. Segment that one to "
                f"its end first, or remove '{partial_of(on_disk(target)).name}', or choose another folder for this one."
            )
        for place in filter(os.path.lexists, places):
            if self.record.is_of_another(image, place):
                raise WriteError(
                    f"'{place.name}' in '{place.parent}' is the mask of another image and stays. Choose another folder "
                    "for the mask of this one, or move that one away."
                )
            if not self.again and not self.record.is_ours(place):
                raise _KeptError(place)

    def _stream(self, path: Path, part: str, target: Path, progress: Callable[[float], None]) -> tuple[Path, int]:
        """The same for an image that may not fit into memory: the engine opens it, and its mask goes to disk."""
        streamed_to = on_disk(target)
        self.record.begin(path, streamed_to)
        streamed: Streamed = self._answer(
            "segment_file", path, part, self.model, streamed_to, instances=self.instances, progress=progress
        )
        if not target.name.endswith(PLACED):
            return streamed_to, streamed.labels
        self.record.add(path, streamed_to)  # ours, if it stays behind
        opened = open_image(path, part)
        labels = LabelStore.open(streamed_to).read()
        try:
            self._check_may_replace(path, target, large=False)
            write_mask(target, labels, opened.image, source=opened)
        except _KeptError:
            shutil.rmtree(streamed_to, ignore_errors=True)
            raise
        shutil.rmtree(streamed_to, ignore_errors=True)
        return target, streamed.labels

    def _answer(self, method: str, *args: Any, **options: Any) -> Any:
        """What the engine says; of one that died, another one is asked next time."""
        self._engine = self._engine or self.connect()
        try:
            found = wait_for(getattr(self._engine, method)(*args, **options))
        except EngineError:
            if not self._engine.alive:
                self._engine = None
            raise
        for notice in found.notices:
            note(f"'{_name_of(args[0])}': {notice}")
        return found


def _chosen(model: str) -> ChosenModel:
    chosen = chosen_model(model)
    if chosen.card.encoder_only:
        raise ModelError(
            f"Of '{chosen.card.name}' only the encoder has learned to see, so its masks would be noise. Let it learn "
            "first: from the corrections of a project, two are enough (`medseg finetune PROJECT --base NAME`); "
            "or choose another model (`medseg models` lists them)."
        )
    return chosen


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


def _name_of(image: Any) -> str:
    return str(image.name)
