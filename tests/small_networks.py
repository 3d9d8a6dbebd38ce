"""Each network as small as it gets, for tests that need a real one and not its size."""

from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"base": 4},
    "ascseg": {},
    "hastnet": {"variant": "tiny", "width": [32, 32, 16, 16]},
    "msa2net": {"encoder": "maxvit_rmlp_pico_rw_256"},
    "sosegformer": {"encoder": "test_resnet", "widths": [8, 8, 16, 16, 16]},
}
"""Options of `create_model`, by the network's name, as a card would have them."""
