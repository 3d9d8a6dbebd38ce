"""The background learning as the panel sees it: start, follow, cancel, and the versions that come of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.errors import CancelledError, MedSegError
from napari_medseg.trainer.config import FineTuneConfig
from napari_medseg.trainer.jobs import follow_finetuning, settle, start_finetuning
from napari_medseg.trainer.ledger import CorrectionRecord, JobRecord, Ledger

from .background import Background
from .choices import choices, version_rows
from .engine_link import EngineLink
from .state import CurvePoint, PanelState

BEGINNING = 20.0
"""Seconds that a fine-tuning may be written down in the ledger before the engine knows it."""


class Learning:
    """Follows the project's ledger and its fine-tuning, whoever changes the one or started the other.

    Args:
        state: what the panel shows.
        link: to the engine.
        background: where the ledger is read and answers are awaited.
        ledger: the project.
        config: how to learn.
    """

    def __init__(
        self, state: PanelState, link: EngineLink, background: Background, ledger: Ledger, config: FineTuneConfig
    ) -> None:
        self._state, self._link, self._background, self.ledger = state, link, background, ledger
        self.config = config
        self._job: Job | None = None
        self._followed: set[str] = set()  # ids of fine-tunings that this panel follows or has seen end
        self._seen: int | None = None
        self._reads = self._shown = 0  # numbers of the last read of the ledger, and of the one that is shown
        self._cancelled = False
        self._new = 0  # cases accepted here since the last fine-tuning began
        self._keeping = threading.Lock()
        self._base = ""  # the card that was picked last
        self._knows_rhythm = False  # whether the project has said after how many cases it learns

    def refresh(self, then: Callable[[], None] | None = None) -> None:
        """Show the ledger as it is now."""
        ledger = self.ledger
        self._reads += 1
        number = self._reads

        def shown(found: dict[str, Any]) -> None:
            if ledger is not self.ledger:
                return
            if number > self._shown:  # else something newer is shown already
                self._shown = number
                self._show_ledger(found)
            if then:
                then()

        self._background.run(lambda: _read(ledger), shown, self._unreadable)

    def _show_ledger(self, found: dict[str, Any]) -> None:
        unfinished: JobRecord | None = found.pop("unfinished")
        was, rhythm = self._state.active, found.pop("learn_every")
        if not self._knows_rhythm:  # later, the panel is the one that says it
            self._knows_rhythm, self._state.learn_every = True, rhythm
        for name, value in found.items():
            setattr(self._state, name, value)
        if self._state.choice() is None or self._state.model == was:
            self._state.model = self._state.active  # who uses the active model goes on with the new one
        if unfinished is not None and unfinished.id not in self._followed:
            self._find(unfinished)

    def poll(self) -> None:
        """Refresh if any window or command has changed the ledger; cheap enough for every second."""
        ledger = self.ledger

        def compared(changes: int) -> None:
            if ledger is self.ledger and changes != self._seen:
                self._seen = changes
                self.refresh()

        self._background.run(ledger.changes, compared, self._unreadable)

    def project_opened(self, ledger: Ledger) -> None:
        """Go on with another project."""
        self.ledger = ledger
        self._seen, self._new, self._knows_rhythm = None, 0, False
        self._followed.clear()
        self._state.curve, self._state.learning_about = (), ""
        self.refresh()

    def start(self) -> None:
        """Fine-tune the picked model on the corrections; does nothing while one is under way."""
        if self._state.learning is not None:
            return
        self._state.problem = ""
        self._state.learning = 0.0
        self._state.learning_about = "Waiting for the trainer"
        self._state.curve = ()
        self._new, self._cancelled = 0, False
        base, project = self._state.model or None, self.ledger.folder
        config = replace(self.config, training=replace(self.config.training, adstnet=self._state.adstnet))

        def ask(engine: Engine) -> None:
            if self._cancelled:
                raise CancelledError("The fine-tuning was cancelled before it began.")
            job = start_finetuning(engine, project, base, config, self._report)
            if self._cancelled:
                job.cancel()
            self._background.post(lambda: self._follow(job))

        self._link.use(ask, self._failed)

    def cancel(self) -> None:
        """Stop the fine-tuning; the active model and all corrections stay."""
        self._cancelled = True
        self._state.learning_about = "Cancelling"
        if self._job is not None:
            self._background.run(self._job.cancel, finish=True)

    def accepted(self, record: CorrectionRecord) -> None:
        """A case came in: perhaps it is time to learn."""
        self._new += 1
        self.refresh(self._learn_if_due)

    def activate(self, name: str) -> None:
        """Make a version, or the card that the project began with, the active model."""

        def done(_: None) -> None:
            self._state.notice = f"{name} is the active model now."
            self._state.model = name
            self.refresh()

        self._background.run(lambda: self.ledger.activate(name), done, self._not_done)

    def choose_base(self, card: str) -> None:
        """A project without versions starts from the card that was picked last."""
        if self._state.versions or card == self._state.active:
            return
        ledger, self._base = self.ledger, card

        def keep() -> str:  # what was picked by then: the threads do not keep the order of quick changes
            with self._keeping:
                base = self._base if ledger is self.ledger else card
                ledger.set_base(base)
                return base

        def kept(base: str) -> None:
            if ledger is self.ledger:
                self._shown = self._reads  # what is still being read may be of before
                self._state.active = base
                self.refresh()

        self._background.run(keep, kept, self._not_done)

    def learn_every(self, cases: int) -> None:
        """Learn by itself after so many accepted cases, from now on and when the project is opened again."""
        if cases == self._state.learn_every:
            return
        self._knows_rhythm, self._state.learn_every = True, cases
        ledger = self.ledger

        def keep() -> None:  # what holds by then: the threads do not keep the order of quick changes
            with self._keeping:
                ledger.set_learn_every(self._state.learn_every if ledger is self.ledger else cases)

        self._background.run(keep, failed=self._not_done, finish=True)

    def _learn_if_due(self) -> None:
        due = self._state.learn_every and self._new >= self._state.learn_every
        if due and self._state.learning is None:
            self.start()

    def _find(self, unfinished: JobRecord) -> None:
        """Follow a fine-tuning that another window or an earlier session started."""
        self._followed.add(unfinished.id)

        def ask(engine: Engine) -> None:
            job = follow_finetuning(engine, unfinished.id, self._report)
            young = (datetime.now(UTC) - unfinished.updated.astimezone(UTC)).total_seconds() < BEGINNING
            if job is not None:
                self._background.post(lambda: self._follow(job))
            elif young:  # another window has written it down and is about to start it: look again at the next change
                self._background.post(lambda: self._look_again(unfinished))
            else:
                said = "A fine-tuning was interrupted. Press Fine-tune now to go on from where it was."
                self._background.post(lambda: self._ended(said))

        if self._state.learning is None:
            self._state.learning, self._state.curve = 0.0, ()
            self._link.use(ask, self._failed)

    def _look_again(self, unfinished: JobRecord) -> None:
        self._followed.discard(unfinished.id)
        self._state.learning = None
        self._seen = None

    def _follow(self, job: Job) -> None:
        self._job = job
        self._followed.add(job.key.rpartition("-")[2])
        if self._state.learning is None:
            self._state.learning = 0.0
        job.when_done(lambda done: self._background.run(lambda: self._outcome(done), self._ended, self._failed))

    def _outcome(self, job: Job) -> str:
        """What came of it, in words."""
        try:
            result = job.result()
        except CancelledError as cancelled:
            return str(cancelled)
        except MedSegError as error:
            settle(self.ledger.folder, job.key.rpartition("-")[2], error)
            raise
        return f"{result['version']}: {result['reason']}"

    def _ended(self, said: str) -> None:
        self._job = None
        self._state.learning = None
        self._state.learning_about = ""
        self._state.notice = said
        self.refresh()

    def _failed(self, reason: str) -> None:
        """The fine-tuning did not succeed."""
        self._job = None
        self._state.learning = None
        self._state.learning_about = ""
        if self._cancelled:
            self._state.notice = reason
        else:
            self._state.problem = reason
        self.refresh()

    def _not_done(self, reason: str) -> None:
        """Something else did not succeed; a fine-tuning under way goes on."""
        self._state.problem = reason

    def _unreadable(self, reason: str) -> None:
        """The ledger could not be read; said once, not each second."""
        if self._state.problem != reason:
            self._state.problem = reason

    def _report(self, now: dict[str, Any]) -> None:
        """Called by the engine's connection, from its own thread."""
        loss = now["loss"] if now["loss"] == now["loss"] else None  # NaN before the first step
        point = CurvePoint(now["share"], loss, now["dice"])
        left = in_time(now["eta"])
        about = f"{now['message']}{', ' + left if left else ''}"

        def show() -> None:
            if self._state.learning is None:
                return
            self._state.learning = now["share"]
            self._state.learning_about = about
            if point.loss is not None or point.dice is not None:
                self._state.curve = (*self._state.curve, point)

        self._background.post(show)


def _read(ledger: Ledger) -> dict[str, Any]:
    """What the panel shows of a ledger, by the names of its state."""
    training, held_out = ledger.split()
    return {
        "models": choices(ledger),
        "active": ledger.active(),
        "corrections": len(training) + len(held_out),
        "held_out": len(held_out),
        "versions": version_rows(ledger),
        "learn_every": ledger.learn_every(),
        "unfinished": ledger.unfinished_job(),
    }


def in_time(eta: float) -> str:
    """Seconds left, as one would say it; nothing if it cannot be told."""
    if not 0 < eta < 1e6:
        return ""
    return f"about {round(eta / 60)} min left" if eta >= 90 else f"about {max(5, round(eta / 5) * 5)} s left"
