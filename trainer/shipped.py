"""Trains the weights that come with the package: `python -m napari_medseg.trainer.shipped nuclei FOLDER -o OUT`.

FOLDER holds images/, masks/ (equal stems) and splits.json with the stems of "train" and "val". The validation
images take no part in the training, not even to choose its end: the figures on the card are measured on them once.
A run that was killed goes on from its last checkpoint when it is started again.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from napari_medseg.models import create_model, predict, save_model
from napari_medseg.models.cards import ModelCard
from napari_medseg.models.devices import use_threads
from napari_medseg.models.reading import read_image, read_mask

from .beginning import begun
from .config import TrainingConfig
from .metrics import dice, iou
from .planes import planes_of
from .samples import Batches
from .training import one_device, train

log = logging.getLogger("medseg.shipped")

PAPER = "AdSTNet, 'Adaptive Scale Thresholding Made Efficient', with its U-Net of base width 16"


@dataclass(frozen=True)
class Recipe:
    """What to train, on which images of the folder, and how."""

    card: ModelCard
    prefix: str  # stems that begin so are used
    config: TrainingConfig


RECIPES = {
    "nuclei": Recipe(
        ModelCard(
            name="nuclei",
            title="Nuclei in fluorescence",
            network="unet",
            labels={1: "nucleus"},
            answers=("instances", "mask"),
            paper=PAPER,
            good_at="Bright nuclei on a dark background, 10 to 80 pixels wide, touching or not.",
            modalities=("fluorescence microscopy",),
            data="Fluorescence images of BBBC038 (Data Science Bowl 2018, stage 1), CC0 1.0; Caicedo et al., "
            "Nature Methods 16 (2019), doi:10.1038/s41592-019-0612-7.",
            licence="BSD-3-Clause",
        ),
        prefix="fluo_",
        config=TrainingConfig(steps=1500, batch=6, crop=192, lr=2e-3, average=0.99),
    ),
    "fetal-head": Recipe(
        ModelCard(
            name="fetal-head",
            title="Fetal head in ultrasound",
            network="unet",
            scale=0.5,
            labels={1: "fetal head"},
            paper=PAPER,
            good_at="The fetal head in the standard plane of an obstetric ultrasound, about 500 pixels wide.",
            modalities=("ultrasound",),
            data="HC18 (van den Heuvel et al., PLoS ONE 13(8) 2018, doi:10.1371/journal.pone.0200412; "
            "Zenodo doi:10.5281/zenodo.1322001), CC BY 4.0.",
            licence="CC BY 4.0",
        ),
        prefix="hc18_",
        config=TrainingConfig(steps=1200, batch=4, crop=256, lr=2e-3, average=0.99),
    ),
}


def pairs(folder: Path, split: str, prefix: str) -> Iterator[tuple[Path, Path]]:
    """Image and mask of each stem of a split that begins with `prefix`."""
    for stem in json.loads((folder / "splits.json").read_text("utf-8"))[split]:
        if stem.startswith(prefix):
            yield folder / "images" / f"{stem}.png", folder / "masks" / f"{stem}.png"


def train_recipe(recipe: Recipe, folder: Path, checkpoint: Path) -> torch.nn.Module:
    """The trained network with its card; `checkpoint` is written every 100 steps."""
    torch.manual_seed(recipe.config.seed)
    card, config = recipe.card, recipe.config
    fabric = one_device()
    network = create_model(card.network, in_channels=card.in_channels, classes=card.classes, **card.config)
    network.card = card  # type: ignore[assignment]
    state = begun(fabric, network, config)
    if state.resume(checkpoint):
        log.info("going on after step %d", state.step)
    cases = [
        planes_of(read_image(image), read_mask(mask), card) for image, mask in pairs(folder, "train", recipe.prefix)
    ]
    batches = Batches(cases.__getitem__, len(cases), crop=config.crop, batch=config.batch, seed=config.seed)
    for step in train(fabric, state, batches, config, card.classes):
        if step.number % 100 == 0:
            log.info("step %d of %d, loss %.4f, %.0f s", step.number, config.steps, step.loss, state.elapsed)
            state.save(checkpoint)
    return state.averaged.eval()


def validate(network: torch.nn.Module, recipe: Recipe, folder: Path) -> dict[str, float]:
    """Dice and IoU of the foreground on the validation split, mean and median over images."""
    scores = []
    for image, mask in pairs(folder, "val", recipe.prefix):
        answer, truth = predict(network, read_image(image)).labels > 0, read_mask(mask) > 0
        scores.append((dice(answer, truth), iou(answer, truth)))
        log.info("%s: Dice %.4f, IoU %.4f", image.stem, *scores[-1])
    mean, median = np.mean(scores, 0), np.median(scores, 0)
    figures = {"dice_mean": mean[0], "dice_median": median[0], "iou_mean": mean[1], "iou_median": median[1]}
    return {name: round(float(value), 4) for name, value in figures.items()} | {"images": float(len(scores))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("folder", type=Path, help="holds images/, masks/ and splits.json")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the weights and their card")
    parser.add_argument("--threads", type=int, help="cores to use; all but one by default")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    use_threads(options.threads)
    recipe = RECIPES[options.recipe]
    if options.steps:
        recipe = dataclasses.replace(recipe, config=dataclasses.replace(recipe.config, steps=options.steps))
    network = train_recipe(recipe, options.folder, options.out / f"{recipe.card.name}.checkpoint")
    card = dataclasses.replace(
        recipe.card,
        recipe=dataclasses.asdict(recipe.config),
        metrics=validate(network, recipe, options.folder),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    card = save_model(network, options.out / card.name, card)
    log.info("%s", card.metrics)


if __name__ == "__main__":
    main()
