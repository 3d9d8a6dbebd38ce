"""Train the network behind prompts: `python -m napari_medseg.trainer.prompt_training --data FOLDER -o OUT`.

Folders hold images/, masks/ and splits.json, as the packs of nuclei and of fetal heads that the shipped weights are
trained on. A run that was stopped goes on. OUT/prompts.safetensors are the weights.
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import fields
from pathlib import Path

import numpy as np

from napari_medseg.models.prompts.shipped import save_network

from .cases import Cases
from .training import PromptConfig, averaged_network, settle, train

log = logging.getLogger(__name__)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder of images and masks")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the checkpoint")
    for field in fields(PromptConfig):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    options = parser.parse_args()
    config = PromptConfig(**{field.name: getattr(options, field.name) for field in fields(PromptConfig)})
    options.out.mkdir(parents=True, exist_ok=True)
    said, scores = time.monotonic(), []
    cases = Cases(options.data, config.drawn, config.share, config.seed)
    for progress in train(cases, config, options.out / "checkpoint.pt"):
        scores.append(progress.iou)
        if time.monotonic() - said > 30:
            said = time.monotonic()
            after = " ".join(f"{value:.3f}" for value in np.mean(scores, 0))
            log.info("%5.1f %%  step %d  loss %.3f  IoU %s", 100 * progress.share, progress.step, progress.loss, after)
            scores = []
    network = averaged_network(options.out / "checkpoint.pt")
    settle(network, cases, config)
    save_network(network, options.out / "prompts.safetensors")


if __name__ == "__main__":
    main()
