import csv
import math
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from tensorboardX.proto.event_pb2 import Event

from napari_medseg.models import create_model, load_model, predict, save_model
from napari_medseg.models.cards import ModelCard
from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import CancelledError, ModelError
from napari_medseg.models.reading import read_image
from napari_medseg.trainer.folder_config import FolderConfig, FolderRequest
from napari_medseg.trainer.folder_outcome import FolderProgress
from napari_medseg.trainer.folder_plan import plan_training

from .folder_cases import disc, pair, run


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open() as file:
        return list(csv.DictReader(file))


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of each scalar in TensorBoard's files: records of a length, its checksum, content and checksum."""
    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.glob("events.out.tfevents.*")):
        content = file.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


class TestTraining:
    def test_a_network_learns_and_what_it_makes_is_loaded_and_predicts(
        self, request_for: Callable[..., FolderRequest], folder: Path
    ) -> None:
        request = request_for(steps=60)
        result = run(request)
        assert result.dice > 0.8
        assert (result.steps, result.trained_on, result.validated_on) == (60, 8, 2)
        assert result.epochs == 60 * 2 / 8

        network = load_model(result.weights)
        card: ModelCard = network.card  # type: ignore[assignment]
        assert (card.name, card.network, card.config, card.labels) == ("out", "unet", {"base": 4}, {1: "object"})
        assert card.metrics == {"validation_dice": pytest.approx(result.dice, abs=1e-4), "validation_images": 2}
        assert card.trained
        assert str(folder.parent) not in card.to_json()
        image, truth = read_image(folder / "images" / "case0.png"), iio.imread(folder / "masks" / "case0.png")
        assert (predict(network, image).labels == truth).mean() > 0.9

    def test_the_log_says_what_happened_and_the_best_weights_are_those_of_the_highest_dice(
        self, request_for: Callable[..., FolderRequest]
    ) -> None:
        request = request_for(steps=16)
        result = run(request)
        table = rows(request.out)
        assert [int(row["step"]) for row in table] == [4, 8, 12, 16]  # at the end of each epoch
        assert [float(row["epoch"]) for row in table] == [1, 2, 3, 4]
        looks = [float(row["val_dice"]) for row in table if row["val_dice"]]
        assert max(looks) == result.dice == float(table[-1]["best_dice"])
        assert all(math.isfinite(float(row["loss"])) and float(row["lr"]) > 0 for row in table)
        assert sorted(float(row["seconds"]) for row in table) == [float(row["seconds"]) for row in table]

        shown = events(request.out / "tensorboard")
        assert [step for step, _ in shown["loss"]] == [4, 8, 12, 16]
        assert [value for _, value in shown["val_dice"]] == pytest.approx(looks)
        assert "validation Dice" in (request.out / "training.log").read_text()
        config = FolderConfig.from_json((request.out / "config.json").read_text())
        assert (config.network, config.training.steps, config.training.lr) == ("unet", 16, 1e-2)

    def test_progress_tells_how_far_it_is(self, request_for: Callable[..., FolderRequest]) -> None:
        told: list[FolderProgress] = []
        run(request_for(), progress=told.append)
        assert {now.message for now in told} == {"Looking at the images", "Training", "Validating"}
        training = [now for now in told if now.message == "Training"]
        assert training[-1].share == 1
        assert training[-1].eta == 0
        assert training[-1].epoch == 2
        assert training[-1].best is not None
        assert all(now.eta < math.inf for now in training)

    def test_classes_have_names_and_ignored_pixels_count_for_nothing(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path
    ) -> None:
        data = tmp_path / "classes"
        for seed in range(4):
            image, mask = disc(seed, label=1 + seed % 2)
            mask[:4] = 255
            pair(data / ("val" if seed > 1 else "train"), f"case{seed}", image, mask)
        request = request_for(folder=data, classes=3, labels=("liver", "spleen"), ignore=255, steps=3)
        result = run(request)
        card: ModelCard = load_model(result.weights).card  # type: ignore[assignment]
        assert (card.classes, card.labels) == (3, {1: "liver", 2: "spleen"})
        assert 0 <= result.dice <= 1

    def test_a_budget_ends_it_whatever_the_recipe_says(self, request_for: Callable[..., FolderRequest]) -> None:
        result = run(request_for(minutes=5 / 60, steps=None))
        assert result.seconds >= 5
        assert result.steps > 1
        assert result.dice >= 0

    def test_it_begins_from_weights_and_keeps_what_their_network_is(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path
    ) -> None:
        first = run(request_for(steps=40))
        request = request_for(out=tmp_path / "more", weights=str(first.weights), options={}, steps=1, lr=1e-9)
        assert run(request).dice == pytest.approx(first.dice, abs=0.02)

    @pytest.mark.parametrize("lr", [1e30])
    def test_a_loss_that_is_no_number_ends_it_with_a_sentence(
        self, request_for: Callable[..., FolderRequest], lr: float
    ) -> None:
        with pytest.raises(ModelError, match=r"loss is no number any more .* learning rate 1e\+30 is too high"):
            run(request_for(lr=lr, steps=60, recipe="published"))


