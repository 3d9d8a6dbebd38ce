"""Fine-tuning: the network learns from the corrections, and takes over only if it is not worse.

It runs in the trainer process. Whatever kills that process, the next one goes on from the last checkpoint.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_medseg.models.cards import ModelCard
from napari_medseg.models.checkpoints import load_model, serialise
from napari_medseg.models.devices import use_threads
from napari_medseg.models.errors import CancelledError, MedSegError

from .beginning import begun, fitted
from .cases import corrections_as_cases
from .config import FineTuneConfig
from .evaluation import classes_of, score
from .ledger import Ledger
from .outcome import FineTuneProgress, FineTuneResult
from .pacing import Pace
from .planes import Plane, planes_of
from .records import CorrectionRecord, JobRecord
from .samples import Batches, KeptPlanes
from .split import learnable
from .training import TrainingState, one_device, train
from .versions import Overtaken

log = logging.getLogger(__name__)


def finetune(
    ledger: Ledger,
    base: str | None = None,
    *,
    budget: float | None = None,
    adstnet: bool = False,
    config: FineTuneConfig | None = None,
    job: JobRecord | None = None,
    progress: Callable[[FineTuneProgress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> FineTuneResult:
    """Fine-tune a model on the corrections of a project.

    Args:
        ledger: the project.
        base: a card's name or a version; by default the active model.
        budget: seconds to train for; instead of the configuration's.
        adstnet: have the network wear AdSTNet's head while it learns, for sharper borders; also if the configuration
            says so. The version is the bare network, which answers as fast as ever.
        config: how to learn.
        job: an unfinished one of this ledger to go on with, as it was asked for: base, budget, adstnet and config are
            its own.
        progress: called after each step.
        cancel: asked before each step; if it answers True nothing is kept and the active model stays.

    Raises:
        LedgerError: no corrections to learn from, or another fine-tuning of this project is unfinished.
        CancelledError: `cancel` answered True.
        ModelError: no such base, or corrections with labels that it does not know.
    """
    started = time.monotonic()
    if job is None:
        config = config or FineTuneConfig()
        if budget is not None:
            config = replace(config, training=replace(config.training, seconds=budget))
        if adstnet:
            config = replace(config, training=replace(config.training, adstnet=True))
        learnable(ledger.split()[0])
        job = ledger.start_job(base or ledger.active(), asdict(config))
    try:
        run = _FineTuning(ledger, job, progress, cancel)
        result = run.result(started)
    except CancelledError as error:  # in training, or in the predictions before and after it
        ledger.update_job(job.id, state="cancelled", message="Cancelled; the active model is as it was.")
        _forget_checkpoint(ledger, job)
        raise CancelledError("The fine-tuning was cancelled; the active model is as it was.") from error
    except Exception as error:
        reason = str(error) if isinstance(error, MedSegError) else f"{type(error).__name__}: {error}"
        ledger.update_job(job.id, state="failed", message=reason)
        _forget_checkpoint(ledger, job)
        raise
    ledger.update_job(job.id, state="done", progress=1.0, message=result.reason, result=asdict(result))
    _forget_checkpoint(ledger, job)
    return result


def checkpoint_of(ledger: Ledger, job: JobRecord) -> Path:
    """The checkpoint of a job."""
    return ledger.job_folder(job.id) / "checkpoint.pt"


def _forget_checkpoint(ledger: Ledger, job: JobRecord) -> None:
    """A job that ended is never taken up again."""
    with contextlib.suppress(MedSegError, OSError):
        checkpoint_of(ledger, job).unlink(missing_ok=True)


class _FineTuning:
    """One run: the network, what it learns from, and what it is judged by."""

    def __init__(
        self,
        ledger: Ledger,
        job: JobRecord,
        progress: Callable[[FineTuneProgress], None] | None,
        cancel: Callable[[], bool] | None,
    ) -> None:
        self.ledger, self.job, self.config = ledger, job, FineTuneConfig.from_dict(job.config)
        self.training, self.held_out = ledger.split()
        learnable(self.training)
        self.progress, self.cancel = progress, cancel
        self.told = 0.0  # when the ledger was last told how far we are

    def result(self, started: float) -> FineTuneResult:
        """Train, judge, and add the version to the ledger."""
        if finished := self._made_before():
            return finished
        use_threads()
        torch.manual_seed(self.config.training.seed)
        self._tell(0.0, math.inf, 0, math.nan, None, "Looking at how good the active model is")
        active = self.ledger.active()
        before = self._dice(load_model(self.ledger.reference(active)), self.held_out)
        state = self._train(before)
        self._tell(1.0, 0.0, state.step, math.nan, None, "Comparing the new model with the active one")
        after = self._dice(state.averaged, self.held_out)
        promoted, reason = verdict(before, after)
        content, card = serialise(state.averaged, self._card(state.averaged, after))
        result = FineTuneResult(
            version="",
            base=self.job.base,
            dice_before=_mean(before),
            dice_after=_mean(after),
            promoted=promoted,
            reason=reason,
            trained_on=len(self.training),
            held_out=len(self.held_out),
            steps=state.step,
            seconds=round(time.monotonic() - started, 1),
        )
        figures = {
            "dice_before": before,
            "dice_after": after,
            "compared_with": active,
            "trained_on": [record.id for record in self.training],
            "held_out": [record.id for record in self.held_out],
            "steps": state.step,
            "config": asdict(self.config),
        }
        return self._keep(content, card, result, figures)

    def _keep(self, content: bytes, card: ModelCard, result: FineTuneResult, figures: dict[str, Any]) -> FineTuneResult:
        """Add the version; as a candidate if another model was activated than the one that it was compared with."""
        try:
            version = self.ledger.add_version(
                content,
                card.to_json(),
                self.job.base,
                {"job": self.job.id, "result": asdict(result), **figures},
                result.reason,
                activate=result.promoted,
                only_if_active=figures["compared_with"] if result.promoted else None,
            )
        except Overtaken:
            reason = (
                f"Kept as a candidate: it was compared with {figures['compared_with']}, and another model was made "
                "active meanwhile. Compare the two on the held-out cases, or activate it yourself."
            )
            return self._keep(content, card, replace(result, promoted=False, reason=reason), figures)
        return replace(result, version=version.name)

    def _made_before(self) -> FineTuneResult | None:
        """The result, if an earlier process died after it had added the version and before it could say so."""
        for version in self.ledger.models():
            if version.metrics.get("job") == self.job.id:
                return FineTuneResult(**version.metrics["result"] | {"version": version.name})
        return None

    def _card(self, network: nn.Module, after: list[float]) -> ModelCard:
        """The base's card, which now speaks of the corrections, too."""
        card: ModelCard = network.card  # type: ignore[assignment]
        learned = f"Fine-tuned on {len(self.training)} corrections of a project, from {self.job.base}."
        return replace(
            card,
            title=card.title.removesuffix(", untrained"),
            data=f"{card.data} {learned}".strip(),
            metrics={"held_out_dice": sum(after) / len(after)} if after else {},
            recipe=asdict(self.config),
            encoder_only=False,
            weights_from="",
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        )

    def _train(self, before: list[float]) -> TrainingState:
        fabric = one_device()
        network = load_model(self.ledger.reference(self.job.base))
        config = fitted(self.config.training, network.card)  # type: ignore[arg-type]
        self.config = replace(self.config, training=config)
        state = begun(fabric, network, config)
        state.cases = [record.id for record in self.training]
        averaged = state.averaged
        file = checkpoint_of(self.ledger, self.job)
        if state.resume(file):
            log.info("going on after step %d", state.step)
            self.training = [record for record in self.ledger.corrections(all=True) if record.id in state.cases]
        planes = KeptPlanes(lambda case: self._planes(averaged, case))
        batches = Batches(planes, len(self.training), crop=config.crop, batch=config.batch, seed=config.seed)
        saving, looking = Pace(every=self.config.checkpoint, share=0.1, free=10), Pace(share=0.2, free=30)
        looked = int(state.step and state.share(config) * self.config.evaluations)
        watched = self.held_out[: self.config.watched]
        curve = _mean(before[: self.config.watched]) if state.step == 0 else None
        for step in train(fabric, state, batches, config, classes_of(averaged)):
            if self.cancel and self.cancel():
                raise CancelledError("Cancelled between two steps.")
            if watched and int(step.share * self.config.evaluations) > looked and step.share < 1:
                looked = int(step.share * self.config.evaluations)
                if looking.due():
                    with looking.spending():
                        curve = _mean(self._dice(averaged, watched))
            eta = state.elapsed * (1 - step.share) / max(step.share, 1e-9)
            self._tell(step.share, eta, step.number, step.loss, curve, f"Training {step.share:.0%}")
            curve = None
            if saving.due():
                with saving.spending():
                    state.save(file)
        return state

    def _planes(self, network: nn.Module, case: int) -> list[Plane]:
        record = self.training[case]
        return planes_of(self.ledger.load_image(record), self.ledger.load_mask(record), network.card)  # type: ignore[arg-type]

    def _dice(self, network: nn.Module, records: list[CorrectionRecord]) -> list[float]:
        """Dice of each held-out correction."""
        cases, count = corrections_as_cases(self.ledger, records)
        return [case.dice for case in score(network, cases, count, cancel=self._alive)]

    def _alive(self) -> bool:
        """Whether to stop. Asked while figures are made, which may take minutes; so it tells the ledger that this
        job lives, or another engine would take it up.
        """
        if time.monotonic() - self.told > 2:
            self.told = time.monotonic()
            self.ledger.update_job(self.job.id)
        return bool(self.cancel and self.cancel())

    def _tell(self, share: float, eta: float, step: int, loss: float, dice: float | None, message: str) -> None:
        if self.progress:
            self.progress(FineTuneProgress(share, eta, step, loss, dice, message))
        if time.monotonic() - self.told > 2 or share in (0.0, 1.0):
            self.told = time.monotonic()
            self.ledger.update_job(self.job.id, state="running", progress=share, message=message)


def verdict(before: list[float], after: list[float]) -> tuple[bool, str]:
    """Whether the new model takes over, and why; the lists hold the Dice of each held-out correction."""
    if not before:
        return False, (
            "Kept as a candidate: all corrections are of one patient or file, so none could be held out to compare "
            "it with the active model. Accept a case of another one, or activate it yourself."
        )
    was, now = sum(before) / len(before), sum(after) / len(after)
    figures = f"Dice {was:.3f} before, {now:.3f} after, on {len(before)} held-out case{'s' * (len(before) > 1)}"
    if now >= was:
        return True, f"Active now: it is not worse ({figures})."
    return False, f"Kept as a candidate: it is worse than the active model ({figures})."


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
