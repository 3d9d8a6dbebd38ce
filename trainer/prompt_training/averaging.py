"""The mean of several trainings' weights, where each went on from the one before: better than either.

After Wortsman et al., "Model soups" (ICML 2022): python -m napari_medseg.trainer.prompt_training.averaging FIRST SECOND
--data FOLDER -o OUT. The images are for the means and deviations of batch normalisation, which cannot be averaged.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from napari_medseg.models.prompts.network import PromptNetwork
from napari_medseg.models.prompts.shipped import load_network, save_network

from .cases import Cases
from .training import PromptConfig, settle

BATCHES = 40
"""That batch normalisation is measured on."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+", help="files of `prompt_training`")
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder of images and masks")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file for the mean")
    parser.add_argument("--drawn", type=int, default=200, help="synthetic images")
    parser.add_argument("--share", type=float, default=0.7, help="of windows that come from those")
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--seed", type=int, default=9)
    options = parser.parse_args(arguments)
    network = mean_of([load_network(path) for path in options.weights])
    settle(network, Cases(options.data, options.drawn, options.share, options.seed), PromptConfig(), options.batches)
    save_network(network, options.out)


def mean_of(networks: Sequence[PromptNetwork]) -> PromptNetwork:
    """The first network with the mean of all weights; batch normalisation has to be measured anew."""
    states = [network.state_dict() for network in networks]
    mean = {
        name: torch.stack([state[name] for state in states]).mean(0) if values.is_floating_point() else values
        for name, values in states[0].items()
    }
    networks[0].load_state_dict(mean)
    return networks[0]


if __name__ == "__main__":
    main()