class TestGoingOn:
    @pytest.mark.parametrize("adstnet", [False, True])
    def test_a_training_that_was_stopped_ends_with_the_very_weights_it_would_have_had(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path, adstnet: bool
    ) -> None:
        whole = run(request_for(adstnet=adstnet, out=tmp_path / "whole"))
        for stop in (3, 5):
            told: list[FolderProgress] = []
            with pytest.raises(CancelledError, match=rf"Stopped after {stop} steps; nothing is lost. Run the same"):
                run(
                    request_for(adstnet=adstnet),
                    progress=told.append,
                    cancel=lambda told=told, stop=stop: bool(told) and told[-1].step >= stop,
                )
        result = run(request_for(adstnet=adstnet))
        assert (result.dice, result.steps, result.best_epoch) == (whole.dice, whole.steps, whole.best_epoch)
        assert result.weights.read_bytes() == whole.weights.read_bytes()
        for names in ("step", "loss", "val_dice"):
            assert [row[names] for row in rows(tmp_path / "out")] == [row[names] for row in rows(tmp_path / "whole")]

    def test_a_training_that_had_ended_says_the_same_again_and_changes_nothing(
        self, request_for: Callable[..., FolderRequest]
    ) -> None:
        request = request_for()
        first = run(request)
        before = {path.name: path.read_bytes() for path in request.out.iterdir() if path.suffix == ".safetensors"}
        assert run(request) == first
        assert {name: (request.out / name).read_bytes() for name in before} == before
        assert len(rows(request.out)) == 2

    def test_lines_after_the_last_checkpoint_are_written_anew(self, request_for: Callable[..., FolderRequest]) -> None:
        request = request_for()
        run(request)
        with (request.out / "log.csv").open("a") as file:
            file.write("99,1,1,1,1,,\n7,0.")  # of a process that was killed
        run(request)
        assert [row["step"] for row in rows(request.out)] == ["4", "8"]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"lr": 0.5}, "lr 0.5 instead of 0.01"),
            ({"adstnet": True}, "adstnet True instead of False"),
            ({"options": {"base": 8}}, r"options {'base': 8} instead of {'base': 4}"),
            ({"steps": 9}, "steps 9 instead of 8"),
        ],
    )
    def test_a_different_training_in_the_folder_is_refused(
        self, request_for: Callable[..., FolderRequest], change: dict[str, Any], said: str
    ) -> None:
        result = run(request_for())
        before = result.weights.read_bytes()
        with pytest.raises(ModelError, match=f"holds another training; you asked for {said}. To go on with it"):
            run(request_for(**change))
        assert result.weights.read_bytes() == before

    def test_other_images_are_another_training(self, request_for: Callable[..., FolderRequest], folder: Path) -> None:
        run(request_for())
        pair(folder, "new", *disc(77))
        with pytest.raises(ModelError, match="you asked for the images"):
            run(request_for())

    def test_a_damaged_checkpoint_says_so(self, request_for: Callable[..., FolderRequest]) -> None:
        request = request_for()
        run(request)
        (request.out / "last.checkpoint").write_bytes(b"PK\x03\x04 cut short")
        with pytest.raises(ModelError, match=r"last.checkpoint' cannot be read: it is damaged"):
            run(request)

    def test_a_folder_at_which_another_training_works_is_left_alone(
        self, request_for: Callable[..., FolderRequest]
    ) -> None:
        request = request_for()
        request.out.mkdir()
        with (
            FileLock(request.out / "training.lock"),
            pytest.raises(ModelError, match=r"Another training is at work in '.*out'"),
        ):
            run(request)

    @pytest.mark.parametrize("name", ["best.safetensors", "config.json"])
    def test_a_folder_with_something_else_in_it_is_refused(
        self, request_for: Callable[..., FolderRequest], name: str
    ) -> None:
        request = request_for()
        request.out.mkdir()
        (request.out / name).write_text('{"mine": 1}')
        with pytest.raises(ModelError, match="Choose another folder"):
            run(request)
        assert (request.out / name).read_text() == '{"mine": 1}'

    def test_a_place_that_cannot_be_a_folder_is_refused_before_any_image_is_read(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        told: list[FolderProgress] = []
        with pytest.raises(WriteError):
            run(request_for(out=tmp_path / "file" / "out"), progress=told.append)
        assert not told


def test_with_adstnet_the_saved_weights_are_those_of_the_bare_network(
    request_for: Callable[..., FolderRequest],
) -> None:
    result = run(request_for(adstnet=True, steps=4))
    assert load_file(result.weights).keys() == create_model("unet", base=4).state_dict().keys()
    kept = torch.load(result.weights.parent / "last.checkpoint", weights_only=True)
    assert any(name.startswith("head.") for name in kept["network"])


def test_two_devices_share_a_batch_and_one_writes(request_for: Callable[..., FolderRequest], tmp_path: Path) -> None:
    request = request_for(steps=6, adstnet=True)
    script = tmp_path / "two.py"
    script.write_text(
        "import torch; torch.set_num_threads(1)\n"
        "from pathlib import Path, PosixPath, WindowsPath\n"
        "from lightning.fabric import Fabric\n"
        "from napari_medseg.trainer.folder_config import FolderRequest\n"
        "from napari_medseg.trainer.folder_training import train_folder\n"
        "fabric = Fabric(accelerator='cpu', devices=2, strategy='ddp_find_unused_parameters_true')\n"
        f"print('found', train_folder({request!r}, fabric=fabric).dice)\n"
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr
    found = re.findall(r"found (\S+)", ran.stdout)
    assert len(found) == 2
    assert found[0] == found[1]  # both looked at their share of the validation images
    assert [row["step"] for row in rows(request.out)] == ["4", "6"]
    load_model(request.out / "best.safetensors")


def test_weights_to_begin_from_bring_their_scale_and_their_options(
    request_for: Callable[..., FolderRequest], tmp_path: Path
) -> None:
    network = create_model("unet", base=4)
    card = ModelCard(name="mine", title="Mine", network="unet", config={"base": 4}, scale=0.5)
    save_model(network, tmp_path / "mine", card)
    plan = plan_training(replace(request_for(options={}), weights=str(tmp_path / "mine.safetensors")))
    assert (plan.card.scale, plan.config.options) == (0.5, {"base": 4})
    assert plan.config.begins.startswith("weights ")
