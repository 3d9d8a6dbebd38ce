from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_medseg.models import MedicalImage, ModelCard, predict
from napari_medseg.models.formats import open_image
from napari_medseg.models.label_store import LabelStore

from .streaming_support import Blurred, carded, landscape, lazy, noise, unet


class TestStreamed:
    @settings(max_examples=12, deadline=None)
    @given(
        height=st.integers(1, 260),
        width=st.integers(1, 260),
        scale=st.sampled_from([1.0, 0.5, 0.37, 1.7]),
        tile=st.integers(64, 128),
        overlap=st.floats(0, 0.6),
    )
    def test_the_answer_on_disk_is_the_one_in_memory_bit_for_bit(
        self, tmp_path_factory: pytest.TempPathFactory, height: int, width: int, scale: float, tile: int, overlap: float
    ) -> None:
        out = tmp_path_factory.mktemp("out") / "mask.ome.zarr"
        image = landscape(height, width)
        network = carded(Blurred(), scale=scale)
        whole = predict(network, image, tile=tile, overlap=overlap)
        streamed = predict(network, lazy(image, 70, 50), tile=tile, overlap=overlap, out=out, confidence=True)
        assert np.array_equal(LabelStore.open(streamed.path).read(), whole.labels)
        assert np.array_equal(LabelStore.open(streamed.confidence).read(), whole.confidence)
        assert not out.with_name("mask.ome.zarr.partial").exists()

    @pytest.mark.parametrize("kind", ["dask", "zarr", "memmap"])
    def test_an_image_on_disk_gives_what_it_gives_in_memory(self, tmp_path: Path, kind: str) -> None:
        image = noise(300, 200)
        stored: Any = lazy(image)
        if kind == "zarr":
            stored = zarr.create_array(tmp_path / "i.zarr", data=image, chunks=(64, 64))
        if kind == "memmap":
            np.save(tmp_path / "i.npy", image)
            stored = np.load(tmp_path / "i.npy", mmap_mode="r")
        one, other = (predict(unet(), pixels, tile=96, probabilities=True) for pixels in (image, stored))
        assert np.array_equal(one.probabilities, other.probabilities)

    @pytest.mark.parametrize(
        ("axes", "shape", "chunks"),
        [
            ("ZYX", (5, 90, 80), (2, 40, 80)),
            ("TZYX", (2, 3, 70, 80), (1, 2, 70, 30)),
            ("YXC", (130, 140, 3), (50, 60, 3)),
        ],
    )
    def test_volumes_series_and_colours_too(
        self, tmp_path: Path, axes: str, shape: tuple[int, ...], chunks: tuple[int, ...]
    ) -> None:
        image = noise(*shape)
        whole = predict(unet(), MedicalImage(image, axes), tile=64)
        seen = MedicalImage(lazy(image, *chunks), axes, spacing=(0.5,) * len(set(axes) & set("ZYX")), unit="mm")
        seen = replace(seen, origin=(7.0,) * seen.spatial_ndim, time_step=2.0, time_unit="s")
        store = LabelStore.open(predict(unet(), seen, tile=64, out=tmp_path / "m.ome.zarr").path)
        assert np.array_equal(store.read(), whole.labels)
        assert store.axes == axes.replace("C", "")
        assert set(store.spacing) == {0.5}
        assert set(open_image(store.path).image.origin) == {7.0}
        assert open_image(store.path).image.frame_seconds == (2.0 if "T" in axes else None)
        assert store.unit == "mm"

    def test_of_a_lazy_image_no_chunk_is_read_more_often_than_needed(self) -> None:
        read: list[Any] = []

        def block(block_info: Any = None) -> np.ndarray:
            here = block_info[None]
            read.append(here["chunk-location"])
            return np.full(here["chunk-shape"], 7 + 40 * here["chunk-location"][0], np.uint8)

        image = dask.array.map_blocks(
            block, chunks=((128,) * 4, (128,) * 3), dtype=np.uint8, meta=np.array((), np.uint8)
        )
        predict(Blurred(), image, tile=128)
        assert len(read) == 2 * 12  # once for the range of intensities, once for the network

    def test_objects_on_disk_are_numbered_as_in_memory(self, tmp_path: Path) -> None:
        image = landscape(700, 400)
        whole = predict(Blurred(), image, tile=128, instances=True).labels
        streamed = predict(Blurred(), lazy(image), tile=128, instances=True, out=tmp_path / "m.ome.zarr")
        assert np.array_equal(LabelStore.open(streamed.path).read(), whole)
        assert streamed.labels == whole.max() >= 20

    @pytest.mark.parametrize(("few", "dtype"), [(5, np.uint32), (1000, np.uint16)])
    def test_objects_on_disk_take_as_little_room_as_their_number_allows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int, dtype: type
    ) -> None:
        monkeypatch.setattr("napari_medseg.models.streaming.to_store.FEW", few)
        image = landscape(700, 400)
        streamed = predict(Blurred(), image, tile=128, instances=True, out=tmp_path / "m.ome.zarr")
        store = LabelStore.open(streamed.path)
        assert store.dtype == dtype
        assert np.array_equal(store.read(), predict(Blurred(), image, tile=128, instances=True).labels)

    def test_it_says_how_many_classes_are_there(self, tmp_path: Path) -> None:
        answer = predict(unet(classes=4), noise(80, 90), out=tmp_path / "m.ome.zarr")
        assert answer.labels == np.count_nonzero(np.unique(LabelStore.open(answer.path).read()))
        assert answer.confidence is None


