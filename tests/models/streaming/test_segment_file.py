"""An image that the engine opens by itself, into a mask on disk."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_medseg.models import load_model, predict
from napari_medseg.models.engine.client import Engine
from napari_medseg.models.errors import CancelledError, ImageError
from napari_medseg.models.label_store import LabelStore

from ...held_processes import WAIT, hold_worker, wait_until_stopped


@pytest.fixture(scope="module")
def engine(engine_environment: Path) -> Iterator[Engine]:
    engine = Engine.connect()
    yield engine
    engine.close()


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """A slide of 700 x 300 pixels with bright discs, 0.5 um each."""
    rows, columns = np.mgrid[:700, :300]
    discs = ((rows % 60 - 30) ** 2 + (columns % 50 - 25) ** 2 < 14**2) * 150
    noise = np.random.default_rng(0).normal(30, 5, discs.shape)
    described = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "slide.ome.tif", (discs + noise).astype(np.uint8), metadata=described)
    return tmp_path / "slide.ome.tif"


def test_the_mask_on_disk_is_that_of_predict(engine: Engine, slide: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    job = engine.segment_file(
        slide, "", "nuclei", tmp_path / "m.ome.zarr", instances=True, confidence=True, tile=256, progress=shares.append
    )
    done = job.result(WAIT)
    store = LabelStore.open(done.path)
    assert (store.spacing, store.unit) == ((0.5, 0.5), "um")
    expected = predict(load_model("nuclei"), tifffile.imread(slide), instances=True, tile=256)
    assert np.mean((store.read() > 0) == (expected.labels > 0)) > 0.9999  # other numbers of threads round otherwise
    assert done.labels == store.read().max() > 40
    assert LabelStore.open(done.confidence).read().min() >= 127
    assert sorted(shares) == shares


def test_cancelled_it_goes_on_from_there(engine: Engine, slide: Path, tmp_path: Path) -> None:
    options = {"tile": 64, "overlap": 0.5}
    predictor = hold_worker(engine, "predictor", "hold_at_report", 0.85)
    job = engine.segment_file(slide, "", "nuclei", tmp_path / "m.ome.zarr", **options)
    wait_until_stopped(predictor)
    job.cancel()
    predictor.resume()
    with pytest.raises(CancelledError, match="goes on from there"):
        job.result(WAIT)
    assert not (tmp_path / "m.ome.zarr").exists()
    done = engine.segment_file(slide, "", "nuclei", tmp_path / "m.ome.zarr", **options).result(WAIT)
    assert done.resumed == pytest.approx(512 / 700)


def test_a_file_that_is_none_fails_with_its_sentence(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no file"):
        engine.segment_file(tmp_path / "none.tif", "", "nuclei", tmp_path / "m.ome.zarr").result(WAIT)
    assert not (tmp_path / "m.ome.zarr").exists()
