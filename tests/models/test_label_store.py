import errno
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medseg.models.durable import WriteError
from napari_medseg.models.errors import ImageError
from napari_medseg.models.geometry import Geometry
from napari_medseg.models.label_store import LabelStore, halved

PLACED = Geometry(np.array([[0, 0, 0.5, 10], [0, 0.5, 0, -20], [2.5, 0, 0, 30], [0, 0, 0, 1.0]]), (True, False, False))


def store_of(folder: Path, shape: tuple[int, ...] = (70, 50), axes: str = "YX", **options: object) -> LabelStore:
    spacing = tuple(0.5 for axis in axes if axis in "ZYX")
    settings = {"spacing": spacing, "unit": "um", "dtype": np.uint16, "chunk": 16} | options
    return LabelStore.create(folder / "mask.ome.zarr", shape, axes, **settings)  # type: ignore[arg-type]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, shape).astype(np.uint16)


class TestKept:
    @pytest.mark.parametrize(
        ("axes", "shape"), [("YX", (70, 50)), ("ZYX", (3, 40, 50)), ("TYX", (2, 33, 17)), ("TZYX", (2, 3, 20, 40))]
    )
    def test_what_was_written_is_read_again_also_later(self, tmp_path: Path, axes: str, shape: tuple[int, ...]) -> None:
        labels = noise(*shape)
        store_of(tmp_path, shape, axes).write((), labels)
        again = LabelStore.open(tmp_path / "mask.ome.zarr")
        assert (again.axes, again.shape, again.unit, again.dtype) == (axes, shape, "um", np.uint16)
        assert np.array_equal(again.read(), labels)

    def test_spacing_unit_and_place_are_kept(self, tmp_path: Path) -> None:
        LabelStore.create(tmp_path / "a", (4, 30, 20), "ZYX", PLACED.spacing, "mm", PLACED)
        again = LabelStore.open(tmp_path / "a")
        assert again.spacing == (2.5, 0.5, 0.5)
        assert again.unit == "mm"
        assert again.geometry is not None
        assert np.array_equal(again.geometry.affine, PLACED.affine)
        assert again.geometry.flipped == (True, False, False)

    def test_a_store_that_is_sent_to_another_process_is_the_same_one(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        sent = pickle.loads(pickle.dumps(store))
        sent.write((slice(0, 2), slice(0, 2)), np.ones((2, 2), np.uint16))
        assert store.read((slice(0, 3), slice(0, 3))).sum() == 4

    def test_what_was_never_written_is_background_and_takes_no_space(self, tmp_path: Path) -> None:
        store = store_of(tmp_path, (100_000, 100_000), chunk=512)
        assert not store.read((slice(99_990, None), slice(0, 10))).any()
        store.write((slice(0, 600), slice(0, 600)), np.zeros((600, 600), np.uint8))
        assert sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file()) < 100_000

    def test_other_programs_read_it_as_ngff_labels(self, tmp_path: Path) -> None:
        models = pytest.importorskip("ome_zarr_models.v05")
        store = store_of(tmp_path, (3, 70, 50), "ZYX")
        group = zarr.open_group(store.path, mode="r")
        seen = models.ImageLabel.from_zarr(group)
        multiscale = seen.ome_attributes.multiscales[0]
        assert [axis.name for axis in multiscale.axes] == ["z", "y", "x"]
        assert [axis.unit for axis in multiscale.axes] == ["micrometer"] * 3
        assert multiscale.datasets[1].coordinateTransformations[0].scale == [0.5, 1.0, 1.0]
        assert multiscale.datasets[1].coordinateTransformations[1].translation == [0, 0.25, 0.25]