class TestMemory:
    def test_beside_the_mask_no_more_is_held_than_a_row_of_tiles(self, tmp_path: Path) -> None:
        import tracemalloc

        class Watching(Blurred):
            peak = 0

            def forward(self, image: torch.Tensor) -> torch.Tensor:
                Watching.peak = max(Watching.peak, tracemalloc.get_traced_memory()[0])
                return super().forward(image)

        def block(block_info: Any = None) -> np.ndarray:
            return np.zeros(block_info[None]["chunk-shape"], np.uint8)

        peaks = []
        for height in (2048, 6144):
            image = dask.array.map_blocks(
                block, chunks=((256,) * (height // 256), (512,)), dtype=np.uint8, meta=np.array((), np.uint8)
            )
            Watching.peak = 0
            tracemalloc.start()
            predict(Watching(), image, tile=256, out=tmp_path / f"{height}.ome.zarr", batch=2)
            tracemalloc.stop()
            peaks.append(Watching.peak)
        # three times as high; strips that wait to be written come and go
        assert peaks[1] < peaks[0] + 1.5e6 < 6144 * 512 * 4


class TestSkipping:
    def counted(self, image: np.ndarray, **options: Any) -> tuple[int, Any]:
        class Counting(Blurred):
            asked = 0

            def forward(self, tiles: torch.Tensor) -> torch.Tensor:
                Counting.asked += len(tiles)
                return super().forward(tiles)

        Counting.asked = 0
        answer = predict(Counting(**options.pop("network", {})), image, tile=64, overlap=0.0, **options)
        return Counting.asked, answer

    @pytest.mark.parametrize("background", [4, 240])
    @pytest.mark.parametrize("classes", [1, 3])
    def test_only_tiles_with_something_on_them_are_asked_about(self, background: int, classes: int) -> None:
        image = np.random.default_rng(0).normal(background, 2, (640, 640)).clip(0, 255).astype(np.uint8)
        image[200:300, 200:300] = noise(100, 100)
        image[500:506, 500:506] = 128
        tissue = {"network": {"classes": classes}}
        asked, answer = self.counted(image, skip_empty=True, **tissue)
        assert 6 <= asked <= 12  # of 100
        assert not answer.labels[:190].any()
        assert self.counted(image, **tissue)[0] == 100

    def test_a_section_that_fills_the_image_has_no_background(self) -> None:
        image = np.random.default_rng(0).normal(128, 2, (320, 320)).astype(np.uint8)
        image[:64], image[-64:] = 0, 255
        assert self.counted(image, skip_empty=True)[0] == 25

    def test_where_something_is_the_answer_is_the_same(self) -> None:
        image = np.full((320, 320), 3, np.uint8)
        image[100:180, 120:220] = 200
        one, other = (self.counted(image, skip_empty=skip)[1].labels for skip in (True, False))
        assert np.array_equal(one, other)


class TestVolumes:
    def test_neighbouring_slices_are_channels_where_the_card_says_so(self) -> None:
        class Neighbours(nn.Module):
            """Foreground where the slice after is brighter than the slice before."""

            def __init__(self) -> None:
                super().__init__()
                self.conv = nn.Conv2d(3, 1, 1)
                with torch.no_grad():
                    self.conv.weight.copy_(torch.tensor([-8.0, 0, 8.0])[None, :, None, None])
                    self.conv.bias.fill_(-1.0)

            def forward(self, image: torch.Tensor) -> torch.Tensor:
                return self.conv(image)

        network = carded(Neighbours(), in_channels=3, context=1)
        volume = np.stack([np.full((70, 80), value, np.uint8) for value in (0, 0, 100, 200, 200, 0)])
        frames = np.stack([volume, volume[::-1]])
        for image, axes in ((volume, "ZYX"), (frames, "TZYX"), (lazy(frames, 1, 2, 70, 80), "TZYX")):
            labels = predict(network, MedicalImage(image, axes)).labels
            first = labels.reshape(-1, 6, 70, 80)[0]
            assert first[:, 35, 40].tolist() == [0, 1, 1, 1, 0, 0], axes
            assert (first == first[:, :1, :1]).all()
        assert labels[1, :, 0, 0].tolist() == [1, 1, 0, 0, 0, 0]

    def test_a_card_whose_channels_do_not_fit_its_neighbours_is_none(self) -> None:
        from napari_medseg.models.errors import ModelError

        with pytest.raises(ModelError, match="context"):
            ModelCard(name="n", title="N", network="unet", in_channels=4, context=1)
        with pytest.raises(ModelError, match="planes"):
            ModelCard(name="n", title="N", network="unet", planes="cubes")

    def test_consensus_is_the_mean_of_the_slices_along_three_axes(self) -> None:
        volume = landscape(64 * 64, 64).reshape(64, 64, 64)
        alone = [
            np.moveaxis(
                predict(Blurred(), MedicalImage(np.moveaxis(volume, axis, 0), "ZYX"), probabilities=True).probabilities[
                    0
                ],
                0,
                axis,
            ).astype(np.float32)
            for axis in range(3)
        ]
        answer = predict(carded(Blurred(), planes="consensus"), MedicalImage(volume, "ZYX"), probabilities=True)
        assert np.allclose(answer.probabilities[0], np.mean(alone, axis=0), atol=2e-3)
        assert np.mean(answer.labels == (np.mean(alone, axis=0) > 0.5)) > 0.999

    def test_consensus_sees_thick_slices_with_square_pixels(self) -> None:
        seen: set[tuple[int, int]] = set()

        class Watching(Blurred):
            def forward(self, image: torch.Tensor) -> torch.Tensor:
                seen.add(tuple(image.shape[-2:]))
                return super().forward(image)

        image = MedicalImage(noise(20, 64, 70), "ZYX", (4.0, 1.0, 1.0), "mm")
        answer = predict(carded(Watching(), planes="consensus"), image)
        assert seen == {(64, 70), (80, 70), (80, 64)}
        assert answer.labels.shape == (20, 64, 70)

    def test_consensus_goes_to_disk_and_frame_by_frame(self, tmp_path: Path) -> None:
        network = carded(Blurred(), planes="consensus")
        image = MedicalImage(noise(2, 8, 64, 66), "TZYX")
        whole = predict(network, image)
        streamed = predict(network, image.with_data(lazy(image.data)), out=tmp_path / "m.ome.zarr")
        assert np.array_equal(LabelStore.open(streamed.path).read(), whole.labels)
        alone = predict(network, MedicalImage(image.data[1], "ZYX"))
        assert np.mean(alone.labels == whole.labels[1]) > 0.98


def test_progress_of_a_numbered_mask_ends_at_1(tmp_path: Path) -> None:
    shares: list[float] = []
    predict(
        Blurred(), landscape(300, 300), tile=64, instances=True, out=tmp_path / "m.ome.zarr", progress=shares.append
    )
    assert shares == sorted(set(shares))
    assert shares[-1] == pytest.approx(1)
