from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from napari_medseg.models import ModelCard, create_model, load_model, predict, save_model
from napari_medseg.models.errors import CancelledError, ImageError, LedgerError, ModelError
from napari_medseg.trainer import Ledger, evaluate
from napari_medseg.trainer.metrics import dice, iou


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright disc, and the mask of the disc."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:70, :80]
    mask = (rows - 35) ** 2 + (columns - draw.integers(30, 50)) ** 2 < 18**2
    return (draw.normal(20, 4, mask.shape) + 100 * mask).clip(0, 255).astype(np.uint8), mask.astype(np.uint8)


def weights(folder: Path, bias: float, name: str = "tiny", classes: int = 1) -> str:
    """A file of a network that sees foreground everywhere (a large bias) or nowhere (a small one)."""
    torch.manual_seed(0)
    network = create_model("unet", base=4, classes=classes)
    torch.nn.init.constant_(network.head.bias, bias)
    card = ModelCard(name=name, title=name, network="unet", classes=classes, config={"base": 4})
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

    def test_labels_are_compared_one_by_one_to_a_network_of_classes(self, folder: Path, tmp_path: Path) -> None:
        model = weights(tmp_path, 0, classes=3)
        found = evaluate(folder, model)
        for score in found.scores:
            image, mask = (iio.imread(next((folder / part).glob(f"{score.case}.*"))) for part in ("images", "masks"))
            assert score.dice == pytest.approx(dice(predict(load_model(model), image).labels, mask))

    def test_a_folder_without_pairs_is_an_error_for_people(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="needs a folder images and a folder masks"):
            evaluate(tmp_path)

    def test_a_mask_of_another_shape_is_an_error_for_people(self, folder: Path) -> None:
        iio.imwrite(folder / "masks" / "0.png", np.zeros((80, 70), np.uint8))
        with pytest.raises(ImageError, match=r"shape \(80, 70\)"):
            evaluate(folder)

    def test_an_unknown_model_is_an_error_for_people(self, folder: Path) -> None:
        with pytest.raises(ModelError, match="no model 'nonsense'"):
            evaluate(folder, "nonsense")

    def test_progress_rises_to_1_and_it_can_be_cancelled(self, folder: Path) -> None:
        shares: list[float] = []
        evaluate(folder, progress=shares.append)
        assert shares == pytest.approx([1 / 3, 2 / 3, 1])
        shares.clear()
        with pytest.raises(CancelledError):
            evaluate(folder, progress=shares.append, cancel=lambda: bool(shares))
        assert len(shares) == 1


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
