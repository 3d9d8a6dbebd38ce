"""Each network as small as it gets, for tests that need a real one and not its size."""

from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"base": 4},
    "ascseg": {"channels": [4, 4, 8, 8]},
    "hastnet": {"variant": "tiny", "width": [64, 64, 32, 32]},
    "msa2net": {"encoder": "test_maxvit"},
    "sosegformer": {"encoder": "test_resnet", "widths": [8, 8, 16, 16, 16], "depths": [1, 1, 1, 1]},
}
"""Options of `create_model`, by the network's name, as a card would have them."""
