import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest
from scipy.ndimage import label

from napari_medseg import phantom, sample_data
from napari_medseg import samples as folder_of_samples
from napari_medseg.image_layers import medical_image
from napari_medseg.models.errors import ImageError
from napari_medseg.samples import KINDS, Sample, samples

FOLDER = Path(folder_of_samples.__file__).parent


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.file)
def test_every_sample_has_a_mask_of_its_own_shape(sample: Sample) -> None:
    image, mask = sample.image(), sample.mask()
    assert mask.shape == image.mask_shape
    assert mask.dtype in (np.uint8, np.uint16)
    assert 0 < (mask > 0).mean() < 0.7
    assert image.channels == (3 if sample.kind == "histology" else 1)
    assert image.name == sample.title


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.file)
def test_the_mask_lies_on_what_it_marks(sample: Sample) -> None:
    """Nuclei are brighter (fluorescence) or darker (stains) than what is around them; a flipped mask would not fit."""
    grey = np.atleast_3d(sample.image().data).mean(axis=-1)
    inside = sample.mask() > 0

    def contrast(mask: np.ndarray) -> float:
        return float(grey[mask].mean() - grey[~mask].mean())

    sign = 1 if sample.kind == "fluorescence" else -1
    if sample.kind != "ultrasound":
        assert sign * contrast(inside) > 3
        assert sign * contrast(inside) > sign * contrast(inside[::-1])
        assert sign * contrast(inside) > sign * contrast(inside[:, ::-1])
    else:
        assert label(inside)[1] == 1


def test_the_samples_are_those_that_were_chosen() -> None:
    assert {kind: len(samples(kind)) for kind in KINDS} == {
        "fluorescence": 3,
        "histology": 10,
        "brightfield": 4,
        "ultrasound": 2,
    }
    assert len(samples()) == 19
    assert {s.split for s in samples() if s.kind in ("fluorescence", "ultrasound")} == {"validation"}
    with pytest.raises(ImageError, match="fluorescence, histology"):
        samples("xray")


def test_the_folder_is_small_and_every_file_has_its_licence() -> None:
    pictures = {path.name for path in FOLDER.glob("*.png")}
    assert pictures == {name for sample in samples() for name in (sample.file, sample.mask_file)}
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 3.0e6
    text = (FOLDER / "LICENSES.md").read_text(encoding="utf-8")
    for sample in samples():
        assert sample.file in text
        assert sample.licence == ("CC BY 4.0" if sample.kind == "ultrasound" else "CC0 1.0")
    assert "doi:10.1371/journal.pone.0200412" in text
    assert "/work" not in text + (FOLDER / "index.json").read_text(encoding="utf-8")
    assert {"file", "mask", "kind", "title", "source_id", "licence", "split"} == set(
        json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))["samples"][0]
    )


def test_the_phantom_is_always_the_same_and_has_no_symmetry() -> None:
    volume, organs = phantom.ct_phantom(), phantom.ct_phantom_organs()
    np.testing.assert_array_equal(volume.data, phantom.ct_phantom().data)
    assert (volume.axes, volume.spacing, volume.unit) == ("ZYX", (5.0, 1.5, 1.5), "mm")
    assert volume.data.dtype == np.int16
    assert volume.data.shape == organs.shape == (24, 128, 128)
    for axis in range(3):
        assert (np.flip(organs, axis) != organs).mean() > 0.01


@pytest.mark.parametrize(("organ", "low", "high"), [("lungs", -900, -700), ("liver", 80, 120), ("vertebra", 380, 460)])
def test_organs_have_their_density(organ: str, low: float, high: float) -> None:
    inside = phantom.ct_phantom_organs() == phantom.ORGANS[organ]
    assert inside.sum() > 1000
    assert low < np.median(phantom.ct_phantom().data[inside]) < high


@pytest.mark.parametrize(
    ("make", "shape", "rgb"),
    [
        (sample_data.fluorescence, (360, 360), False),
        (sample_data.histology, (256, 320, 3), True),
        (sample_data.brightfield, (512, 512), False),
        (sample_data.ultrasound, (346, 512), False),
        (sample_data.ct, (24, 128, 128), False),
    ],
)
def test_samples_open_as_images_without_their_masks(
    make: Callable[[], list[Any]], shape: tuple[int, ...], rgb: bool
) -> None:
    viewer = ViewerModel()
    for data, settings, kind in make():
        assert kind == "image"
        viewer.add_image(data, **settings)
    (layer,) = viewer.layers
    assert (layer.data.shape, layer.rgb) == (shape, rgb)
    assert medical_image(layer).axes in ("YX", "YXC", "ZYX")


def test_napari_finds_the_samples_the_reader_and_the_panel() -> None:
    manifest = PluginManifest.from_file(Path(sample_data.__file__).with_name("napari.yaml"))
    contributed = manifest.contributions
    assert [s.key for s in contributed.sample_data or []] == [
        "fluorescence",
        "histology",
        "brightfield",
        "ultrasound",
        "ct",
    ]
    assert [w.display_name for w in contributed.widgets or []] == ["MedSeg"]
    (reader,) = contributed.readers or []
    assert reader.accepts_directories  # a DICOM series is one
    PluginManager.instance().discover()
    viewer = ViewerModel()
    viewer.open_sample("napari-medseg", "ct")
    assert viewer.layers[0].scale.tolist() == [5.0, 1.5, 1.5]
