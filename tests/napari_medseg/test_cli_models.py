import importlib.resources
import re
import subprocess
import sys
from pathlib import Path

import pytest

from napari_medseg.cli.open import SAMPLES


def test_lists_the_cards(medseg):
    ran = medseg("models")
    assert ran.code == 0
    assert "nuclei" in ran.out
    assert "Median Dice" in ran.out
    for name in ("hastnet", "ascseg", "msa2net", "sosegformer", "unet"):
        assert name in ran.out
    assert "sam2_hiera_large.pt" in ran.out


def test_json_is_the_last_line_and_tells_of_weights(medseg):
    ran = medseg("models", "--json")
    cards = {card["name"]: card for card in ran.json["models"]}
    assert cards["nuclei"]["weights"] is True
    assert cards["unet"]["weights"] is False
    told = {"title", "paper", "good_at", "parameters", "trainable_parameters", "gmacs", "modalities", "licence"}
    for name in ("nuclei", "hastnet", "ascseg", "msa2net", "sosegformer", "unet"):
        assert all(cards[name][field] for field in told), name
    assert "timm" in cards["msa2net"]["weights_from"]


def test_a_project_that_is_not_there_is_an_error_and_is_not_made(medseg, tmp_path):
    for command in ("finetune", "evaluate"):
        ran = medseg(command, tmp_path / "nowhere")
        assert ran.code == 1
        assert "nowhere" in ran.sentence
    ran = medseg("models", "--project", tmp_path / "nowhere", "--json")
    assert ran.code == 1
    assert "accept" in ran.json["error"]
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_without_a_project_is_left_as_it_is(medseg, tmp_path):
    (tmp_path / "pictures").mkdir()
    for command in ("finetune", "evaluate"):
        ran = medseg(command, tmp_path / "pictures")
        assert ran.code == 1
        assert "pictures" in ran.sentence
    assert not list((tmp_path / "pictures").iterdir())


def test_the_installed_command_is_the_same(engine_environment):
    script = Path(sys.executable).with_name("medseg")
    if not script.exists():
        pytest.skip("the package is not installed beside this interpreter")
    ran = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    for command in ("open", "demo", "models", "segment", "accept", "finetune", "evaluate"):
        assert command in ran.stdout


@pytest.mark.parametrize("command", [["nonsense"], ["segment"], ["accept", "a"], ["segment", "x", "--no-such-option"]])
def test_wrong_use_exits_with_2(medseg, command):
    ran = medseg(*command)
    assert ran.code == 2
    assert "Usage" in ran.sentence


def test_open_without_a_display_says_so(medseg, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    ran = medseg("open")
    assert ran.code == 1
    assert "no display" in ran.sentence


def test_open_on_a_display_that_is_gone_says_so(medseg, monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":4711")
    ran = medseg("open")
    assert ran.code == 1
    assert "no display" in ran.sentence


def test_open_with_a_sample_that_there_is_not_is_wrong_use(medseg, tmp_path):
    ran = medseg("open", "--sample", "nonsense", "--project", tmp_path / "project")
    assert ran.code == 2
    assert "fluorescence, histology" in " ".join(ran.err.split())
    assert not (tmp_path / "project").exists()


def test_the_samples_are_those_of_the_manifest():
    manifest = (importlib.resources.files("napari_medseg") / "napari.yaml").read_text("utf-8")
    assert tuple(re.findall(r"^ +key: (\w+)$", manifest, re.MULTILINE)) == SAMPLES


WATCHED = """
import sys
from napari_medseg.cli import main
try:
    main()
finally:
    heavy = {"torch", "triton", "torchvision", "monai", "lightning", "napari", "qtpy"} & set(sys.modules)
    print("HEAVY", sorted(heavy), file=sys.stderr)
"""


def test_no_command_imports_torch_or_the_window(medseg, nuclei, tmp_path):
    image, mask = nuclei(1)
    for arguments in (
        ["models"],
        ["accept", tmp_path / "project", image, mask],
        ["segment", image, "-o", tmp_path / "out"],
        ["finetune", tmp_path / "project", "--steps", 1],
        ["demo", "--headless", "--project", tmp_path / "project"],
    ):
        ran = medseg(*arguments, command=("-c", WATCHED))
        assert ran.err.splitlines()[-1] == "HEAVY []", arguments
