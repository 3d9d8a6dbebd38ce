"""Streamed prediction that is stopped, goes on, fails, or runs out of memory."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import torch
import zarr
from torch import nn

from napari_medseg.models import MedicalImage, durable, predict
from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import CancelledError, EngineError, ImageError
from napari_medseg.models.label_store import LabelStore, halved
from napari_medseg.models.streaming.running import Batch
from napari_medseg.models.streaming.segmentation import notices, with_less
from napari_medseg.models.streaming.settings import settings_for

from .streaming_support import Blurred, carded, landscape, lazy, noise, unet


class TestResuming:
    def stopped(self, network: nn.Module, image: Any, out: Path, share: float, **options: Any) -> None:
        """A segmentation that was cancelled when that share was done."""
        shares = [0.0]
        with pytest.raises(CancelledError, match="goes on from there"):
            predict(
                network, image, tile=128, out=out, progress=shares.append, cancel=lambda: shares[-1] > share, **options
            )

    @pytest.mark.parametrize("scale", [1.0, 0.5])
    @pytest.mark.parametrize("instances", [False, True])
    def test_what_was_done_is_not_done_again(self, tmp_path: Path, scale: float, instances: bool) -> None:
        class Counting(Blurred):
            asked = 0

            def forward(self, image: torch.Tensor) -> torch.Tensor:
                Counting.asked += 1
                return super().forward(image)

        network = carded(Counting(), scale=scale)
        image = landscape(2100, 300)
        whole = predict(network, image, tile=128, instances=instances).labels
        needed, Counting.asked = Counting.asked, 0
        out = tmp_path / "m.ome.zarr"
        self.stopped(network, image, out, 0.7, instances=instances)
        assert not out.exists()
        before, Counting.asked = Counting.asked, 0
        done = predict(network, lazy(image), tile=128, out=out, instances=instances)
        assert 0.4 < done.resumed < 0.75
        assert Counting.asked < 0.6 * needed
        assert before + Counting.asked < 1.35 * needed
        assert np.array_equal(LabelStore.open(out).read(), whole)

    def test_volumes_go_on_with_the_slice_that_was_next(self, tmp_path: Path) -> None:
        image = noise(6, 80, 90)
        self.stopped(unet(), image, tmp_path / "m.ome.zarr", 0.5)
        done = predict(unet(), image, tile=128, out=tmp_path / "m.ome.zarr")
        assert done.resumed >= 0.5
        assert np.array_equal(LabelStore.open(done.path).read(), predict(unet(), image, tile=128).labels)

    @pytest.mark.parametrize("other", ["image", "model", "settings"])
    def test_other_work_does_not_go_on_with_it(self, tmp_path: Path, other: str) -> None:
        image = landscape(1100, 200)
        self.stopped(Blurred(), image, tmp_path / "m.ome.zarr", 0.7)
        network: nn.Module = Blurred()
        options: dict[str, Any] = {}
        if other == "image":
            image = image[::-1].copy()
            image[0, 0] ^= 1
        elif other == "model":
            network.conv.bias.data += 0.1
        else:
            options["overlap"] = 0.5
        done = predict(network, image, tile=128, out=tmp_path / "m.ome.zarr", **options)
        assert done.resumed == 0
        assert np.array_equal(LabelStore.open(done.path).read(), predict(network, image, tile=128, **options).labels)

    def test_an_older_mask_stays_until_the_new_one_is_whole(self, tmp_path: Path) -> None:
        out = tmp_path / "m.ome.zarr"
        first = predict(Blurred(), landscape(600, 200), tile=128, out=out)
        old = LabelStore.open(first.path).read()
        self.stopped(Blurred(), 255 - landscape(600, 200), out, 0.5)
        assert np.array_equal(LabelStore.open(out).read(), old)
        predict(Blurred(), 255 - landscape(600, 200), tile=128, out=out)
        assert not np.array_equal(LabelStore.open(out).read(), old)

    def test_a_note_that_is_damaged_means_to_begin_anew(self, tmp_path: Path) -> None:
        out = tmp_path / "m.ome.zarr"
        self.stopped(Blurred(), landscape(1100, 200), out, 0.7)
        (tmp_path / "m.ome.zarr.partial" / "progress.json").write_text("{")
        assert predict(Blurred(), landscape(1100, 200), tile=128, out=out).resumed == 0

    def test_a_mask_in_the_making_that_is_damaged_means_to_begin_anew(self, tmp_path: Path) -> None:
        out, image = tmp_path / "m.ome.zarr", landscape(1100, 200)
        self.stopped(Blurred(), image, out, 0.7)
        (tmp_path / "m.ome.zarr.partial" / "mask" / "zarr.json").write_text("{")
        assert predict(Blurred(), image, tile=128, out=out).resumed == 0
        assert np.array_equal(LabelStore.open(out).read(), predict(Blurred(), image, tile=128).labels)

    def test_what_is_left_of_a_finished_one_does_not_count_as_done(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out, image = tmp_path / "m.ome.zarr", landscape(600, 200)
        with monkeypatch.context() as killed:  # before it was cleared away
            killed.setattr("napari_medseg.models.streaming.partial.shutil.rmtree", lambda *_, **__: None)
            whole = LabelStore.open(predict(Blurred(), image, tile=128, out=out).path).read()
        assert (tmp_path / "m.ome.zarr.partial").exists()
        assert predict(Blurred(), image, tile=128, out=out).resumed == 0
        assert np.array_equal(LabelStore.open(out).read(), whole)
        assert whole.any()


class TestPowerFailure:
    @pytest.fixture
    def lost(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Path]]]:
        """What a power failure would have cost at each note of progress, and as the mask took its name: such files and
        folders of the stores as were not forced to the disk since they changed."""
        synced: set[tuple[int, ...]] = set()
        moments: list[tuple[str, list[Path]]] = []
        fsync, replace, rename = os.fsync, Path.replace, Path.rename

        def state(of: os.stat_result) -> tuple[int, ...]:
            return of.st_ino, of.st_size, of.st_mtime_ns

        def seen_fsync(descriptor: int) -> None:
            now = state(os.fstat(descriptor))
            fsync(descriptor)
            synced.add(now)

        def look(moment: str, folder: Path) -> None:
            behind = [path for path in (folder, *folder.rglob("*")) if state(path.stat()) not in synced]
            moments.append((moment, behind))

        def seen_replace(self: Path, target: Path) -> Path:
            if Path(target).name == "progress.json":
                for store in (path for path in self.parent.iterdir() if path.is_dir()):
                    look(f"row {json.loads(self.read_text())['row']}", store)
            return replace(self, target)

        def seen_rename(self: Path, target: Path) -> Path:
            if Path(target).suffix == ".zarr":
                look("whole", self)
            return rename(self, target)

        monkeypatch.setattr(os, "fsync", seen_fsync)
        monkeypatch.setattr(Path, "replace", seen_replace)
        monkeypatch.setattr(Path, "rename", seen_rename)
        return moments

    @pytest.mark.parametrize("instances", [False, True])
    def test_what_is_noted_as_done_is_on_the_disk(
        self, tmp_path: Path, instances: bool, lost: list[tuple[str, list[Path]]]
    ) -> None:
        predict(
            Blurred(), landscape(1300, 600), tile=256, out=tmp_path / "m.ome.zarr", instances=instances, confidence=True
        )
        assert [moment for moment, _ in lost[::2]] == ["row 0", "row 512", "row 1024", "row 0", "whole"]
        assert [behind for _, behind in lost] == [[]] * 10

    def test_a_row_that_breaks_off_harms_none_that_was_done(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Chunks of smaller levels hold rows of several strips: they are replaced, never written into."""
        out, image = tmp_path / "m.ome.zarr", landscape(1300, 600)
        write, strips = durable.write, []

        def breaks_off(path: Path, content: bytes) -> None:
            if path.name == "progress.json":
                strips.append(json.loads(content)["row"])
            elif 1024 in strips:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_name(f"{path.name}.left.partial").write_bytes(content[:3])
                raise OSError(errno.EIO, "Input/output error")
            write(path, content)

        monkeypatch.setattr("napari_medseg.models.durable_store.write", breaks_off)
        monkeypatch.setattr("napari_medseg.models.streaming.partial.write", breaks_off)
        with pytest.raises(WriteError, match=r"could not be written .* input/output error"):
            predict(Blurred(), image, tile=256, out=out)
        monkeypatch.undo()
        kept = LabelStore.open(tmp_path / "m.ome.zarr.partial" / "mask")
        whole = predict(Blurred(), image, tile=256).labels
        for level in kept.levels:
            done = 1024 >> int(level.path)
            assert np.array_equal(level[:done], whole[:done])
            whole = halved(whole)
        assert predict(Blurred(), image, tile=256, out=out).resumed == pytest.approx(1024 / 1300)


