"""Weights from files, which become versions of the project."""

from __future__ import annotations

import hashlib
from pathlib import Path

from napari_medseg.models.cards import read_card
from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.errors import ModelError
from napari_medseg.trainer.jobs import bring_in_encoder
from napari_medseg.trainer.ledger import Ledger

from .background import Background
from .engine_link import EngineLink
from .learning import Learning
from .state import PanelState

ENDINGS = (".safetensors", ".pt", ".pth", ".bin")
"""Of files with weights. Those of MedSeg are `.safetensors` with a card beside them; others hold an encoder's."""


class BringingIn:
    """Takes weights of a whole network, or of the picked network's encoder, into the project, and picks the version.

    Args:
        state: what the panel shows.
        link: to the engine, which reads weights that MedSeg did not write.
        background: where files are read.
        learning: follows the project that they go into.
    """

    def __init__(self, state: PanelState, link: EngineLink, background: Background, learning: Learning) -> None:
        self._state, self._link, self._background, self._learning = state, link, background, learning
        self._job: Job | None = None  # one that nobody holds is dropped

    def start(self, path: Path) -> None:
        """Bring in a file: weights with their card beside them, or else those of the picked network's encoder."""
        self._state.problem = self._state.notice = ""
        choice, ledger = self._state.choice(), self._learning.ledger
        with_card = path.suffix == ".safetensors" and path.with_suffix(".json").exists()
        if with_card or choice is None or choice.trained or choice.version:
            self._background.run(lambda: _add(path, ledger), self._pick, self._failed, finish=True)
            return
        self._state.notice = f"Bringing in '{path.name}' for {choice.title} ..."

        def ask(engine: Engine) -> None:
            self._job = bring_in_encoder(engine, ledger.folder, path.absolute(), choice.name)
            self._job.when_done(lambda done: self._background.run(done.result, self._pick, self._failed))

        self._link.use(ask, self._failed)

    def _pick(self, name: str) -> None:
        self._job = None
        self._state.notice = f"The weights are in the project as {name}."
        self._learning.refresh(lambda: setattr(self._state, "model", name))

    def _failed(self, reason: str) -> None:
        self._job = None
        self._state.notice, self._state.problem = "", reason


def _add(path: Path, ledger: Ledger) -> str:
    """Add weights that MedSeg wrote as a version; its name."""
    if path.suffix != ".safetensors":
        raise ModelError(
            f"'{path.name}' is no file that MedSeg wrote. If it holds the weights of an encoder, pick the untrained "
            "network that they are for, and bring it in again."
        )
    card = read_card(path.with_suffix(".json"))
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise ModelError(f"'{path.name}' is not the file that its card describes. Get both again.")
    reason = "Brought in from a file."
    return ledger.add_version(content, card.to_json(), card.name, metrics={}, reason=reason, activate=False).name
