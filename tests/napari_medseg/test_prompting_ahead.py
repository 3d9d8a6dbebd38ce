"""The layer that waits for the first prompt: there in time, no mask before, and gone if nobody drew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt

from napari_medseg.prompting.mask_ahead import WAITING, MaskAhead

from .editing_support import Desk
from .prompting_support import FIRST, Hand, is_disc, take_up

CONTROL = Qt.KeyboardModifier.ControlModifier


def waiting(viewer: Any) -> list[Labels]:
    return [layer for layer in viewer.layers if layer.name == WAITING]


class TestInTheWindow:
    @pytest.fixture
    def layer(self, panel: Any, hand: Hand, press: Any, until: Any) -> Labels:
        """A tool was just taken up over an image without a mask."""
        take_up(panel, press, "click")
        until(lambda: waiting(panel.controller.viewer))
        return waiting(panel.controller.viewer)[0]

    def test_the_first_answer_goes_into_it_and_only_then_it_is_a_mask(
        self, panel: Any, hand: Hand, press: Any, layer: Labels
    ) -> None:
        viewer = panel.controller.viewer
        hand.type(Qt.Key.Key_Return, CONTROL)
        assert panel.state.mask is None
        assert not panel.state.accepting

        hand.click(FIRST)

        assert panel.state.mask is viewer.layers.selection.active is layer
        assert layer.name == "discs mask"
        assert is_disc(panel, 1, FIRST)
        take_up(panel, press, "box")
        hand.wait()
        assert not waiting(viewer)
        hand.type(Qt.Key.Key_Z, CONTROL)
        assert not layer.data.any()

    def test_it_follows_the_tool_and_the_chosen_image(self, panel: Any, press: Any, until: Any, layer: Labels) -> None:
        viewer, image = panel.controller.viewer, panel.state.image
        press(panel.prompts.tools["click"])  # puts it down
        until(lambda: not waiting(viewer))
        take_up(panel, press, "box")
        until(lambda: waiting(viewer))

        other = viewer.add_image(np.zeros((40, 50), np.uint8), name="other")

        until(lambda: [one.data.shape for one in waiting(viewer)] == [(40, 50)])
        viewer.layers.remove(other)
        until(lambda: [one.data.shape for one in waiting(viewer)] == [image.data.shape])
        panel.let_go()
        assert list(viewer.layers) == [image]

    def test_a_mask_from_elsewhere_takes_its_place(self, panel: Any, until: Any, layer: Labels) -> None:
        labels = np.ones(panel.state.image.data.shape, np.uint16)

        panel.controller.masks.propose(panel.state.image, labels, labels.copy(), "a network")

        until(lambda: not waiting(panel.controller.viewer))
        assert panel.state.mask.name == "discs mask"
        assert panel.controller.viewer.layers.selection.active is panel.state.mask

    def test_who_takes_the_brush_to_it_has_it_as_the_mask_and_can_undo(
        self, panel: Any, hand: Hand, layer: Labels
    ) -> None:
        panel.controller.viewer.layers.selection.active = layer

        layer.mode = "paint"
        layer.paint((10, 10), 1)

        assert panel.state.mask is layer
        assert not panel.state.prompt_tool
        hand.type(Qt.Key.Key_Z, CONTROL)
        assert not layer.data.any()
        assert layer in panel.controller.viewer.layers


class TestWhatIsDrawnInto:
    @pytest.fixture
    def desk(self, tmp_path: Path) -> Iterator[Desk]:
        made = Desk(tmp_path, np.zeros((40, 50), np.uint8))
        yield made
        made.close(lose=True)

    @pytest.fixture
    def ahead(self, desk: Desk) -> MaskAhead:
        made = MaskAhead(desk.viewer, desk.state, desk.masks)
        made.wait_for(desk.image)
        return made

    def test_it_is_no_mask_until_it_is_taken(self, desk: Desk, ahead: MaskAhead) -> None:
        assert desk.masks.current() is desk.state.mask is None

        layer = ahead.take(desk.image)

        assert desk.mask.layer is desk.state.mask is layer
        assert ahead.take(desk.image) is None

    def test_a_layer_that_the_user_makes_meanwhile_is_the_mask(self, desk: Desk, ahead: MaskAhead) -> None:
        made = desk.viewer.add_labels(np.zeros(desk.image.data.shape, np.uint8), name="mine")
        assert desk.state.mask is made

        ahead.wait_for(None)

        assert list(desk.viewer.layers) == [desk.image, made]

    def test_what_a_script_wrote_into_it_stays_as_the_mask(self, desk: Desk, ahead: MaskAhead) -> None:
        (layer,) = waiting(desk.viewer)
        layer.data[5:9, 5:9] = 1  # of which napari tells nobody

        ahead.wait_for(None)

        assert desk.mask.layer is layer
        assert layer.data[5:9, 5:9].all()

    @pytest.mark.parametrize("change", ["place", "size", "label", "deleted"])
    def test_one_that_does_not_fit_any_more_is_not(self, desk: Desk, ahead: MaskAhead, change: str) -> None:
        (layer,) = waiting(desk.viewer)
        if change == "place":
            desk.image.translate = (7, 3)
        elif change == "size":
            desk.image.data = desk.image.data[:-8]
        elif change == "label":
            desk.state.label = 300
        else:
            desk.viewer.layers.remove(layer)

        assert ahead.take(desk.image) is None

        assert list(desk.viewer.layers) == [desk.image]
        assert desk.masks.current() is None
