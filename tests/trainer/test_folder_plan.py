import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from napari_medseg.models.errors import ImageError, ModelError
from napari_medseg.models.registry import NETWORKS
from napari_medseg.trainer.folder_config import FolderRequest
from napari_medseg.trainer.folder_plan import LOOKS, plan_training

from .folder_cases import disc, pair, run


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
