"""*Segment all*: the command beside the window, how far it is, and how it is stopped."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import psutil
import pytest

from napari_medseg.models.reading import read_mask
from napari_medseg.opening import all_masks, segmenting_all
from napari_medseg.state import ModelChoice

from ..held_processes import AT_ONCE, WAIT, held_before_file, wait_until_stopped
from .queue_support import IMAGE, QueueDesk

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")


@pytest.fixture
def desk(tmp_path: Path, engine_environment: Any) -> Iterator[QueueDesk]:
    made = QueueDesk(tmp_path / "project")
    made.state.models, made.state.model = (ModelChoice("nuclei", "Nuclei"),), "nuclei"
    yield made
    made.queue.close(lose=True)
    made.close(lose=True)
    for command in commands_on(tmp_path):
        command.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, of which the first has a mask."""
    images, masks = tmp_path / "ward 7", tmp_path / "ward 7 masks"
    images.mkdir()
    masks.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        iio.imwrite(images / name, IMAGE)
    iio.imwrite(masks / "a.png", np.ones_like(IMAGE))
    return images


def commands_on(folder: Path) -> list[psutil.Process]:
    """Processes that segment something in a folder."""
    return [child for child in psutil.Process().children() if str(folder) in " ".join(child.cmdline())]


def command_of(desk: QueueDesk, folder: Path) -> psutil.Process:
    """The process of the command, as soon as it has stopped itself where it is to be held."""
    desk.until(lambda: commands_on(folder))
    (command,) = commands_on(folder)
    wait_until_stopped(command)
    return command


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has commands begin with a program that stops them somewhere."""
    return lambda program: monkeypatch.setattr(all_masks, "_COMMAND", program + all_masks._COMMAND)


def test_a_command_that_listens_to_nothing_is_ended_and_what_lies_on_the_disk_is_counted(
    desk: QueueDesk, folder: Path, hold: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_masks, "PATIENCE", 0.2)
    hold(AT_ONCE)  # as one that hangs in the driver of a disk
    masks = folder.with_name("ward 7 masks")
    desk.choose(folder)
    desk.queue.start()
    command = command_of(desk, folder)
    desk.until(lambda: desk.state.queue_share == pytest.approx(1 / 3))
    iio.imwrite(masks / "b.png", IMAGE)
    half, begun = masks / "c.png.0123abcd.partial", masks / "c.ome.zarr.partial"
    half.write_bytes(b"half of a ma")
    begun.mkdir()  # from which the next run goes on

    desk.queue.cancel()
    desk.until(lambda: desk.state.queue_share is None)

    assert not command.is_running()
    assert desk.state.notice == "Cancelled. 1 masks written, 1 were there."
    assert [queued.done for queued in desk.state.queue] == [True, True, False]
    assert not half.exists()
    assert begun.exists()


def test_a_window_that_ignores_ctrl_c_can_stop_the_command_all_the_same(
    desk: QueueDesk, folder: Path, discs: np.ndarray, hold: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_masks, "PATIENCE", 1000.0)  # so that it ends because it was asked to
    monkeypatch.setattr(all_masks, "LOOK", 0.01)
    hold(held_before_file(".png", 2))
    for number in range(4):
        iio.imwrite(folder / f"{number}.png", discs)
    masks = folder.with_name("ward 7 masks")
    desk.choose(folder)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a window that a shell started in its background
    try:
        desk.queue.start()
        command = command_of(desk, folder)
        desk.until(lambda: sum(queued.done for queued in desk.state.queue) > 1)
        desk.queue.cancel()
        command.resume()
        desk.until(lambda: desk.state.queue_share is None)
    finally:
        signal.signal(signal.SIGINT, before)

    assert not desk.state.queue[-1].done
    made = [queued.mask for queued in desk.state.queue if queued.done]
    assert sorted(made) == sorted(masks.glob("*.png"))
    assert all(read_mask(mask).any() for mask in made)
    assert desk.state.notice == f"Cancelled. {len(made) - 1} masks written, 1 were there."


def test_the_window_never_looks_at_the_drive_and_a_slow_one_is_looked_at_once(
    desk: QueueDesk, folder: Path, hold: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[threading.Thread, list[str]]] = []
    answers, look = threading.Event(), segmenting_all.masks_there

    def slow(queue: Any) -> Any:
        queue = tuple(queue)
        looks.append((threading.current_thread(), [queued.path.name for queued in queue]))
        answers.wait(WAIT)
        return look(queue)

    monkeypatch.setattr(all_masks, "LOOK", 0.01)
    monkeypatch.setattr(all_masks, "PATIENCE", 0.2)
    monkeypatch.setattr(segmenting_all, "masks_there", slow)
    hold(AT_ONCE)
    desk.choose(folder)
    desk.queue.start()
    command_of(desk, folder)
    desk.until(lambda: looks)
    asked = []
    monkeypatch.setattr(desk.background, "_post", lambda call: (asked.append(call), desk._calls.append(call)))
    desk.until(lambda: len(asked) > 5)  # times that it would have been looked

    assert len(looks) == 1
    assert looks[0][0] is not threading.main_thread()
    assert looks[0][1] == ["b.png", "c.png"]  # the first one has its mask
    iio.imwrite(folder.with_name("ward 7 masks") / "b.png", IMAGE)
    answers.set()
    desk.until(lambda: desk.state.queue[1].done)
    desk.queue.cancel()
    desk.until(lambda: desk.state.queue_share is None)
