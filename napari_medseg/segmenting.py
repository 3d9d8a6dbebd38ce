"""From the chosen image to a proposed mask: asked of the engine, shown when it comes, cancelled at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_medseg.models.engine.client import Engine, Job
from napari_medseg.models.image import MedicalImage
from napari_medseg.models.prediction import Prediction
from napari_medseg.trainer.ledger import Ledger

from .background import Background
from .engine_link import EngineLink
from .image_layers import channel_siblings, medical_image
from .looking import Doubts
from .masks import Masks
from .state import PanelState


class Segmenting:
    """One segmentation at a time.

    Args:
        viewer: whose layers are segmented and get the masks.
        state: what the panel shows.
        masks: where a proposed mask goes.
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
        link: EngineLink,
        background: Background,
        ledger: Ledger,
        doubts: Doubts,
    ) -> None:
        self.viewer, self._state, self._masks, self._doubts = viewer, state, masks, doubts
        self._link, self._background, self.ledger = link, background, ledger
        self._job: Job | None = None
        self._cancelled = False

    def start(self) -> None:
        """Segment the chosen image with the picked model; does nothing while another is under way."""
        layer, choice = self._state.image, self._state.choice()
        if layer is None or choice is None or self._state.segmenting is not None:
            return
        self._state.problem = self._state.notice = ""
        self._state.segmenting = 0.0
        self._cancelled = False
        instances = self._state.answer == "instances"
        pixels, ledger = _pixels(layer), self.ledger
        siblings = channel_siblings(layer, self.viewer.layers)

        def ask(engine: Engine) -> None:
            image = medical_image(layer, siblings)
            weights = ledger.reference(choice.name)
            self._background.post(lambda: self._submit(engine, layer, pixels, image, choice.name, weights, instances))

        self._link.use(ask, self._failed)

    def cancel(self) -> None:
        """Stop; the image and an earlier mask stay as they are."""
        self._cancelled = True
        if self._job is not None:
            job = self._job
            self._background.run(job.cancel)

    def _submit(
        self, engine: Engine, layer: Image, pixels: Any, image: MedicalImage, model: str, weights: str, instances: bool
    ) -> None:
        if self._cancelled:
            self._failed("The segmentation was cancelled; the image and its mask are as they were.")
            return

        def submit() -> Job:
            return engine.segment(image, weights, instances=instances, progress=self._report)

        def follow(job: Job) -> None:
            self._job = job
            job.when_done(
                lambda done: self._background.run(
                    lambda: _made_ready(done.result(), instances),
                    lambda answer: self._show(layer, pixels, answer, model),
                    self._failed,
                )
            )
            if self._cancelled:
                self.cancel()

        self._background.run(submit, follow, self._failed)

    def _report(self, share: float) -> None:
        def show() -> None:
            if self._state.segmenting is not None:
                self._state.segmenting = share

        self._background.post(show)

    def _show(self, layer: Image, pixels: Any, answer: _Answer, model: str) -> None:
        self._job = None
        self._state.segmenting = None
        same = layer in self.viewer.layers and _pixels(layer) is pixels
        if not same or not self._masks.propose(layer, answer.labels, answer.predicted, model):
            self._state.notice = "The image was closed or changed while it was segmented, so the answer was dropped."
            return
        self._state.notice = "" if answer.found else "Nothing was found; draw the mask, and the model can learn it."
        self._doubts.put(layer, answer.doubt, answer.predicted)

    def _failed(self, reason: str) -> None:
        self._job = None
        self._state.segmenting = None
        if self._cancelled:
            self._state.notice = reason
        else:
            self._state.problem = reason


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


def _pixels(layer: Image) -> Any:
    """The array that a layer shows at full size."""
    return layer.data[0] if layer.multiscale else layer.data
