"""Whatever goes wrong, the panel says it in a sentence, keeps what there is, and can be used again."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from napari_medseg.models.engine.address import read_address
from napari_medseg.trainer.ledger import Ledger, LedgerError

from ..held_processes import WAIT, has_stopped, hold_worker


def workers(runtime: Path) -> list[psutil.Process]:
    """The processes of the engine that hold networks: those with torch's libraries mapped."""
    address = read_address(runtime)
    assert address is not None
    return [p for p in psutil.Process(address.pid).children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]


def test_an_image_with_broken_values_is_segmented_or_refused_but_never_crashes(
    panel: Any, press: Any, until: Any
) -> None:
    broken = np.full((64, 64), np.nan, np.float32)
    broken[20:40, 20:40] = np.inf
    panel.controller.viewer.add_image(broken, name="broken")

    press(panel.sections["Segment"].start)
    until(lambda: panel.state.segmenting is None)

    assert panel.state.mask is not None or panel.state.problem


def test_channels_that_the_model_does_not_read_are_named(panel: Any, press: Any, until: Any, tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "five.ome.tif"
    tifffile.imwrite(path, np.zeros((5, 64, 64), np.uint8), metadata={"axes": "CYX"})
    panel.controller.open_images([path])
    until(lambda: "5 channels" in panel.state.image_about)

    press(panel.sections["Segment"].start)
    until(lambda: panel.state.segmenting is None)

    assert "5 channels" in panel.problem.text()


def test_a_file_that_is_no_image_is_named_and_the_others_are_opened(
    panel: Any, until: Any, tmp_path: Path, discs: np.ndarray
) -> None:
    import imageio.v3 as iio

    good = tmp_path / "good.png"
    iio.imwrite(good, discs)
    broken = {"empty": b"", "text": b"not an image", "cut": b"\x89PNG\r\n\x1a\n" + b"\0" * 20}
    for name, content in broken.items():
        bad = tmp_path / f"{name}.png"
        bad.write_bytes(content)
        panel.controller.viewer.layers.clear()

        panel.controller.open_images([bad, good])

        until(lambda: panel.state.image is not None)
        assert bad.name in panel.problem.text()
        assert panel.state.image.name == "good"


def test_a_mask_of_another_shape_is_refused_and_kept(panel: Any, press: Any, until: Any, discs: np.ndarray) -> None:
    panel.controller.viewer.add_image(discs, name="discs")
    mask = panel.controller.viewer.add_labels((discs > 60).astype(np.uint8))
    mask.data = mask.data[:50]

    press(panel.sections["Correct"].accept)
    until(lambda: not panel.state.accepting)

    assert "shape" in panel.problem.text()
    assert panel.state.mask is mask
    assert panel.state.corrections == 0


def test_a_checkpoint_that_is_none_is_refused_and_the_model_stays(panel: Any, until: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"PK\x03\x04 not weights")
    path.with_suffix(".json").write_text("{}")

    panel.controller.add_model_file(path)

    until(lambda: "not a model card" in panel.problem.text())
    assert panel.state.model == "nuclei"


def test_a_project_that_cannot_be_opened_is_refused_and_the_old_one_stays(
    panel: Any, until: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "ledger.sqlite").write_bytes(b"this is no database" * 100)

    panel.controller.open_project(folder)

    until(panel.problem.isVisible)
    assert panel.state.project == tmp_path / "project"
    assert (folder / "ledger.sqlite").read_bytes() == b"this is no database" * 100
    with pytest.raises(LedgerError):
        Ledger.open(folder)


def test_a_mask_that_does_not_fit_on_the_disk_stays_in_the_window(
    panel: Any, press: Any, until: Any, discs: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    panel.controller.viewer.add_image(discs, name="discs")
    panel.controller.viewer.add_labels((discs > 60).astype(np.uint8))

    def full(descriptor: int, content: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("napari_medseg.models.durable.os.write", full)
        press(panel.sections["Correct"].accept)
        until(lambda: not panel.state.accepting)
    assert "disk is full" in panel.problem.text()
    assert not panel.state.accepted

    press(panel.sections["Correct"].accept)
    until(lambda: panel.state.accepted)

    assert panel.state.problem == ""


def test_a_second_accept_of_the_same_mask_changes_nothing(
    panel: Any, press: Any, until: Any, discs: np.ndarray
) -> None:
    panel.controller.viewer.add_image(discs, name="discs")
    panel.controller.viewer.add_labels((discs > 60).astype(np.uint8))
    for _ in range(2):
        press(panel.sections["Correct"].accept)
        until(lambda: not panel.state.accepting)
    until(lambda: panel.state.corrections == 1)

    assert "already" in panel.notice.text()


def test_a_predictor_killed_while_it_segments_is_replaced_and_the_mask_comes(
    panel: Any, press: Any, until: Any, discs: np.ndarray, engine_environment: Path
) -> None:
    large = np.tile(discs, (8, 6))
    panel.controller.viewer.add_image(large, name="large")
    predictor = hold_worker(panel.controller.link._engine, "predictor", "hold_at_report", 0.0)
    press(panel.sections["Segment"].start)
    until(lambda: has_stopped(predictor))

    for process in workers(engine_environment):
        process.send_signal(signal.SIGKILL)
    until(lambda: panel.state.segmenting is None)

    assert panel.state.mask is not None, panel.state.problem
    assert panel.state.mask.data.max() == 3 * 8 * 6


def test_a_killed_engine_is_started_again_at_the_next_segment(
    panel: Any, press: Any, until: Any, discs: np.ndarray, engine_environment: Path
) -> None:
    address = read_address(engine_environment)
    assert address is not None
    panel.controller.viewer.add_image(discs, name="discs")
    family = psutil.Process(address.pid).children(recursive=True)
    os.kill(address.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=WAIT)

    for _ in range(2):  # the first may find out that the engine is gone
        press(panel.sections["Segment"].start)
        until(lambda: panel.state.segmenting is None)
        if panel.state.mask is not None:
            break

    assert panel.state.mask is not None, panel.state.problem


def test_that_nothing_is_kept_on_the_disk_stays_in_sight_whatever_else_is_said(
    panel: Any, press: Any, until: Any, discs: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "project" / "drafts").write_text("a file where the folder should be")
    viewer = panel.controller.viewer
    viewer.add_image(discs, name="discs")
    viewer.add_labels(np.zeros(discs.shape, np.uint8)).paint((5, 5), 1)
    until(panel.unsafe.isVisible)

    press(panel.prompts.tools["click"])
    panel.state.problem = "something else"
    panel.state.problem = ""

    assert "would not survive a crash" in panel.unsafe.text()
    assert panel.unsafe.isVisible()
    (tmp_path / "project" / "drafts").unlink()
