"""Training on a folder of images and masks, as the papers do.

OUT gets the weights that were best on the validation images (best.safetensors and their card best.json), config.json,
log.csv, training.log, tensorboard/ and last.checkpoint, from which the same request goes on after whatever ended it.
While it trains, OUT/slices-0 (-1, ... of further devices) has the slices of volumes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import math
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning.fabric import Fabric
from torch import nn

from napari_medseg.models.cards import ModelCard
from napari_medseg.models.checkpoints import load_model, save_model
from napari_medseg.models.durable import write
from napari_medseg.models.errors import CancelledError, ModelError
from napari_medseg.models.inference import predict
from napari_medseg.models.registry import create_model

from .beginning import begun
from .folder_config import FolderRequest
from .folder_outcome import FolderProgress, FolderResult, Progress, show_looking
from .folder_plan import FolderPlan, plan_training
from .folder_planes import FolderPlanes
from .folders import Pair, read_pair
from .memory import is_out_of_memory
from .metrics import dice
from .pacing import Pace
from .samples import Batches
from .training import Step, TrainingState, all_devices, train
from .training_log import LogRow, TrainingLog

CHECKPOINT = 30.0
"""Seconds between checkpoints; one is written after each look at the validation images, too."""

WORKERS = 4
"""Processes that prepare batches for a GPU."""

KEPT = 2 * 2**30
"""Bytes of images that are kept in memory, by all of them together."""

BROKEN = 20
"""Steps in a row whose loss is no number, after which there is no hope."""

log = logging.getLogger(__name__)


def train_folder(
    request: FolderRequest,
    *,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
    fabric: Fabric | None = None,
) -> FolderResult:
    """Train a network on a folder, or go on with a training of the same request that was cut short.

    Args:
        request: what to train, on what, and where to write.
        progress: called after each step.
        cancel: asked between steps; if it answers True a checkpoint is written, to go on from.
        fabric: decides devices and precision; by default every GPU of this machine, or its CPU.

    Raises:
        ImageError: pairs that cannot be used, or too few.
        ModelError: numbers, names or weights that cannot be; a different training in OUT; too little memory.
        WriteError: OUT cannot be written.
        CancelledError: `cancel` answered True.
    """
    show = None if progress is None else show_looking(progress)
    plan = plan_training(request, progress=show, cancel=cancel)
    return train_planned(plan, progress=progress, cancel=cancel, fabric=fabric)


def train_planned(
    plan: FolderPlan,
    *,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
    fabric: Fabric | None = None,
) -> FolderResult:
    """Carry out a plan, or go on with it; as `train_folder`."""
    fabric = fabric or all_devices()
    fabric.launch()
    with _alone(plan.request.out) if fabric.is_global_zero else contextlib.nullcontext():
        try:
            return _FolderTraining(plan, fabric, progress or (lambda _: None), cancel).result()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise ModelError(
                "There is too little memory for this network. Close other programs and run the same command again, or "
                "choose a smaller network or smaller crops and another folder."
            ) from error


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One training a folder; and what it says goes to training.log, too."""
    lock = FileLock(out / "training.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ModelError(f"Another training is at work in '{out}'. Wait for it, or choose another folder.") from error
    ours = logging.getLogger("napari_medseg.trainer")
    handler = logging.FileHandler(out / "training.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level)
        ours.removeHandler(handler)
        handler.close()
        lock.release()


class _FolderTraining:
    """One run: the network, what it learns from, and what chooses its best weights."""

    def __init__(self, plan: FolderPlan, fabric: Fabric, progress: Progress, cancel: Callable[[], bool] | None) -> None:
        self.plan, self.config, self.fabric = plan, plan.config.training, fabric
        self.out = plan.request.out
        self.progress, self.cancel = progress, cancel
        self.state = self._begin()
        self.looking, self.saving = Pace(share=0.2, free=0), Pace(share=0.1, free=10)
        self.saved = time.monotonic()
        self.log = TrainingLog(self.out, self.state.step) if fabric.is_global_zero else None

    def result(self) -> FolderResult:
        """Train to the end; everything is written when this returns."""
        try:
            self._train()
        except CancelledError:
            self._save()
            step = self.state.step
            raise CancelledError(
                f"Stopped after {step} step{'s' * (step != 1)}; nothing is lost. Run the same command again to go on."
            ) from None
        finally:
            if self.log:
                self.log.close()
        notes, step = self.state.notes, self.state.step
        return FolderResult(
            weights=self.out / "best.safetensors",
            dice=notes["best"],
            best_epoch=round(self._epoch(int(notes["best_step"])), 2),
            epochs=round(self._epoch(step), 2),
            steps=step,
            seconds=round(self.state.elapsed, 1),
            trained_on=len(self.plan.training),
            planes=sum(self.plan.planes),
            validated_on=len(self.plan.validation),
        )

    def _begin(self) -> TrainingState:
        """The state before the next step, wherever it was left."""
        torch.manual_seed(self.config.seed)
        state = begun(self.fabric, self._network(), self.config)
        if self.fabric.is_global_zero:
            write(self.out / "config.json", self.plan.config.to_json().encode())
        checkpoint = self.out / "last.checkpoint"
        try:
            resumed = state.resume(checkpoint)
        except (RuntimeError, ValueError, KeyError, EOFError, OSError, pickle.UnpicklingError) as error:
            if is_out_of_memory(error):
                raise
            raise ModelError(
                f"'{checkpoint}' cannot be read: it is damaged, or of another version. Take it away to begin anew."
            ) from error
        kind = f"{self.plan.config.network}, {self.plan.config.begins}, on {self.fabric.world_size} x"
        log.info("%s %s; %s", kind, self.fabric.device.type, f"going on after step {state.step}" if resumed else "new")
        return state

    def _network(self) -> nn.Module:
        """The network with a card, in training from what the request says."""
        request, config = self.plan.request, self.plan.config
        if request.weights is not None:
            network = load_model(request.weights)
        else:
            network = create_model(
                config.network,
                in_channels=config.in_channels,
                classes=config.classes,
                pretrained=request.pretrained,
                encoder_weights=request.encoder_weights,
                **config.options,
            )
        card = self.plan.card
        if any(not weight.requires_grad for weight in network.parameters()):
            card = dataclasses.replace(card, config=card.config | {"freeze": True})
        network.card = card  # type: ignore[assignment]
        return network

    def _train(self) -> None:
        config, card, pairs, fabric = self.config, self.plan.card, self.plan.training, self.fabric
        workers = 0 if fabric.device.type == "cpu" else WORKERS  # a CPU has no time to wait for them
        slices, limit = self.out / f"slices-{fabric.global_rank}", KEPT // max(1, workers)
        with FolderPlanes(pairs, self.plan.planes, card, config.ignore, slices, limit) as planes:
            planes.set_out(self._tell_setting_out, self._stopped)
            batches = Batches(
                planes,
                len(pairs),
                crop=config.crop,
                batch=config.batch,
                seed=config.seed,
                augmentation=config.augmentation,
                empty=config.empty,
                rank=fabric.global_rank,
                ranks=fabric.world_size,
            )
            self._look_if_due()  # a training that was cancelled in the midst of a look
            self._learn(batches, workers)
        self._save()

    def _learn(self, batches: Batches, workers: int) -> None:
        """All steps that are left."""
        config = self.config
        broken = 0
        for step in train(self.fabric, self.state, batches, config, self.plan.card.classes, workers=workers):
            broken = 0 if math.isfinite(step.loss) else broken + 1
            if broken == BROKEN:
                raise ModelError(
                    f"The loss is no number any more (step {step.number}): the learning rate {config.lr:g} is too "
                    "high. The best weights so far are kept; train with a lower one in another folder."
                )
            self._record(step)
            if self._stopped():
                raise CancelledError("between two steps")

    def _record(self, step: Step) -> None:
        """Write down a step; look at the validation images, and write a checkpoint, if it is time."""
        notes = self.state.notes
        notes["loss"] = notes.get("loss", 0.0) + step.loss
        notes["steps"] = notes.get("steps", 0) + 1
        self._tell("Training", step.loss)
        looked = self._look_if_due(step.loss)
        if looked or int(self._epoch(step.number)) > int(self._epoch(step.number - 1)):
            if self.log:
                self.log.add(self._row(step, looked))
            notes["loss"], notes["steps"] = 0.0, 0
        if (looked or time.monotonic() - self.saved > CHECKPOINT) and self.saving.due():
            self._save()

    def _row(self, step: Step, looked: bool) -> LogRow:
        state, notes = self.state, self.state.notes
        return LogRow(
            step=step.number,
            epoch=round(self._epoch(step.number), 3),
            seconds=round(state.elapsed, 2),
            lr=state.optimiser.param_groups[0]["lr"],
            loss=notes["loss"] / notes["steps"],
            val_dice=notes["dice"] if looked else None,
            best_dice=notes.get("best"),
        )

    def _look_if_due(self, loss: float = math.nan) -> bool:
        """Look at the validation images if it is time, and keep the weights if they are the best; whether it was."""
        state, notes = self.state, self.state.notes
        share = self._agreed(min(1.0, state.share(self.config)))
        number = int(share * self.plan.config.looks)
        last = share == 1 and notes.get("looked_at") != state.step
        if not last and number <= notes.get("looks", 0):
            return False
        paced = self.config.seconds is None or self.looking.due()  # by steps alone, so that it can be repeated
        if not last and not self._agreed(paced):
            notes["looks"] = number
            return False
        self._tell("Validating", loss)
        started = time.monotonic()
        with self.looking.spending():
            found = self._dice()
        if found >= notes.get("best", 0.0):  # of equals the last, which has learned longer
            notes["best"], notes["best_step"] = found, state.step
            if self.fabric.is_global_zero:
                save_model(state.averaged, self.out / "best.safetensors", self._card(found))
        notes |= {"dice": found, "looks": number, "looked_at": state.step}
        state.elapsed += time.monotonic() - started
        log.info(
            "step %d, epoch %.1f, %.0f s: loss %.4f, validation Dice %.4f, best %.4f",
            *(state.step, self._epoch(state.step), state.elapsed, loss, found, notes["best"]),
        )
        self._tell("Training", loss)
        return True

    def _dice(self) -> float:
        """Mean Dice of whole validation images, each device having looked at its share of them."""
        fabric = self.fabric
        mine = self.plan.validation[fabric.global_rank :: fabric.world_size]
        total = torch.tensor(sum(map(self._dice_of, mine)), dtype=torch.float64, device=fabric.device)
        if fabric.world_size > 1:
            total = fabric.all_reduce(total, reduce_op="sum")
        return float(total) / len(self.plan.validation)

    def _dice_of(self, pair: Pair) -> float:
        image, truth = read_pair(pair)
        cancel = self.cancel if self.fabric.world_size == 1 else None
        labels = predict(self.state.averaged, image, device=str(self.fabric.device), cancel=cancel).labels
        counted = truth != self.config.ignore if self.config.ignore is not None else True
        if self.plan.card.classes == 1:
            labels, truth = labels > 0, truth > 0
        return dice(labels * counted, truth * counted)

    def _card(self, found: float) -> ModelCard:
        """What is known of the weights."""
        card: ModelCard = self.state.averaged.card  # type: ignore[assignment]
        plan, step, name = self.plan, self.state.step, self.out.resolve().name or "trained"
        learned, chose = len(plan.training), len(plan.validation)
        recipe = {"recipe": plan.config.recipe, "begins": plan.config.begins, "step": step}
        return dataclasses.replace(
            card,
            name=name,
            title=f"{card.title.removesuffix(', untrained')}, trained as {name}",
            data=f"{learned} images of a folder; {chose} others chose the best weights.",
            metrics={"validation_dice": round(found, 4), "validation_images": chose},
            recipe=recipe | {"epoch": round(self._epoch(step), 2), **dataclasses.asdict(self.config)},
            licence="",
            encoder_only=False,
            weights_from="",
            good_at=f"Images like those that it learned from: {', '.join(card.labels.values())}.",
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        )

    def _epoch(self, step: int) -> float:
        return step * self.config.batch / sum(self.plan.planes)

    def _stopped(self) -> bool:
        """Whether to stop; the first device decides, since all must make the same number of steps."""
        return self._agreed(bool(self.cancel and self.cancel()))

    def _agreed(self, mine: Any) -> Any:
        """What the first device says, on all of them."""
        return self.fabric.broadcast(mine) if self.fabric.world_size > 1 else mine

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            with self.saving.spending():
                self.state.save(self.out / "last.checkpoint")
        self.saved = time.monotonic()

    def _tell_setting_out(self, share: float) -> None:
        self.progress(FolderProgress(share, math.inf, "Setting out the slices", self.state.step))

    def _tell(self, message: str, loss: float) -> None:
        state = self.state
        share = min(1.0, state.share(self.config))
        eta = state.elapsed * (1 - share) / share if share else math.inf
        dice_now, best = state.notes.get("dice"), state.notes.get("best")
        self.progress(FolderProgress(share, eta, message, state.step, self._epoch(state.step), loss, dice_now, best))
