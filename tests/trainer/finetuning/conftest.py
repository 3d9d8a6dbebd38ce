"""A project of discs that starts from a network that sees nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from napari_medseg.models import ModelCard, create_model, save_model
from napari_medseg.trainer import Ledger

from .support import disc


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """The weights file of a small network that sees nothing anywhere."""
    torch.manual_seed(0)
    network = create_model("unet", base=4)
    torch.nn.init.constant_(network.head.bias, -2)
    card = ModelCard(name="tiny", title="Tiny, untrained", network="unet", config={"base": 4}, data="Nothing.")
    save_model(network, tmp_path / "tiny", card)
    return str(tmp_path / "tiny.safetensors")


@pytest.fixture
def ledger(tmp_path: Path, tiny: str) -> Iterator[Ledger]:
    """A project of four cases of two patients that starts from `tiny`."""
    with Ledger.open(tmp_path / "project") as ledger:
        ledger.set_base(tiny)
        for seed in range(4):
            ledger.add(*disc(seed), group="ab"[seed % 2])
        yield ledger


@pytest.fixture
def no_jobs_left(ledger: Ledger) -> Iterator[None]:
    yield
    assert ledger.unfinished_job() is None
    assert list((ledger.folder / "jobs").rglob("*.pt")) == []
