"""Wires the panel's parts: what the user does on one side, the engine and the ledger on the other.

It knows napari's layers but no widget, so a test, or a script, can drive the whole panel with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_medseg.models.errors import MedSegError
from napari_medseg.trainer.config import FineTuneConfig
from napari_medseg.trainer.ledger import Ledger

from .accepting import Accepting, file_of
from .background import Background
from .bringing_in import BringingIn
from .editing import AllDrafts, Editing, Elsewhere, Recovery, Rejoining
from .engine_link import EngineLink
from .exporting import Exporting
from .image_layers import channel_siblings, describe, notices_of
from .large.large_masks import LargeMasks
from .learning import Learning
from .looking import Doubts, Looking
from .masks import Masks
from .measuring import Measuring
from .opening.chosen import ChosenImage
from .opening.mask_file import MaskFile
from .opening.opening import Opening
from .opening.placing import Placing
from .opening.queue import FolderQueue
from .prompting import Prompting
from .propagating import Propagating
from .segmenting import Segmenting
from .state import PanelState
from .tools import MaskTools


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
        self.opening = Opening(viewer, self.state, self.background)
        self.placing = Placing(self.state, self.masks, self._describe_image)
        self.found_late = ChosenImage(self.state, ["set_data"], self._tell)  # as damaged frames of a film are
        self.editing = Editing(self.state, self.masks, self.background)
        self.elsewhere = Elsewhere(viewer, self.state, self.editing)
        self.tools = MaskTools(viewer, self.state, self.masks, self.editing, self.background)
        self.recovery = Recovery(self.state, self.editing, self.background)
        self.all_drafts = AllDrafts(self.state, self.masks, self.background)
        self.rejoining = Rejoining(viewer, self.masks, self.background)
        self.prompting = Prompting(viewer, self.state, self.masks, self.editing, self.link, self.background)
        self.doubts = Doubts(viewer, self.state, self.background)
        self.prompting.answered.connect(self.doubts.proposed)
        self.looking = Looking(viewer, self.state, self.masks, self.editing, self.doubts, self.background)
        self.propagating = Propagating(
            viewer, self.state, self.masks, self.editing, self.link, self.doubts, self.background
        )
        self.large = LargeMasks(viewer, self.state, self.masks, self.background)
        self.large.flush = self.editing.flush
        self.mask_file = MaskFile(viewer, self.state, self.masks, self.large, self.background)
        self.prompting.part_first = self.tools.part_first = self.large.first
        self.measuring = Measuring(viewer, self.state, self.masks, self.editing, self.background)
        self.exporting = Exporting(viewer, self.state, self.masks, self.large, self.background)
        self.segmenting = Segmenting(
            viewer, self.state, self.masks, self.large, self.link, self.background, self.ledger, self.doubts
        )
        self.queue = FolderQueue(viewer, self.state, self.masks, self.large, self.background, self._reference)
        self.learning = Learning(self.state, self.link, self.background, self.ledger, config or FineTuneConfig())
        self.bringing_in = BringingIn(self.state, self.link, self.background, self.learning)
        self.accepting = Accepting(viewer, self.state, self.masks, self.background, self.ledger, self.learning.accepted)
        self._answers: tuple[str, ...] = ()
        self._groups: dict[Any, str] = {}  # what was typed for each image layer
        self.state.events.group.connect(self._group_typed)
        self.masks.layers_changed.connect(self._describe_image)
        self._image_picked()
        self.learning.refresh(self.link.start)

    def open_images(self, paths: Sequence[Path]) -> None:
        """Open files and folders with their spacing; what cannot be read is named, the others are opened."""
        self.opening.open(paths)

    def add_model_file(self, path: Path) -> None:
        """Bring the weights of a file into the project as a version of its own, and pick it."""
        self.bringing_in.start(path)

    def open_project(self, folder: Path) -> None:
        """Go on with the ledger in another folder, made if missing; the old one stays open if that fails.

        A part of a large image that is open is put back first.
        """

        def opened(ledger: Ledger) -> None:
            self.large.done(lambda: go_on(ledger), lambda: self.background.run(ledger.close))

        def go_on(ledger: Ledger) -> None:
            old, self.ledger = self.ledger, ledger
            self.segmenting.ledger = self.accepting.ledger = ledger
            self.state.problem = self.state.notice = ""
            self.state.project = folder
            self.masks.forget_accepted()
            self.editing.keeping.move(folder)
            self.learning.project_opened(ledger)
            self.background.run(old.close)

        self.background.run(lambda: Ledger.open(folder), opened, self._failed)

    def close(self, *, lose: bool = False) -> None:
        """Let go of everything; what is being written is written to the end, and a fine-tuning goes on.

        Masks that were not accepted are kept for the next time, unless they are to be lost.
        """
        self.segmenting.cancel()
        self.found_late.close()
        self.mask_file.close()
        self.elsewhere.close()
        self.rejoining.close()
        self.placing.close()
        self.large.close()
        self.queue.close(lose=lose)
        self.prompting.close()
        self.tools.close()
        self.looking.close()
        self.propagating.close()
        self.measuring.close()
        self.exporting.close()
        self.background.close()
        self.link.close()
        self.ledger.close()
        self.editing.close(lose=lose)
        self.masks.let_go()
        self.viewer = self.segmenting.viewer = self.accepting.viewer = self.doubts.viewer = self.opening.viewer = None

    def _reference(self, model: str) -> str:
        return self.ledger.reference(model)  # of the project that is open by then

    def _failed(self, reason: str) -> None:
        self.state.problem = reason

    def _image_picked(self) -> None:
        self.state.origin = "" if self.state.image is None else file_of(self.state.image)
        self.state.group = self._groups.get(self.state.image, "")
        self._describe_image()

    def _group_typed(self, group: str) -> None:
        if self.state.image is not None:
            self._groups[self.state.image] = group

    def _describe_image(self) -> None:
        layer = self.state.image
        if layer is None or self.viewer is None:
            self.state.image_about, self.state.image_usable, self.state.image_notices = "", False, ()
            return
        self._tell()
        try:
            about = describe(layer, channel_siblings(layer, self.viewer.layers))
        except MedSegError as error:
            self.state.image_about, self.state.image_usable = str(error), False
            return
        lost = " Opened by napari's own reader, which drops a TIFF's spacing: Open ... keeps it."
        self.state.image_about = f"{about}.{lost if _lost_spacing(layer) else ''}"
        self.state.image_usable = True

    def _tell(self) -> None:
        if self.state.image is not None:
            self.state.image_notices = notices_of(self.state.image)

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