class TestLevels:
    def test_each_level_is_half_of_the_last_until_a_plane_is_one_chunk(self, tmp_path: Path) -> None:
        store = store_of(tmp_path, (3, 70, 50), "ZYX")
        assert [level.shape for level in store.levels] == [(3, 70, 50), (3, 35, 25), (3, 18, 13), (3, 9, 7)]

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_smaller_levels_follow_whatever_region_was_written(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        height, width = data.draw(st.tuples(st.integers(17, 70), st.integers(1, 70)))
        store = store_of(tmp_path_factory.mktemp("store"), (2, height, width), "ZYX")
        expected = np.zeros(store.shape, np.uint16)
        for number in range(1, data.draw(st.integers(2, 5))):
            ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in store.shape]
            region = tuple(slice(*pair) for pair in ends)
            expected[region] = number
            store.write(region, expected[region])
        for level in store.levels:
            assert np.array_equal(level[:], expected)
            expected = halved(expected)

    def test_dask_arrays_show_what_stands_there_now(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        before = store.as_dask()
        store.write((), noise(70, 50))
        for lazy, level in zip(before, store.levels, strict=True):
            assert np.array_equal(lazy.compute(), level[:])
        assert {a.name for a in before}.isdisjoint(a.name for a in store.as_dask())

    def test_threads_that_write_beside_each_other_lose_nothing(self, tmp_path: Path) -> None:
        store = store_of(tmp_path, (64, 64))
        parts = [(slice(row, row + 8), slice(column, column + 8)) for row in range(0, 64, 8) for column in (0, 8)]
        threads = [
            threading.Thread(target=store.write, args=(part, np.full((8, 8), n + 1, np.uint16)))
            for n, part in enumerate(parts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all((store.read(part) == n + 1).all() for n, part in enumerate(parts))
        assert np.array_equal(store.levels[1][:], halved(store.read()))


class TestHalved:
    @pytest.mark.parametrize(
        ("four", "kept"),
        [
            ((1, 1, 1, 2), 1),
            ((0, 0, 0, 5), 0),
            ((0, 0, 5, 5), 5),
            ((0, 5, 5, 7), 5),
            ((0, 0, 5, 7), 0),
            ((1, 2, 3, 4), 4),
        ],
    )
    def test_the_most_frequent_label_wins_and_of_two_the_larger(self, four: tuple[int, ...], kept: int) -> None:
        assert halved(np.reshape(four, (2, 2))).tolist() == [[kept]]
        assert halved(np.reshape(four[::-1], (2, 2))).tolist() == [[kept]]

    def test_odd_sides_are_rounded_up(self) -> None:
        assert halved(np.full((2, 3, 5), 7)).tolist() == np.full((2, 2, 3), 7).tolist()


class TestDurable:
    def test_it_keeps_what_another_one_keeps(self, tmp_path: Path) -> None:
        store = store_of(tmp_path, durable=True)
        store.write((), noise(70, 50))
        store.write((slice(0, 40), slice(0, 40)), np.zeros((40, 40), np.uint8))
        expected = noise(70, 50)
        expected[:40, :40] = 0
        sent = pickle.loads(pickle.dumps(store))
        assert sent.durable
        for level in sent.levels:
            assert np.array_equal(level[:], expected)
            expected = halved(expected)
        assert not (store.path / "0" / "c" / "0" / "0").exists()

    def test_a_full_disk_leaves_what_was_written_and_names_the_mask(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int, data: memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        store = store_of(tmp_path, durable=True)
        store.write((), noise(70, 50))
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(WriteError, match=r"'mask\.ome\.zarr' could not be written .* the disk is full"):
            store.write((), noise(70, 50) + 1)
        assert np.array_equal(store.read(), noise(70, 50))


class TestRefused:
    @pytest.mark.parametrize(
        ("shape", "axes", "options", "said"),
        [
            ((5,), "X", {}, "axes"),
            ((5, 6), "XY", {}, "axes"),
            ((5, 0), "YX", {}, "shape"),
            ((5, 6, 3), "YXC", {}, "axes"),
            ((5, 6), "YX", {"dtype": np.int64}, "int64"),
            ((5, 6), "YX", {"spacing": (0.0, 1.0)}, "spacing"),
            ((5, 6), "YX", {"spacing": (1.0,)}, "spacing"),
        ],
    )
    def test_what_cannot_be_labels(
        self, tmp_path: Path, shape: tuple[int, ...], axes: str, options: dict[str, object], said: str
    ) -> None:
        with pytest.raises(ImageError, match=said):
            store_of(tmp_path, shape, axes, **options)
        assert not (tmp_path / "mask.ome.zarr").exists()

    def test_labels_that_do_not_fit_leave_everything_as_it_was(self, tmp_path: Path) -> None:
        store = store_of(tmp_path, dtype=np.uint8)
        store.write((), np.full((70, 50), 3, np.uint8))
        with pytest.raises(ImageError, match="up to 255"):
            store.write((), np.full((70, 50), 300))
        with pytest.raises(ImageError, match="shape"):
            store.write((slice(0, 2),), np.zeros((3, 50), np.uint8))
        assert (store.read() == 3).all()

    def test_a_store_never_replaces_anything(self, tmp_path: Path) -> None:
        store_of(tmp_path).write((), noise(70, 50))
        with pytest.raises(WriteError, match="already"):
            store_of(tmp_path)
        assert LabelStore.open(tmp_path / "mask.ome.zarr").read().any()

    def test_a_folder_that_is_no_mask_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        for name in ("empty", "missing"):
            with pytest.raises(ImageError, match="not a mask"):
                LabelStore.open(tmp_path / name)

    def test_a_damaged_piece_is_an_error_with_a_sentence(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        store.write((), noise(70, 50))
        (store.path / "0" / "c" / "0" / "0").write_bytes(b"no zstd at all")
        with pytest.raises(ImageError, match="damaged or missing"):
            store.read()
        assert store.read((slice(16, 32), slice(0, 16))).any()

    def test_where_one_may_not_write_the_error_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(WriteError, match="could not be written"):
            LabelStore.create(tmp_path / "file" / "mask", (5, 6), "YX", (1, 1), "pixel")

    def test_one_whose_disk_is_gone_is_not_taken_for_empty_and_gets_nothing(self, tmp_path: Path) -> None:
        store = store_of(tmp_path)
        store.write((), noise(70, 50))
        there = store.path.rename(tmp_path / "disk that is not connected")
        for read in (store.read, store.largest):
            with pytest.raises(ImageError, match="disk is not connected"):
                read()
        with pytest.raises(WriteError, match="disk is not connected"):
            store.write((), noise(70, 50))
        assert not store.path.exists()
        there.rename(store.path)
        np.testing.assert_array_equal(store.read(), noise(70, 50))
