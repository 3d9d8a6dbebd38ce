"""From the chosen image to a proposed mask: asked of the engine, shown when it comes, cancelled at any time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.prediction import Prediction
from napari_medseg.models.streaming.streamed import Streamed
from napari_medseg.trainer.ledger import Ledger

from .background import Background
from .engine_link import EngineLink
from .image_layers import channel_siblings, is_large, medical_image, noted_of
from .large.folder import MaskFolder
from .large.large_masks import LargeMasks
from .layer_pixels import full_size
from .looking import Doubts
from .masks import Masks
from .state import PanelState

OPENING = "A mask of a large image is being opened: wait until it is there, or cancel that, and segment then."


class Segmenting:
    """One segmentation at a time.

    Args:
        viewer: whose layers are segmented and get the masks.
        state: what the panel shows.
        masks: where a proposed mask goes.
        large: where that of a large image goes.
        link: to the engine.
        background: where pixels are read and answers awaited.
        ledger: knows where a version's weights are.
        doubts: told how unsure the model was.
    """

    def __init__(
        self,
        viewer: Any,
        state: PanelState,
        masks: Masks,
        large: LargeMasks,
        link: EngineLink,
        background: Background,
        ledger: Ledger,
        doubts: Doubts,
    ) -> None:
        self.viewer, self._state, self._masks, self._large, self._doubts = viewer, state, masks, large, doubts
        self._link, self._background, self.ledger = link, background, ledger
        self._job: Job | None = None
        self._order: _Order | None = None
        self._cancelled = False

    def start(self) -> None:
        """Segment the chosen image with the picked model; does nothing while another is under way.

        A large image is segmented in its file, and a part of it that is open is put back first.
        """
        layer, choice = self._state.image, self._state.choice()
        if layer is None or choice is None or self._state.segmenting is not None:
            return
        if is_large(layer) and self._state.opening_share is not None:
            self._state.notice = OPENING
            return
        self._state.problem = self._state.notice = ""
        self._cancelled = False
        model, ledger, instances = choice.name, self.ledger, self._state.answer == "instances"
        if is_large(layer):
            self._state.segmenting = 0.0  # from now on, or a second key begins a second one
            self._large.done(lambda: self._ask(lambda: self._by_file(layer, model, ledger, instances)), self._ended)
        else:
            pixels, siblings = full_size(layer), channel_siblings(layer, self.viewer.layers)
            self._ask(lambda: self._in_memory(layer, pixels, siblings, model, ledger, instances))

    def cancel(self) -> None:
        """Stop; the image and an earlier mask stay as they are."""
        self._cancelled = True
        if self._job is not None:
            job = self._job
            self._background.run(job.cancel)

    def _ask(self, prepare: Callable[[], _Order]) -> None:
        """Have an order prepared, which takes its time, and carried out."""
        self._state.segmenting = 0.0

        def ask(engine: Engine) -> None:
            order = prepare()
            self._background.post(lambda: self._submit(engine, order))

        self._link.use(ask, self._failed)

    def _in_memory(
        self, layer: Image, pixels: Any, siblings: tuple[Image, ...], model: str, ledger: Ledger, instances: bool
    ) -> _Order:
        image, weights = medical_image(layer, siblings), ledger.reference(model)
        return _Order(
            lambda engine: engine.segment(image, weights, instances=instances, progress=self._report),
            lambda prediction: _made_ready(prediction, instances),
            lambda answer: self._show(layer, pixels, answer, model),
        )

    def _by_file(self, layer: Image, model: str, ledger: Ledger, instances: bool) -> _Order:
        noted, weights = noted_of(layer), ledger.reference(model)
        folder = self._large.folder_for(layer, model, "instances" if instances else "mask")

        def submit(engine: Engine) -> Job:
            return engine.segment_file(
                noted["path"],
                noted["part"],
                weights,
                folder.labels,
                instances=instances,
                progress=self._report,
            )

        return _Order(submit, lambda done: done, lambda done: self._show_large(layer, folder, done), folder.let_go)

    def _submit(self, engine: Engine, order: _Order) -> None:
        self._order = order
        if self._cancelled:
            self._failed("The segmentation was cancelled; the image and its mask are as they were.")
            return

        def follow(job: Job) -> None:
            self._job = job
            job.when_done(
                lambda done: self._background.run(lambda: order.ready(done.result()), order.show, self._failed)
            )
            if self._cancelled:
                self.cancel()

        self._background.run(lambda: order.submit(engine), follow, self._failed)

    def _report(self, share: float) -> None:
        def show() -> None:
            if self._state.segmenting is not None:
                self._state.segmenting = share

        self._background.post(show)

    def _ended(self) -> None:
        self._job = self._order = None
        self._state.segmenting = None

    def _show_large(self, layer: Image, folder: MaskFolder, done: Streamed) -> None:
        self._ended()
        said = " ".join(done.notices)
        said = said if done.labels else f"Nothing was found; Edit here lets you draw. {said}".strip()
        self._large.made(layer, folder, done.labels, said)

    def _show(self, layer: Image, pixels: Any, answer: _Answer, model: str) -> None:
        self._ended()
        self._state.notice = ""
        same = layer in self.viewer.layers and full_size(layer) is pixels
        if not same or not self._masks.propose(layer, answer.labels, answer.predicted, model):
            self._state.notice = "The image was closed or changed while it was segmented, so the answer was dropped."
            return
        if not answer.found:
            said = f"Nothing was found; draw the mask, and the model can learn it. {self._state.notice}"
            self._state.notice = said.strip()
        self._doubts.put(layer, answer.doubt, answer.predicted)

    def _failed(self, reason: str) -> None:
        if self._order is not None:
            self._order.dropped()
        self._ended()
        if self._cancelled:
            self._state.notice = reason
        else:
            self._state.problem = reason


@dataclass(frozen=True, eq=False)
class _Order:
    """Something that the engine shall segment.

    Attributes:
        submit: has it begin.
        ready: makes what comes back ready for the window; in a thread.
        show: shows that.
        dropped: called instead, if it failed or was cancelled.
    """

    submit: Callable[[Engine], Job]
    ready: Callable[[Any], Any]
    show: Callable[[Any], None]
    dropped: Callable[[], None] = lambda: None


@dataclass(frozen=True, eq=False)
class _Answer:
    """A prediction made ready for the window, away from its thread.

    Attributes:
        labels: for the layer; the user may paint on it.
        predicted: the same, kept as it is.
        doubt: 0 where the model is sure, 127 where it knows nothing.
        found: whether there is anything but background.
    """

    labels: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    doubt: npt.NDArray[np.uint8]
    found: bool


def _made_ready(prediction: Prediction, instances: bool) -> _Answer:
    predicted = prediction.labels
    if instances and predicted.dtype == np.uint8:
        predicted = predicted.astype(np.uint16)  # a brush may add object 256
    return _Answer(predicted.copy(), predicted, 255 - prediction.confidence, bool(predicted.any()))
