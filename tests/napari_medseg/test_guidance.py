"""The panel says at each moment what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_medseg.guidance import next_step
from napari_medseg.state import ModelChoice, PanelState

TRAINED = ModelChoice("nuclei", "Nuclei")
UNTRAINED = ModelChoice("unet", "U-Net", trained=False)
READY = {
    "image": object(),
    "image_usable": True,
    "engine_ready": True,
    "models": (TRAINED, UNTRAINED),
    "model": "nuclei",
}
ACCEPTED = READY | {"mask": object(), "accepted": True}


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        pytest.param({}, "Open an image", id="no image"),
        pytest.param({"image": object()}, "cannot be segmented", id="an oblique volume"),
        pytest.param(READY | {"engine_ready": False}, "engine is starting", id="engine not ready"),
        pytest.param(READY, "Press Segment", id="ready"),
        pytest.param(READY | {"model": "unet"}, "knows nothing yet", id="untrained network"),
        pytest.param(READY | {"segmenting": 0.3}, "Segmenting", id="under way"),
        pytest.param(READY | {"mask": object()}, "Correct the mask", id="mask to correct"),
        pytest.param(READY | {"large": True}, "or open a mask of it", id="large image"),
        pytest.param(READY | {"large": True, "large_mask": True}, "Edit here to correct", id="large mask"),
        pytest.param(ACCEPTED | {"corrections": 1}, "another patient", id="first case"),
        pytest.param(ACCEPTED | {"corrections": 2, "held_out": 1}, "Fine-tune now", id="two cases"),
        pytest.param(ACCEPTED | {"corrections": 2, "learning": 0.5}, "learning in the background", id="learning"),
    ],
)
def test_the_hint_fits_the_moment(shown: dict[str, Any], said: str) -> None:
    assert said in next_step(PanelState(project=Path("project"), **shown))


def test_the_state_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="masks"):
        PanelState(project=Path("project"), masks=3)
