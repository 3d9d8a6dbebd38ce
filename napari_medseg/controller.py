"""Wires the panel's parts: what the user does on one side, the engine and the ledger on the other.

It knows napari's layers but no widget, so a test, or a script, can drive the whole panel with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_medseg.models.errors import MedSegError
from napari_medseg.models.reading import read_image
from napari_medseg.trainer.config import FineTuneConfig
from napari_medseg.trainer.ledger import Ledger

from .accepting import Accepting, file_of
from .background import Background, in_words
from .choices import choice_of_file
from .engine_link import EngineLink
from .image_layers import channel_siblings, describe
from .learning import Learning
from .masks import Masks
from .reader import PLUGIN
from .segmenting import Segmenting
from .state import PanelState


class PanelController:
    """Everything that can be done in the panel, as methods.

    Args:
        viewer: napari's viewer, or its model without a window.
        project: folder of the ledger; made if missing.
        post: has a function called in the window's thread, soon; may be called from any thread.
        config: how to learn.

    Raises:
        LedgerError, WriteError: the project cannot be opened.
    """

    def __init__(
        self,
        viewer: Any,
        project: Path,
        post: Callable[[Callable[[], None]], None],
        config: FineTuneConfig | None = None,
    ) -> None:
        self.viewer = viewer
        self.ledger = Ledger.open(project)
        self.state = PanelState(project=project)
        self.state.events.image.connect(self._image_picked)
        self.state.events.model.connect(self._model_picked)
        self.background = Background(post)
        self.link = EngineLink(self.state, self.background)
        self.masks = Masks(viewer, self.state)
        self.segmenting = Segmenting(viewer, self.state, self.masks, self.link, self.background, self.ledger)
        self.learning = Learning(self.state, self.link, self.background, self.ledger, config or FineTuneConfig())
        self.accepting = Accepting(viewer, self.state, self.masks, self.background, self.ledger, self.learning.accepted)
        self._answers: tuple[str, ...] = ()
        self.masks.layers_changed.connect(self._describe_image)
        self._image_picked()
        self.learning.refresh(self.link.start)

    def open_images(self, paths: Sequence[Path]) -> None:
        """Open files with their spacing; what cannot be read is named, the others are opened."""
        problems = []
        for path in paths:
            try:
                if path.suffix.lower() in (".tif", ".tiff"):  # napari's own reader drops spacing and channels
                    self.viewer.open(path, plugin=PLUGIN)
                else:
                    read_image(path)  # says in plain words what is wrong with a file, where napari would not
                    self.viewer.open(path, plugin="napari")
            except (MedSegError, OSError, ValueError) as error:
                problems.append(in_words(error))
        self.state.problem = " ".join(problems)

    def add_model_file(self, path: Path) -> None:
        """Offer the weights of a file, and pick them."""
        try:
            choice = choice_of_file(path)
        except (MedSegError, OSError) as error:
            self.state.problem = in_words(error)
            return
        others = tuple(known for known in self.state.models if known.name != choice.name)
        self.state.models = (*others, choice)
        self.state.model = choice.name

    def open_project(self, folder: Path) -> None:
        """Go on with the ledger in another folder, made if missing; the old one stays open if that fails."""
        try:
            ledger = Ledger.open(folder)
        except MedSegError as error:
            self.state.problem = in_words(error)
            return
        self.ledger.close()
        self.ledger = self.segmenting.ledger = self.accepting.ledger = self.learning.ledger = ledger
        self.state.project, self.state.problem, self.state.notice = folder, "", ""
        self.state.curve, self.state.learning_about = (), ""
        self.masks.forget_accepted()
        self.learning.refresh()

    def close(self) -> None:
        """Let go of everything; what is being written is written to the end, and a fine-tuning goes on."""
        self.background.close()
        self.link.close()
        self.ledger.close()
        self.masks.let_go()
        self.viewer = self.segmenting.viewer = self.accepting.viewer = None

    def _image_picked(self) -> None:
        self.state.group = "" if self.state.image is None else file_of(self.state.image)
        self._describe_image()

    def _describe_image(self) -> None:
        layer = self.state.image
        if layer is None:
            self.state.image_about, self.state.image_usable = "", False
            return
        try:
            about = describe(layer, channel_siblings(layer, self.viewer.layers))
        except MedSegError as error:
            self.state.image_about, self.state.image_usable = str(error), False
            return
        lost = " Opened by napari's own reader, which drops a TIFF's spacing: Open ... keeps it."
        self.state.image_about = f"{about}.{lost if _lost_spacing(layer) else ''}"
        self.state.image_usable = True

    def _model_picked(self) -> None:
        choice = self.state.choice()
        if choice is None:
            return
        if choice.answers != self._answers:
            self._answers = choice.answers
            self.state.answer = choice.answers[0]
        if not choice.version:
            self.learning.choose_base(choice.name)


def _lost_spacing(layer: Any) -> bool:
    path = str(getattr(layer.source, "path", None) or "").lower()
    return layer.source.reader_plugin == "napari" and path.endswith((".tif", ".tiff"))
