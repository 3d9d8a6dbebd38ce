from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance

from napari_medseg.models import ModelCard, create_model, load_model, predict, save_model
from napari_medseg.models.reading import read_image
from napari_medseg.trainer import evaluate
from napari_medseg.trainer.measures import measure_image
from napari_medseg.trainer.scores import CaseScore, Evaluation

from .volume_cases import SPACING, organs, pair

LABELS = {1: "liver", 2: "spleen", 3: "pancreas"}


def box(*low_and_high: tuple[int, int], label: int = 1) -> np.ndarray:
    """A volume of 20 x 20 x 20 with a box in it."""
    made = np.zeros((20, 20, 20), np.uint8)
    made[tuple(slice(*ends) for ends in low_and_high)] = label
    return made


def figures(predicted: np.ndarray, truth: np.ndarray) -> Any:
    probabilities = np.stack([predicted == label for label in range(4)]).astype(np.float32)
    return measure_image(predicted, truth, probabilities, SPACING, 2.0)


@pytest.mark.parametrize(("axis", "away"), [(0, 2 * 3.0), (1, 2 * 1.0), (2, 2 * 0.8)])
def test_hd95_is_in_millimetres_along_every_axis(axis: int, away: float) -> None:
    truth = box((4, 12), (4, 12), (4, 12))
    _, classes = figures(np.roll(truth, 2, axis), truth)
    assert classes[1].hd95 == pytest.approx(away)
    assert classes[1].dice == pytest.approx(2 * 6 / (8 + 8))


def test_the_surface_is_that_of_the_volume_and_not_of_its_slices() -> None:
    truth, answer = box((4, 12), (4, 12), (4, 12)), box((4, 10), (4, 12), (4, 12))
    hd95 = figures(answer, truth)[1][1].hd95
    assert hd95 == pytest.approx(6.0)  # the two last slices are missing; within the others outlines are the same


def test_each_organ_of_each_volume_agrees_with_monai(tmp_path: Path) -> None:
    torch.manual_seed(3)
    card = ModelCard(name="tiny", title="tiny", network="unet", classes=4, config={"base": 4}, labels=LABELS)
    network = create_model("unet", base=4, classes=4)
    with torch.no_grad():
        network.head.weight.mul_(30)  # so that the answers of an untrained network are of all classes
    save_model(network, tmp_path / "tiny", card)
    weights = str(tmp_path / "tiny.safetensors")
    for seed in range(2):
        pair(tmp_path / "data", f"case{seed}", *organs(seed, (16, 48, 48)))

    found = evaluate(tmp_path / "data", weights)
    for seed, score in enumerate(found.scores):
        answer = predict(load_model(weights), read_image(tmp_path / "data" / "images" / f"case{seed}.nii.gz")).labels
        truth = organs(seed, (16, 48, 48))[1]
        assert score.unit == "mm"
        for label, measured in score.classes.items():
            both: list[Any] = [torch.from_numpy(mask == label)[None, None].float() for mask in (answer, truth)]
            assert measured.dice == pytest.approx(float(compute_dice(*both)), abs=1e-6)
            if measured.hd95 is None:
                assert not both[0].any()
                continue
            reference = compute_hausdorff_distance(*both, include_background=True, percentile=95, spacing=list(SPACING))
            assert measured.hd95 == pytest.approx(float(reference), rel=1e-5)
        assert set(score.classes) == {1, 2, 3}


def test_means_are_over_volumes_and_over_organs() -> None:
    one = box((4, 12), (4, 12), (4, 12))
    both = one + box((4, 12), (4, 12), (14, 18), label=2)
    scores = []
    for name, answer, truth in (("a", one, one), ("b", np.roll(one, 4, 0), both)):
        mean, classes = figures(answer, truth)
        scores.append(CaseScore(name, mean, 0.1, "mm", 2.0, classes))
    found = Evaluation("m", tuple(scores), {1: "liver", 2: "spleen", 3: "pancreas"})

    by_class, mean = found.by_class(), found.mean_of_classes()
    assert mean is not None
    assert (by_class["1"]["dice"], by_class["2"]["dice"]) == (pytest.approx((1 + 0.5) / 2), 0)
    assert (by_class["1"]["hd95"], by_class["2"]["hd95"]) == (pytest.approx((0 + 12) / 2), None)
    assert (mean["classes"], mean["dice"], mean["hd95"]) == (2, pytest.approx(0.75 / 2), pytest.approx(6))
    assert found.dice == pytest.approx((1 + 0.25) / 2)  # each volume as much as another
    assert found.to_json()["mean_of_classes"]["unit"] == "mm"


def test_a_binary_model_has_no_mean_over_classes() -> None:
    mean, _ = measure_image(*[box((4, 12), (4, 12), (4, 12))] * 2, np.zeros((1, 20, 20, 20)), SPACING, 2.0)
    assert Evaluation("m", (CaseScore("a", mean, 0.1, "mm", 2.0),)).mean_of_classes() is None
