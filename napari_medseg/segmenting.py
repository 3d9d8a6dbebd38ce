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
from .image_layers import METADATA_KEY, channel_siblings, mask_layer_settings, medical_image
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
    """

    def __init__(
        self, viewer: Any, state: PanelState, masks: Masks, link: EngineLink, background: Background, ledger: Ledger
    ) -> None:
        self.viewer, self._state, self._masks = viewer, state, masks
        self._link, self._background, self.ledger = link, background, ledger
        self._job: Job | None = None
        self._cancelled = False
        self._doubt: dict[Image, npt.NDArray[np.uint8]] = {}
        self._overlays: dict[Image, Image] = {}
        # Later, not at once: the image may have changed because a layer is just being removed.
        state.events.show_doubt.connect(lambda: background.post(self._show_doubt))
        state.events.image.connect(lambda: background.post(self._show_doubt))

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
        self._forget_doubt(layer)
        self._doubt[layer] = answer.doubt
        self._show_doubt()

    def _show_doubt(self) -> None:
        """The overlay of the chosen image is in the layer list only while it is wanted."""
        layer = self._state.image
        wanted = self._state.show_doubt and layer in self._doubt and layer in self.viewer.layers
        for other in list(self._overlays):
            if other is not layer or not wanted:
                self._take_away(other)
        if wanted and layer not in self._overlays:
            overlay = self._overlays[layer] = _overlay(layer, self._doubt[layer])
            active = self.viewer.layers.selection.active
            self.viewer.layers.insert(self.viewer.layers.index(layer) + 1, overlay)
            self.viewer.layers.selection.active = active
        for other in [known for known in self._doubt if known not in self.viewer.layers]:
            del self._doubt[other]

    def _forget_doubt(self, layer: Image) -> None:
        self._doubt.pop(layer, None)
        self._take_away(layer)

    def _take_away(self, layer: Image) -> None:
        overlay = self._overlays.pop(layer, None)
        if overlay is not None and overlay in self.viewer.layers:
            self.viewer.layers.remove(overlay)

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


def _overlay(layer: Image, doubt: npt.NDArray[np.uint8]) -> Image:
    return Image(
        doubt,
        name=f"{layer.name} doubt",
        colormap="inferno",
        contrast_limits=(0, 127),
        blending="additive",
        metadata={METADATA_KEY: {"overlay": True}},
        **mask_layer_settings(layer),
    )


def _pixels(layer: Image) -> Any:
    """The array that a layer shows at full size."""
    return layer.data[0] if layer.multiscale else layer.data
