import csv
import json
import logging
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
import numpy as np
import pytest
import torch
from filelock import FileLock
from lightning.fabric import Fabric
from safetensors.torch import load_file
from tensorboardX.proto.event_pb2 import Event

from napari_medseg.models import create_model, load_model, predict, save_model
from napari_medseg.models.cards import ModelCard
from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import CancelledError, ImageError, ModelError
from napari_medseg.models.reading import read_image
from napari_medseg.models.registry import NETWORKS
from napari_medseg.trainer.folder_config import FolderConfig, FolderRequest
from napari_medseg.trainer.folder_outcome import FolderProgress
from napari_medseg.trainer.folder_plan import LOOKS, plan_training
from napari_medseg.trainer.folder_training import train_folder


def disc(seed: int, shape: tuple[int, int] = (48, 40), label: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on noise, brighter the higher its label, and its mask."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = (rows - draw.integers(16, 32)) ** 2 + (columns - draw.integers(14, 26)) ** 2 < 10**2
    return (draw.integers(0, 60, shape) + 90 * label * inside).astype(np.uint8), (label * inside).astype(np.uint8)


def pair(folder: Path, name: str, image: np.ndarray, mask: np.ndarray) -> None:
    for part, pixels in (("images", image), ("masks", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        iio.imwrite(folder / part / f"{name}.png", pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pairs, in the flat layout."""
    for seed in range(10):
        pair(tmp_path / "data", f"case{seed}", *disc(seed))
    return tmp_path / "data"


@pytest.fixture
def request_for(folder: Path, tmp_path: Path) -> Callable[..., FolderRequest]:
    def make(**changes: Any) -> FolderRequest:
        few = {"steps": 8, "batch": 2, "crop": 32, "options": {"base": 4}, "lr": 1e-2}
        return FolderRequest(**{"folder": folder, "out": tmp_path / "out", "network": "unet"} | few | changes)

    return make


def run(request: FolderRequest, **options: Any) -> Any:
    return train_folder(request, fabric=Fabric(accelerator="cpu", devices=1), **options)


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
        result = run(request_for(minutes=1.0 / 60, steps=None))
        assert result.seconds >= 1
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


class TestPlan:
    @pytest.mark.parametrize("recipe", ["published", "quick"])
    @pytest.mark.parametrize("network", NETWORKS)
    def test_every_network_has_a_plan_by_both_recipes(
        self, request_for: Callable[..., FolderRequest], network: str, recipe: str
    ) -> None:
        request = request_for(network=network, recipe=recipe, steps=None, batch=None, crop=None, lr=None, options={})
        plan = plan_training(request)
        config = plan.config.training
        assert config.steps % math.ceil(8 / config.batch) == 0
        assert plan.config.looks <= LOOKS
        if recipe == "published" and network != "sosegformer":
            assert plan.card.scale == pytest.approx(config.crop / 48, abs=1e-5)  # the longer side becomes a crop's
        else:
            assert plan.card.scale == 1

    def test_the_same_images_validate_whatever_the_seed(self, request_for: Callable[..., FolderRequest]) -> None:
        plans = [plan_training(request_for(seed=seed)) for seed in (0, 1)]
        assert plans[0].validation == plans[1].validation

    def test_an_encoder_is_frozen_at_first_only_if_it_came_with_weights(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path
    ) -> None:
        (tmp_path / "encoder.pth").write_bytes(b"weights")
        options = {"network": "sosegformer", "options": {}, "recipe": "published"}
        assert plan_training(request_for(**options)).config.training.frozen == 0
        plan = plan_training(request_for(**options, encoder_weights=tmp_path / "encoder.pth"))
        assert plan.config.training.frozen == 0.1
        assert plan.config.begins.startswith("encoder ")

    def test_images_of_five_channels_get_a_network_for_them(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path
    ) -> None:
        import tifffile

        for seed in range(2):
            pair(tmp_path / "five", f"{seed}", *disc(seed))
            (tmp_path / "five" / "images" / f"{seed}.png").unlink()
            data = np.random.default_rng(seed).integers(0, 99, (5, 48, 40)).astype(np.uint8)
            tifffile.imwrite(tmp_path / "five" / "images" / f"{seed}.ome.tif", data, metadata={"axes": "CYX"})
        assert plan_training(request_for(folder=tmp_path / "five")).card.in_channels == 5

    def test_a_patient_on_both_sides_is_warned_of(
        self, request_for: Callable[..., FolderRequest], folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (folder / "groups.csv").write_text("image,group\n" + "".join(f"case{k},p{k // 2}\n" for k in range(10)))
        (folder / "splits.json").write_text(json.dumps({"train": ["case0", "case2"], "val": ["case1"]}))
        with caplog.at_level(logging.WARNING):
            plan_training(request_for())
        assert "1 groups of groups.csv are in both train and val" in caplog.text


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"network": "unett"}, "no network 'unett'.*Did you mean 'unet'"),
            ({"recipe": "slow"}, "no recipe 'slow'; there are: published, quick"),
            ({"options": {"width": 4}}, "'unet' cannot be created"),
            ({"weights": "nuclei", "options": {}, "classes": 2}, "'nuclei' knows 1 class, not 2"),
            ({"weights": "nuclei", "options": {}, "network": "ascseg"}, "weights of 'unet', not of 'ascseg'"),
            ({"weights": "nuclei"}, "options of 'nuclei' are its own"),
            ({"weights": "unet", "options": {}}, "'unet' has no weights to begin from"),
            ({"pretrained": True}, "'unet' has no published encoder weights"),
        ],
    )
    def test_names_and_options_that_cannot_be(
        self, request_for: Callable[..., FolderRequest], changes: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ModelError, match=said):
            run(request_for(**changes))

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"minutes": 0}, "minutes 0 is not possible; use a number above 0"),
            ({"minutes": float("nan")}, "minutes nan is not possible"),
            ({"steps": 0}, "steps 0 is not possible; use 1 or more"),
            ({"crop": 8}, "crop 8 is not possible; use 32 or more"),
            ({"classes": 300}, "300 classes are not possible"),
            ({"classes": 3, "labels": ("a",)}, r"1 labels were named \(a\), but 3 classes have 2"),
            ({"weights": "nuclei", "pretrained": True}, "only one is possible"),
        ],
    )
    def test_numbers_that_cannot_be(
        self, request_for: Callable[..., FolderRequest], changes: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ModelError, match=said):
            request_for(**changes)

    def test_a_folder_without_pairs(self, request_for: Callable[..., FolderRequest], tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(ImageError, match="has no pairs of an image and a mask"):
            run(request_for(folder=tmp_path / "empty"))

    def test_a_folder_with_nothing_to_learn_from(
        self, request_for: Callable[..., FolderRequest], tmp_path: Path
    ) -> None:
        pair(tmp_path / "judged" / "test", "a", *disc(0))
        with pytest.raises(ImageError, match="has test, but no train to learn from"):
            run(request_for(folder=tmp_path / "judged"))

    @pytest.mark.parametrize(
        ("image", "mask", "classes", "said"),
        [
            (disc(0)[0], disc(0)[1] * 7, 3, "'bad.png' has label 7, but 3 classes allow 0 to 2. Give more classes"),
            (disc(0)[0], disc(0)[1] * 255, 2, "has label 255, .* A mask of 0 and 255 has one object class"),
            (disc(0)[0], np.arange(1920).reshape(48, 40).astype(np.uint8), 3, "has labels 3, 4, 5, 6, 7, ..., but 3"),
            (np.zeros((20, 40), np.uint8), np.zeros((20, 40), np.uint8), 1, "'bad.png' is 40 x 20 pixels"),
            (disc(0)[0], disc(0, (40, 48))[1], 1, r"'bad.png' does not fit 'bad.png'. The mask has shape \(40, 48\)"),
        ],
    )
    def test_one_pair_that_cannot_be_used_is_named(
        self,
        request_for: Callable[..., FolderRequest],
        folder: Path,
        image: np.ndarray,
        mask: np.ndarray,
        classes: int,
        said: str,
    ) -> None:
        pair(folder, "bad", image, mask)
        with pytest.raises(ImageError, match=f"{said}.*One of 11 pairs cannot be used; nothing was trained"):
            run(request_for(classes=classes))

    def test_several_pairs_that_cannot_be_used_are_counted(
        self, request_for: Callable[..., FolderRequest], folder: Path
    ) -> None:
        for number in range(5):
            (folder / "images" / f"case{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n cut short")
        with pytest.raises(ImageError, match=r"5 of 10 pairs cannot be used; .*'case\d.png' is damaged.* And 2 more"):
            run(request_for())

    def test_masks_without_an_object(self, request_for: Callable[..., FolderRequest], folder: Path) -> None:
        for file in (folder / "masks").iterdir():
            iio.imwrite(file, np.zeros((48, 40), np.uint8))
        with pytest.raises(ImageError, match="All masks are empty"):
            run(request_for())

    def test_images_that_no_network_reads_together(
        self, request_for: Callable[..., FolderRequest], folder: Path
    ) -> None:
        import tifffile

        (folder / "images" / "case0.png").unlink()
        tifffile.imwrite(folder / "images" / "case0.ome.tif", np.ones((5, 48, 40), np.uint8), metadata={"axes": "CYX"})
        (folder / "images" / "case1.png").unlink()
        tifffile.imwrite(folder / "images" / "case1.ome.tif", np.ones((2, 48, 40), np.uint8), metadata={"axes": "CYX"})
        with pytest.raises(ImageError, match=r"different numbers of channels \(8 with 1, 1 with 2, 1 with 5\)"):
            run(request_for())

    def test_classes_that_no_mask_holds_are_warned_of(
        self, request_for: Callable[..., FolderRequest], caplog: pytest.LogCaptureFixture
    ) -> None:
        plan_training(request_for(classes=4))
        assert "No mask holds class 2, 3" in caplog.text

    def test_labels_that_may_be_classes_are_warned_of(
        self, request_for: Callable[..., FolderRequest], folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        pair(folder, "two", *disc(0, label=2))
        plan_training(request_for())
        assert "The masks hold the labels 1, 2; all count as one foreground" in caplog.text


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
