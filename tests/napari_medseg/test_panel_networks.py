"""Every network in the panel: picked, brought in from a file, corrected, taught, and judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.models.cards import find_card, list_models
from napari_medseg.trainer.config import FineTuneConfig, TrainingConfig
from napari_medseg.trainer.ledger import Ledger

from ..held_processes import WAIT
from ..small_networks import SMALL

UNTRAINED = [card.name for card in list_models() if not card.has_weights]
FEW_STEPS = FineTuneConfig(training=TrainingConfig(steps=2, batch=2, crop=64), evaluations=1)

MAKE = """
import json, sys
from dataclasses import replace
from pathlib import Path
import torch
from napari_medseg.models import create_model, save_model
from napari_medseg.models.cards import find_card
for name, config in json.loads(sys.argv[1]).items():
    torch.manual_seed(0)
    card = replace(find_card(name), title=f"Small {name}", config=config)
    save_model(create_model(name, **config), Path(sys.argv[2]) / name, card)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a weights file of each network; another process made them, since no window imports torch."""
    folder = tmp_path_factory.mktemp("weights")
    subprocess.run([sys.executable, "-c", MAKE, json.dumps(SMALL), str(folder)], check=True, timeout=WAIT)
    return folder


@pytest.fixture
def image() -> np.ndarray:
    """A bright disc on a dark, noisy ground, (64, 64) uint8."""
    rows, columns = np.mgrid[:64, :64]
    noise = np.random.default_rng(0).normal(12, 3, rows.shape)
    return (noise + 120 * ((rows - 30) ** 2 + (columns - 36) ** 2 < 14**2)).clip(0, 255).astype(np.uint8)


def test_there_is_a_card_of_every_network() -> None:
    assert set(UNTRAINED) == set(SMALL) == {"unet", "ascseg", "hastnet", "msa2net", "sosegformer"}


@pytest.mark.parametrize("name", SMALL)
def test_a_network_from_a_file_segments_learns_from_two_cases_and_is_judged(
    name: str, files: Path, image: np.ndarray, open_panel: Any, press: Any, until: Any
) -> None:
    panel = open_panel(config=FEW_STEPS)
    state, sections = panel.state, panel.sections
    until(lambda: state.engine_ready and state.models)
    panel.controller.add_model_file(files / f"{name}.safetensors")
    until(lambda: state.model == "v1")
    assert state.choice().title == f"v1: Small {name}"
    sections["Learn"].adstnet.setChecked(name == "ascseg")  # one network of them with AdSTNet's head

    viewer = panel.controller.viewer
    viewer.add_image(image, name="first patient")
    press(sections["Segment"].start)
    until(lambda: state.segmenting is None)
    assert state.problem == ""
    assert panel.controller.masks.current().model == "v1"
    truth = (image > 60).astype(state.mask.data.dtype)
    wrong = np.nonzero(state.mask.data != truth)
    state.mask.data_setitem(wrong, truth[wrong])
    press(sections["Correct"].accept)
    until(lambda: state.accepted)
    viewer.add_image(image[::-1], name="second patient")
    viewer.add_labels(truth[::-1])  # drawn alone
    press(sections["Correct"].accept)
    until(lambda: state.corrections == 2)

    press(sections["Learn"].start)
    until(lambda: state.learning is None and (state.problem or state.versions[0]["name"] == "v2"))
    assert state.problem == ""
    row = state.versions[0]
    assert (row["name"], row["held_out"]) == ("v2", 1)
    promoted = row["dice_after"] >= row["dice_before"]
    assert ("Active now" if promoted else "Kept as a candidate") in panel.notice.text()
    assert (state.active == "v2") is promoted
    with Ledger.open(state.project) as ledger:
        config = ledger.models()[1].metrics["config"]["training"]
    assert (config["steps"], config["crop"], config["adstnet"]) == (2, find_card(name).tile or 64, name == "ascseg")

    state.model = "v2"
    press(sections["Segment"].start)
    until(lambda: state.segmenting is None)
    assert state.problem == ""
    assert panel.controller.masks.current().model == "v2"


def test_a_network_without_weights_says_what_it_knows_and_where_weights_are(
    image: np.ndarray, panel: Any, until: Any
) -> None:
    section, state = panel.sections["Model"], panel.state
    panel.controller.viewer.add_image(image, name="image")
    for name in UNTRAINED:
        row = [choice.name for choice in state.models].index(name)
        section.picker.setCurrentIndex(row)
        section.picker.activated.emit(row)

        assert state.model == name
        assert "knows nothing yet" in panel.hint.text()
        assert "Two corrected cases are enough to start" in panel.hint.text()
        assert section.about.text().startswith("Knows nothing yet: two corrected cases are enough to start.")
        assert section.weights.text() == find_card(name).weights_from
        assert section.weights.isVisible()
        assert section.minimumSizeHint().width() <= panel.minimumWidth()
        until(lambda name=name: state.active == name)  # a project without versions starts from it

        state.model = "nuclei"
        assert not section.weights.isVisible()


def test_published_weights_of_an_encoder_become_a_version_of_the_picked_network(
    panel: Any, until: Any, image: np.ndarray, tmp_path: Path
) -> None:
    program = (
        "import sys, timm, safetensors.torch as s\ns.save_file(timm.create_model('resnet50').state_dict(), sys.argv[1])"
    )
    file, state = tmp_path / "resnet50.a1_in1k.safetensors", panel.state
    subprocess.run([sys.executable, "-c", program, str(file)], check=True, timeout=WAIT)
    panel.controller.viewer.add_image(image, name="image")
    state.model = "sosegformer"

    panel.controller.add_model_file(file)

    until(lambda: state.model == "v1" or state.problem)
    assert state.problem == ""
    choice = state.choice()
    assert "resnet50.a1_in1k" in choice.title
    assert "resnet50.a1_in1k.safetensors" in choice.about
    assert "knows nothing yet" in panel.hint.text()
    assert state.active == "sosegformer"


def test_a_file_that_the_picked_network_cannot_use_is_refused_with_the_way_out(
    panel: Any, until: Any, tmp_path: Path
) -> None:
    (tmp_path / "sam2_hiera_large.pt").write_bytes(b"no weights")
    said = {"nuclei": "pick the untrained network that they are for", "unet": "it learns from scratch"}
    for picked, way_out in said.items():
        panel.state.model = picked
        panel.state.problem = ""

        panel.controller.add_model_file(tmp_path / "sam2_hiera_large.pt")

        until(lambda: panel.state.problem)
        assert way_out in panel.problem.text()
        assert panel.state.model == picked
        assert not panel.state.versions