class TestFaults:
    def test_something_else_than_a_mask_is_never_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "work.ome.zarr").mkdir()
        (tmp_path / "work.ome.zarr" / "thesis.txt").write_text("years of it")
        for name in ("work.ome.zarr", "mask.tif"):
            with pytest.raises(WriteError, match="Nothing was written"):
                predict(Blurred(), noise(80, 80), out=tmp_path / name)
        assert (tmp_path / "work.ome.zarr" / "thesis.txt").read_text() == "years of it"

    def test_a_map_of_confidence_replaces_no_image(self, tmp_path: Path) -> None:
        zarr.open_group(tmp_path / "m.confidence.ome.zarr", mode="w", attributes={"ome": {"multiscales": []}})
        with pytest.raises(WriteError, match=r"'m\.confidence\.ome\.zarr' .* is an image, not a mask"):
            predict(Blurred(), noise(80, 80), out=tmp_path / "m.ome.zarr", confidence=True)
        assert [path.name for path in tmp_path.iterdir()] == ["m.confidence.ome.zarr"]

    def test_what_took_the_name_while_the_mask_was_made_stays_and_the_mask_can_be_had(self, tmp_path: Path) -> None:
        out = tmp_path / "m.ome.zarr"

        def meanwhile(share: float) -> None:
            out.mkdir(exist_ok=True)
            (out / "thesis.txt").write_text("years of it")

        with pytest.raises(WriteError, match="not a mask, and stays as it is"):
            predict(Blurred(), noise(80, 80), out=out, progress=meanwhile)
        assert (out / "thesis.txt").read_text() == "years of it"
        out.rename(tmp_path / "work")
        assert LabelStore.open(predict(Blurred(), noise(80, 80), out=out).path).shape == (80, 80)

    def test_a_full_disk_leaves_the_older_mask_and_what_was_done(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "m.ome.zarr"
        predict(Blurred(), noise(600, 200), tile=128, out=out)
        old = LabelStore.open(out).read()
        write = LabelStore.write

        def full(store: LabelStore, region: tuple[slice, ...], labels: np.ndarray) -> None:
            if region[0].start >= 1024:
                from napari_medseg.models.durable import explained

                with explained(store.path):
                    raise OSError(28, "No space left on device")
            write(store, region, labels)

        monkeypatch.setattr(LabelStore, "write", full)
        with pytest.raises(WriteError, match="disk is full"):
            predict(Blurred(), landscape(1500, 200), tile=128, out=out)
        assert np.array_equal(LabelStore.open(out).read(), old)
        monkeypatch.undo()
        assert predict(Blurred(), landscape(1500, 200), tile=128, out=out).resumed == pytest.approx(1024 / 1500)

    def test_an_image_that_vanishes_in_the_middle_is_named(self, tmp_path: Path) -> None:
        stored = zarr.create_array(tmp_path / "i.zarr", data=noise(900, 100), chunks=(100, 100))
        image = MedicalImage(dask.array.from_array(stored, chunks=stored.chunks), "YX", name="slide")

        def vanish(share: float) -> None:
            if share > 0.5:
                (tmp_path / "i.zarr" / "c" / "8" / "0").write_bytes(b"gone")

        with pytest.raises(ImageError, match=r"'slide' cannot be read any further"):
            predict(Blurred(), image, tile=64, progress=vanish, out=tmp_path / "m.ome.zarr")
        assert not (tmp_path / "m.ome.zarr").exists()

    def test_tiles_of_nan_are_dark(self, tmp_path: Path) -> None:
        image = landscape(300, 300).astype(np.float32)
        image[100:] = np.nan
        labels = LabelStore.open(predict(Blurred(), lazy(image), tile=64, out=tmp_path / "m.ome.zarr").path).read()
        assert labels[:90].any()
        assert not labels[110:].any()


class Greedy(Blurred):
    """Runs out of memory for more than so many pixels at once, as torch's devices say so."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.most, self.error, self.seen = most, error, []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if image.shape[0] * image.shape[2] * image.shape[3] > self.most:
            raise self.error
        self.seen.append(tuple(image.shape))
        return super().forward(image)


SAID = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
    MemoryError(),
]


class TestOutOfMemory:
    @pytest.mark.parametrize("error", SAID, ids=lambda error: type(error).__name__)
    def test_fewer_tiles_at_once_give_the_same_answer(self, error: Exception) -> None:
        image = landscape(400, 300)
        network = Greedy(3 * 128 * 128, error)
        answer = predict(network, image, tile=128, batch=8)
        assert max(shape[0] for shape in network.seen) == 2
        assert np.array_equal(answer.labels, predict(Blurred(), image, tile=128).labels)
        assert answer.notices == ("There was not enough memory for 8 pieces at once; 2 at once were used.",)

    def test_then_smaller_tiles_for_the_whole_image(self, tmp_path: Path) -> None:
        image = landscape(600, 300)
        network = Greedy(100 * 100, SAID[0])
        answer = predict(network, image, tile=256, batch=4, out=tmp_path / "m.ome.zarr")
        assert {shape[2:] for shape in network.seen} == {(64, 64)}
        assert np.array_equal(LabelStore.open(answer.path).read(), predict(Blurred(), image, tile=64).labels)
        assert answer.notices == (
            "There was not enough memory for pieces of 256 px; pieces of 64 px were used, so the mask may differ a "
            "little.",
        )

    def test_in_the_end_it_says_that_it_cannot_be_done(self) -> None:
        network = Greedy(10, SAID[0]).train()
        with pytest.raises(EngineError, match="not enough memory"):
            predict(network, landscape(100, 100))
        assert network.training

    def test_tiles_of_a_network_that_works_at_one_size_stay(self) -> None:
        network = carded(Greedy(100 * 100, SAID[0]), tile=128)
        with pytest.raises(EngineError, match="128 px"):
            predict(network, landscape(300, 300))

    def test_the_graphics_card_gives_up_before_the_processor_does(self) -> None:
        cpu = settings_for(unet(), tile=256, overlap=0.25, batch=8, device="cpu", precision="float32", skip_empty=False)
        asked = replace(cpu, device=torch.device("cuda"))
        tried = [asked]
        for _ in range(5):
            tried.append(with_less(tried[-1], asked))
        with pytest.raises(EngineError, match="close other programs"):
            with_less(tried[-1], asked)
        assert [(s.device.type, s.tile) for s in tried] == [
            *(("cuda", tile) for tile in (256, 128, 64)),
            *(("cpu", tile) for tile in (256, 128, 64)),
        ]
        assert "the processor did it" in next(notices(asked, tried[3], Batch(1)))

    def test_other_errors_of_a_network_are_no_lack_of_memory(self) -> None:
        with pytest.raises(RuntimeError, match="shape"):
            predict(Greedy(10, RuntimeError("shape mismatch")), landscape(100, 100))
