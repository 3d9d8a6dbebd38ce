import json
import shutil
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import binary_erosion

from napari_medseg.models import ModelCard, create_model, load_model, predict, save_model
from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import CancelledError, ImageError, LedgerError, ModelError
from napari_medseg.trainer import Ledger, evaluate
from napari_medseg.trainer.metrics import dice, iou
from napari_medseg.trainer.scores import IncompleteEvaluationError
from napari_medseg.trainer.surfaces import surface_measures


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright disc, and the mask of the disc."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:70, :80]
    mask = (rows - 35) ** 2 + (columns - draw.integers(30, 50)) ** 2 < 18**2
    return (draw.normal(20, 4, mask.shape) + 100 * mask).clip(0, 255).astype(np.uint8), mask.astype(np.uint8)


def weights(
    folder: Path,
    bias: float | tuple[float, ...],
    name: str = "tiny",
    classes: int = 1,
    labels: dict[int, str] | None = None,
) -> str:
    """A file of a network that sees foreground everywhere (a large bias) or nowhere (a small one)."""
    torch.manual_seed(0)
    network = create_model("unet", base=4, classes=classes)
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor(bias))
    card = ModelCard(
        name=name, title=name, network="unet", classes=classes, config={"base": 4}, labels=labels or {1: "object"}
    )
    save_model(network, folder / name, card)
    return str(folder / f"{name}.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images with masks of equal stems, and one of each without the other."""
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for seed in range(3):
        image, mask = case(seed)
        iio.imwrite(tmp_path / "data" / "images" / f"{seed}.png", image)
        iio.imwrite(tmp_path / "data" / "masks" / f"{seed}.{'tif' if seed else 'png'}", mask * 255)
    iio.imwrite(tmp_path / "data" / "images" / "alone.png", case(8)[0])
    iio.imwrite(tmp_path / "data" / "masks" / "other.png", case(9)[1])
    (tmp_path / "data" / "images" / "notes.txt").write_text("no image")
    return tmp_path / "data"


class TestFolder:
    def test_each_pair_is_measured(self, folder: Path) -> None:
        found = evaluate(folder, "nuclei")
        network = load_model("nuclei")
        assert [score.case for score in found.scores] == ["0", "1", "2"]
        for seed, score in enumerate(found.scores):
            image, mask = case(seed)
            answer = predict(network, image).labels > 0
            assert score.dice == pytest.approx(dice(answer, mask > 0))
            assert score.iou == pytest.approx(iou(answer, mask > 0))
        assert found.dice == pytest.approx(np.mean([score.dice for score in found.scores]))
        assert found.iou == pytest.approx(np.mean([score.iou for score in found.scores]))
        assert found.model == "nuclei"

    def test_without_a_model_it_is_the_nuclei_model(self, folder: Path) -> None:
        assert evaluate(str(folder)) == evaluate(folder, "nuclei")

    def test_a_weights_file_is_measured_too(self, folder: Path, tmp_path: Path) -> None:
        everything = evaluate(folder, weights(tmp_path, 50))
        truth = np.mean([case(seed)[1].mean() for seed in range(3)])
        assert everything.iou == pytest.approx(truth)
        assert evaluate(folder, weights(tmp_path, -50)).dice == 0

    def test_instances_count_as_foreground_to_a_binary_network(self, folder: Path, tmp_path: Path) -> None:
        before = evaluate(folder, weights(tmp_path, 50))
        for seed in range(3):
            mask = case(seed)[1] * np.random.default_rng(0).integers(1, 90, (70, 80)).astype(np.uint8)
            iio.imwrite(folder / "masks" / f"{seed}.{'tif' if seed else 'png'}", mask)
        assert evaluate(folder, weights(tmp_path, 50)) == before

    def test_a_folder_without_pairs_is_an_error_for_people(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="needs a folder images and a folder masks"):
            evaluate(tmp_path)

    def test_an_unknown_model_is_an_error_for_people(self, folder: Path) -> None:
        with pytest.raises(ModelError, match="no model 'nonsense'"):
            evaluate(folder, "nonsense")

    def test_a_tolerance_below_0_is_an_error_for_people(self, folder: Path) -> None:
        for tolerance in (-1.0, float("nan")):
            with pytest.raises(ModelError, match="use 0 or more"):
                evaluate(folder, tolerance=tolerance)

    def test_progress_rises_to_1_and_it_can_be_cancelled(self, folder: Path) -> None:
        shares: list[float] = []
        evaluate(folder, progress=shares.append)
        assert shares == pytest.approx([1 / 3, 2 / 3, 1])
        shares.clear()
        with pytest.raises(CancelledError):
            evaluate(folder, progress=shares.append, cancel=lambda: bool(shares))
        assert len(shares) == 1


class TestFigures:
    def test_mae_is_of_the_probability(self, folder: Path, tmp_path: Path) -> None:
        for score in evaluate(folder, weights(tmp_path, 0.3)).scores:
            image, mask = case(int(score.case))
            network = load_model(tmp_path / "tiny.safetensors")
            probability = predict(network, image, probabilities=True).probabilities
            assert score.measures.mae == pytest.approx(np.abs(probability[0].astype(float) - mask).mean(), abs=1e-6)
            assert score.measures.mae != pytest.approx(1 - score.measures.accuracy, abs=1e-3)

    def test_lengths_are_in_the_unit_of_the_image(self, tmp_path: Path) -> None:
        image, mask = case(0)
        for part in ("images", "masks"):
            (tmp_path / "data" / part).mkdir(parents=True)
        tifffile.imwrite(
            tmp_path / "data/images/a.ome.tif",
            image,
            metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "mm"}
            | {"PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "mm"},
        )
        iio.imwrite(tmp_path / "data/images/b.png", image)
        for name in "ab":
            iio.imwrite(tmp_path / "data/masks" / f"{name}.png", mask)
        found = evaluate(tmp_path / "data", weights(tmp_path, 50))
        physical, pixels = found.scores
        assert (physical.unit, physical.tolerance, physical.case) == ("mm", 1.0, "a")
        assert (pixels.unit, pixels.tolerance) == ("pixel", 2.0)
        assert physical.measures.hd95 == surface_measures(np.ones_like(mask) > 0, mask > 0, (0.25, 0.5), 1)[0]
        assert found.to_json()["mean"]["hd95"] is None  # millimetres and pixels have no mean
        physical, pixels = evaluate(tmp_path / "data", weights(tmp_path, 50), tolerance=10).scores
        assert physical.tolerance == pixels.tolerance == 10
        assert physical.measures.nsd > pixels.measures.nsd  # 10 mm are 20 to 40 pixels

    def test_more_is_within_a_larger_tolerance(self, folder: Path, tmp_path: Path) -> None:
        model = weights(tmp_path, 50)
        close, far = (evaluate(folder, model, tolerance=tolerance) for tolerance in (1, 25))
        assert all(one.measures.nsd < two.measures.nsd for one, two in zip(close.scores, far.scores, strict=True))
        assert close.dice == far.dice

    def test_means_are_also_given_by_the_size_of_the_objects(self, tmp_path: Path) -> None:
        for part in ("images", "masks"):
            (tmp_path / "data" / part).mkdir(parents=True)
        for name, side in (("empty", 0), ("tiny", 5), ("small", 20), ("large", 50)):  # of 100 x 100 pixels
            mask = np.zeros((100, 100), np.uint8)
            mask[:side, :side] = 1
            iio.imwrite(tmp_path / "data/images" / f"{name}.png", 100 * mask)
            iio.imwrite(tmp_path / "data/masks" / f"{name}.png", mask)
        found = evaluate(tmp_path / "data", weights(tmp_path, 50))
        rows = found.by_size()
        assert {name: row["images"] for name, row in rows.items()} == {"<1%": 1, "<10%": 2, "all": 4}
        by_case = {score.case: score for score in found.scores}
        assert by_case["tiny"].foreground == 0.0025
        assert rows["<1%"]["iou"] == by_case["tiny"].iou
        assert rows["<10%"]["iou"] == pytest.approx((by_case["tiny"].iou + by_case["small"].iou) / 2)
        assert rows["all"]["iou"] == found.iou
        assert rows["all"]["without_hd95"] == 1  # an object in the empty image
        assert found.to_json()["mean"] == rows["all"]

    def test_all_of_it_is_valid_json(self, folder: Path, tmp_path: Path) -> None:
        nothing = evaluate(folder, weights(tmp_path, -50)).to_json()
        assert json.loads(json.dumps(nothing, allow_nan=False)) == nothing
        assert nothing["images"][0] == nothing["images"][0] | {"case": "0", "dice": 0, "iou": 0, "hd95": None}
        assert nothing["mean"]["hd95"] is None
        assert nothing["by_size"]["<1%"]["images"] == 0
        assert nothing["by_size"]["<1%"]["dice"] is None
        assert nothing["by_class"] == {}
        assert (nothing["split"], nothing["failed"]) == (None, [])


class TestClasses:
    @pytest.fixture
    def classes(self, folder: Path) -> Path:
        """The folder with two classes: the disc, and a corner in the first image only."""
        for seed in range(3):
            mask = case(seed)[1]
            mask[:10, :10] = 2 * (seed == 0)
            iio.imwrite(folder / "masks" / f"{seed}.{'tif' if seed else 'png'}", mask)
        return folder

    def test_labels_are_compared_one_by_one(self, classes: Path, tmp_path: Path) -> None:
        model = weights(tmp_path, 0, classes=3)
        found = evaluate(classes, model)
        for score in found.scores:
            image, mask = (iio.imread(next((classes / part).glob(f"{score.case}.*"))) for part in ("images", "masks"))
            answer = predict(load_model(model), image).labels
            assert score.dice == pytest.approx(dice(answer, mask))
            assert score.classes[1].dice == pytest.approx(dice(answer == 1, mask == 1))

    def test_means_of_a_class_are_over_the_images_that_have_it(self, classes: Path, tmp_path: Path) -> None:
        rows = evaluate(classes, weights(tmp_path, (9, 0, 0), classes=3, labels={1: "head"})).by_class()
        assert {label: (row["name"], row["images"]) for label, row in rows.items()} == {
            "1": ("head", 3),
            "2": ("label 2", 1),
        }
        assert rows["1"]["dice"] == rows["2"]["dice"] == 0

    def test_a_value_beyond_the_classes_says_which_file_which_value_and_what_is_allowed(
        self, classes: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(ImageError, match=r"mask '0.png' has the value 2, but 'two' knows the classes 0 to 1 only"):
            evaluate(classes, weights(tmp_path, 0, name="two", classes=2))


class TestParts:
    @pytest.fixture
    def parts(self, tmp_path: Path) -> Path:
        """One image in each of train, val and test."""
        for number, split in enumerate(("train", "val", "test")):
            for part, pixels in zip(("images", "targets"), case(number), strict=True):
                (tmp_path / "parts" / split / part).mkdir(parents=True)
                iio.imwrite(tmp_path / "parts" / split / part / f"{number}.png", pixels)
        return tmp_path / "parts"

    def test_of_a_divided_folder_test_comes_before_val(self, parts: Path) -> None:
        assert (evaluate(parts).split, [score.case for score in evaluate(parts).scores]) == ("test", ["2"])
        shutil.rmtree(parts / "test")
        assert (evaluate(parts).split, [score.case for score in evaluate(parts).scores]) == ("val", ["1"])

    def test_what_a_model_may_have_learned_from_is_not_used_unasked(self, parts: Path) -> None:
        for split in ("val", "test"):
            shutil.rmtree(parts / split)
        with pytest.raises(ImageError, match=r"images to learn from only \(train\)"):
            evaluate(parts)
        assert [score.case for score in evaluate(parts, split="train").scores] == ["0"]
        assert [score.case for score in evaluate(parts / "train").scores] == ["0"]

    def test_a_part_that_is_not_there_is_an_error_for_people(self, parts: Path, folder: Path) -> None:
        with pytest.raises(ImageError, match="no part called 'tset'; there are train and val and test"):
            evaluate(parts, split="tset")
        with pytest.raises(ImageError, match="it is not divided"):
            evaluate(folder, split="test")


class TestFailures:
    def measured_without(self, folder: Path, failed: str, reason: str) -> None:
        """Everything but one image is measured, and what is said of that."""
        with pytest.raises(IncompleteEvaluationError, match=reason) as ended:
            evaluate(folder)
        found = ended.value.evaluation
        assert [score.case for score in found.scores] == [name for name in "012" if name != failed]
        assert [failure.image for failure in found.failed] == [str(folder / "images" / f"{failed}.png")]
        assert "2 images were measured, 1 failed" in str(ended.value)

    def test_a_mask_of_another_shape(self, folder: Path) -> None:
        iio.imwrite(folder / "masks" / "0.png", np.zeros((80, 70), np.uint8))
        self.measured_without(folder, "0", r"'0.png' does not fit '0.png'. The mask has shape \(80, 70\)")

    def test_an_image_that_cannot_be_read(self, folder: Path) -> None:
        (folder / "images" / "1.png").write_bytes((folder / "images" / "1.png").read_bytes()[:200])
        self.measured_without(folder, "1", "'1.png' is damaged or incomplete")

    def test_a_mask_that_cannot_be_read(self, folder: Path) -> None:
        (folder / "masks" / "2.tif").write_text("no image")
        self.measured_without(folder, "2", "'2.tif' is not an image")

    def test_an_image_that_is_too_small(self, folder: Path) -> None:
        for path in (folder / "images" / "0.png", folder / "masks" / "0.png"):
            iio.imwrite(path, np.zeros((40, 31), np.uint8))
        self.measured_without(folder, "0", "'0.png' is 31 x 40 pixels, but each side needs 32")

    def test_where_all_fail_there_are_no_figures(self, folder: Path) -> None:
        for seed in range(3):
            (folder / "images" / f"{seed}.png").write_bytes(b"")
        with pytest.raises(IncompleteEvaluationError, match="0 images were measured, 3 failed") as ended:
            evaluate(folder)
        assert ended.value.evaluation.to_json()["dice"] is None


class TestPictures:
    def test_each_image_has_one(self, folder: Path, tmp_path: Path) -> None:
        found = evaluate(folder, weights(tmp_path, 50), pictures=tmp_path / "new" / "pictures")
        assert sorted(path.name for path in (tmp_path / "new" / "pictures").iterdir()) == ["0.png", "1.png", "2.png"]
        for score in found.scores:
            picture = iio.imread(score.picture)
            mask = case(int(score.case))[1].repeat(10, 0).repeat(10, 1)
            assert picture.shape == (*mask.shape, 3)
            inner = binary_erosion(mask, iterations=2)
            assert np.array_equal(picture[inner][:, 0], picture[inner][:, 2])  # right: as in the image, grey
            assert (picture[10:-10, 10:100, 2] > picture[10:-10, 10:100, 0]).all()  # invented: blue

    def test_they_change_no_figure(self, folder: Path, tmp_path: Path) -> None:
        model = weights(tmp_path, 50)
        with_pictures = evaluate(folder, model, pictures=tmp_path / "pictures").scores
        assert tuple(replace(score, picture="") for score in with_pictures) == evaluate(folder, model).scores

    def test_the_images_of_the_folder_are_not_replaced(self, folder: Path) -> None:
        before = {path: path.read_bytes() for path in folder.glob("*/*")}
        for part in ("images", "masks"):
            with pytest.raises(WriteError, match="could replace the images or masks"):
                evaluate(folder, pictures=folder / part)
        assert {path: path.read_bytes() for path in folder.glob("*/*")} == before

    def test_a_picture_that_cannot_be_written_costs_no_figures(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "pictures" / "1.png").mkdir(parents=True)
        with pytest.raises(IncompleteEvaluationError, match=r"'1.png' could not be written") as ended:
            evaluate(folder, pictures=tmp_path / "pictures")
        assert [bool(score.picture) for score in ended.value.evaluation.scores] == [True, False, True]


class TestProject:
    def test_only_what_no_version_learned_from_is_measured(self, tmp_path: Path) -> None:
        with Ledger.open(tmp_path / "project") as ledger:
            ledger.set_base(weights(tmp_path, 50))
            records = [ledger.add(*case(seed), group="abcab"[seed]) for seed in range(5)]
            found = evaluate(ledger)
            assert [score.case for score in found.scores] == [f"case {records[k].id}" for k in (1, 4)]
            assert found.iou == pytest.approx(np.mean([case(k)[1].mean() for k in (1, 4)]))
            assert found.model == ledger.active()

    def test_the_latest_correction_of_an_image_is_the_truth(self, tmp_path: Path) -> None:
        with Ledger.open(tmp_path / "project") as ledger:
            ledger.add(*case(0), group="a")
            image, mask = case(1)
            ledger.add(image, mask, group="b")
            ledger.add(image, np.ones_like(mask))
            assert evaluate(ledger, weights(tmp_path, 50)).dice == 1

    def test_a_version_goes_by_its_name_and_so_do_cards_and_files(self, tmp_path: Path) -> None:
        with Ledger.open(tmp_path / "project") as ledger:
            for seed in range(2):
                ledger.add(*case(seed), group="ab"[seed])
            file = weights(tmp_path, 50)
            ledger.add_version(Path(file), Path(file).with_suffix(".json").read_text(), "nuclei", {}, "", activate=True)
            assert evaluate(ledger).model == "v1"
            assert evaluate(ledger).scores == evaluate(ledger, "v1").scores == evaluate(ledger, file).scores
            assert evaluate(ledger, "nuclei").scores != evaluate(ledger, "v1").scores
            with pytest.raises(ModelError, match="no model 'v2'"):
                evaluate(ledger, "v2")

    def test_of_one_patient_nothing_is_unseen(self, tmp_path: Path) -> None:
        with Ledger.open(tmp_path / "project") as ledger:
            with pytest.raises(LedgerError, match="nothing to judge"):
                evaluate(ledger)
            for seed in range(3):
                ledger.add(*case(seed), group="a")
            with pytest.raises(LedgerError, match="Accept a case of a second patient"):
                evaluate(ledger)
