"""`medseg train` and `medseg evaluate` on volumes, as a user runs them."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.cli.figures import print_figures
from napari_medseg.cli.figures_csv import COLUMNS
from napari_medseg.cli.figures_csv import MEASURES as IN_CSV
from napari_medseg.trainer.measures import MEASURES

from .volume_cases import LPS, organs, pair, save

Medseg = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three volumes to learn from, one that validates and two that judge."""
    for seed, part in enumerate(("train", "train", "train", "val", "test", "test")):
        pair(tmp_path / "data" / part, f"case{seed}", *organs(seed))
    return tmp_path / "data"


def test_a_network_learns_organs_from_volumes_and_is_measured_in_3d(
    medseg: Medseg, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("--model", "unet", "--option", "base=8", "--crop", 48, "--batch", 4, "--lr", 0.02, "--steps", 80)
    trained = medseg("train", folder, *small, "--labels", "liver,spleen,pancreas", "-o", tmp_path / "out", "--json")
    assert trained.code == 0, trained.err
    assert (trained.json["trained_on"], trained.json["planes"], trained.json["validated_on"]) == (3, 96, 1)
    assert trained.json["dice"] > 0.7
    assert not list((tmp_path / "out").glob("slices*"))

    weights, table = trained.json["weights"], tmp_path / "figures" / "all.csv"
    ran = medseg("evaluate", folder, "--model", weights, "--csv", table, "--json")
    assert ran.code == 0, ran.err
    assert [image["case"] for image in ran.json["images"]] == ["case4", "case5"]
    assert {image["unit"] for image in ran.json["images"]} == {"mm"}
    organs_of = ran.json["by_class"]
    assert [row["name"] for row in organs_of.values()] == ["liver", "spleen", "pancreas"]
    assert ran.json["mean_of_classes"]["dice"] == pytest.approx(np.mean([row["dice"] for row in organs_of.values()]))
    assert ran.json["dice"] > 0.7

    with table.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert [(line["image"], line["class"]) for line in lines[:4]] == [
        *(("case4", name) for name in ("", "liver", "spleen", "pancreas"))
    ]
    assert float(lines[1]["hd95"]) == pytest.approx(ran.json["images"][0]["classes"]["1"]["hd95"])
    assert [line["class"] for line in lines if line["image"] == "mean"] == [
        *("", "liver", "spleen", "pancreas", "all classes")
    ]

    print_figures(ran.json)
    shown = capsys.readouterr().out
    for words in ("Dice of", "HD95 of", "liver", "pancreas", "all classes (3)", "HD95 in mm"):
        assert words in shown


def test_the_columns_of_figures_are_the_measures() -> None:
    assert IN_CSV == MEASURES


def test_a_mask_that_lies_elsewhere_stops_the_training_and_is_named(
    medseg: Medseg, folder: Path, tmp_path: Path
) -> None:
    shifted = LPS.copy()
    shifted[0, 3] = 25
    save(folder / "train" / "masks" / "case1.nii.gz", organs(1)[1], shifted)
    ran = medseg("train", folder, "--classes", 4, "-o", tmp_path / "out", "--json")
    assert ran.code == 1
    assert "'case1.nii.gz' does not fit 'case1.nii.gz'. The mask lies up to 25 mm" in ran.json["error"]
    assert "nothing was trained" in ran.json["error"]
