"""A window that is killed at any moment has lost nothing that is older than a second."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.editing.content import Content
from napari_medseg.editing.identity import identity_of
from napari_medseg.editing.restoring import read_draft
from napari_medseg.models.prompts import Prompts

from ...held_processes import WAIT
from ..editing_support import Desk

SHAPE = (20, 256, 256)

SAYING = """
import sys, time

def say(*words):  # at once, since two threads speak
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

def tell_when_known(editing, mask, step):
    editing.keeping._journal.tell(mask, lambda draft: say("known", step, time.time()))
"""
"""What a program says: each change when it is made, and when the journal's thread knows of it."""

WORK = """
import hashlib, random, sys, time
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[2])
from tests.napari_medseg.editing_support import Desk
from napari_medseg.models.prompts import Prompts

chance = random.Random(int(sys.argv[3]))
shape = (20, 256, 256)
desk = Desk(Path(sys.argv[1]), np.arange(np.prod(shape), dtype=np.uint16).reshape(shape))
desk.draw(np.zeros(shape, np.uint8))
layer, editing, mask = desk.mask.layer, desk.editing, desk.mask
layer.mode, layer.brush_size = "paint", 15
done = 0
while True:
    kind = chance.choice(["stroke", "stroke", "tool", "prompt", "undo", "redo", "replace"] if done else ["stroke"])
    plane, row, column, label = (chance.randrange(side) for side in (20, 200, 200, 400))
    if kind == "stroke":
        with layer.block_history():
            layer._draw(1 + label % 255, (plane, row, column), (plane, row + 40, column + 50))
    elif kind == "tool":
        after = np.full((2, 50, 50), label)
        region = (slice(plane % 18, plane % 18 + 2), slice(row, row + 50), slice(column, column + 50))
        editing.change(mask, region, after, "Tool", prompts=editing.prompts(mask).click((row, column)), merge=label % 2)
    elif kind == "prompt":
        editing.set_prompts(mask, Prompts().box((row, column), (row + 9, column + 9), plane=(plane,)), "Box")
    elif kind == "replace" and done % 10 == 0:
        layer.data = np.roll(layer.data, 5, axis=1)
    elif kind in ("undo", "redo"):
        getattr(editing, kind)()
    desk.pump()
    done += 1
    state = hashlib.sha256(np.asarray(layer.data, np.uint16).tobytes() + repr(editing.prompts(mask)).encode())
    say("step", done, time.time(), state.hexdigest())
    tell_when_known(editing, mask, done)
    time.sleep(chance.choice([0, 0.01, 0.05]))
"""

IN_A_WINDOW = """
import sys, time
from pathlib import Path
import napari, numpy as np
from qtpy.QtCore import QTimer
from napari_medseg.panel import MedSegPanel
from napari_medseg.samples import samples

viewer = napari.Viewer()
panel = MedSegPanel(viewer, Path(sys.argv[1]))
viewer.window.add_dock_widget(panel, name="MedSeg")
sample = samples("fluorescence")[0]
viewer.add_image(sample.image().data, name="nuclei")
viewer.add_labels(np.zeros(sample.mask().shape, np.uint8))
layer = panel.state.mask
layer.mode = "paint"

def stroke():
    n = panel.state.edits + 1
    layer.paint((10 * n % 200, 20), n)
    say("stroke", n, time.time())
    tell_when_known(panel.controller.editing, panel.controller.masks.current(), n)

timer = QTimer(interval=100)
timer.timeout.connect(stroke)
timer.start()
napari.run()
"""


Said = dict[int, list[str]]
"""By the number of a change, what was said of it: when it was made, and perhaps more."""


@pytest.fixture
def killed(tmp_path: Path) -> Callable[..., tuple[Said, int]]:
    """Starts a program that says what it does, and kills it some seconds after it began to.

    With `safe` it is killed as soon as so many changes have to be on the disk.
    """

    def start_and_kill(program: str, seconds: float, *arguments: object, safe: int = 0) -> tuple[Said, int]:
        command = [sys.executable, "-W", "ignore", "-c", SAYING + program, str(tmp_path), *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        assert process.stdout is not None
        lines = [next(line for line in process.stdout if line.startswith(("step", "stroke")))]
        while safe_of(lines, time.time()) < safe:
            lines.append(process.stdout.readline())
        time.sleep(seconds)  # it is to die at any moment, not when something has happened
        moment = time.time()
        process.send_signal(signal.SIGKILL)
        lines += process.stdout
        process.wait(WAIT)
        process.stdout.close()
        return said_of(lines, "step", "stroke"), safe_of(lines, moment)

    return start_and_kill


def said_of(lines: list[str], *kinds: str) -> Said:
    """Of whole lines only: the last may be cut off."""
    words = [line.split() for line in lines if line.startswith(kinds) and line.endswith("\n")]
    return {int(number): rest for _, number, *rest in words}


def safe_of(lines: list[str], moment: float) -> int:
    """The last change that has to be on the disk at a moment: it is older than a second, and was not just made known.

    Where others have the machine or the disk, the journal's thread may stand still for longer. So two more changes have
    to be known to it half a second later: before it looks at the second, it has written what was known by then.
    """
    made, known = said_of(lines, "step", "stroke"), said_of(lines, "known")
    times = sorted(float(at) for (at,) in known.values())
    return max(
        (
            number
            for number, (at,) in known.items()
            if number in made
            and float(made[number][0]) < moment - 1
            and sum(later > float(at) + 0.5 for later in times) > 1
        ),
        default=0,
    )


def state_of(content: Content) -> str:
    return hashed(np.asarray(content.pixels.array(), np.uint16), content.prompts)


def hashed(pixels: np.ndarray, prompts: Prompts) -> str:
    return hashlib.sha256(pixels.tobytes() + repr(prompts).encode()).hexdigest()


def a_step_from(content: Content) -> Iterator[str]:
    """The states before and after its last step: it may have died when that was on the disk, and not said yet."""
    for steps, back in ((content.history.done, True), (content.history.undone, False)):
        for step in steps[-1:]:
            pixels = np.array(content.pixels.array(), np.uint16)
            (step.difference.revert if back else step.difference.apply)(pixels)
            yield hashed(pixels, step.prompts[0 if back else 1] if step.prompts else content.prompts)


@pytest.mark.parametrize("seed", range(3))
def test_every_change_that_is_older_than_a_second_is_on_the_disk(killed: Any, tmp_path: Path, seed: int) -> None:
    said, safe = killed(WORK, random.Random(seed).uniform(0.2, 4), Path(__file__).parents[3], seed)
    states = ["nothing"] + [state for _, state in said.values()]

    desk = Desk(tmp_path, np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE))
    found = desk.drafts
    assert found or not safe
    if found:
        content = read_draft(found[0], identity_of(desk.image))
        assert state_of(content) in states[safe:] or any(state in states[safe:] for state in a_step_from(content))
    desk.close()


def test_the_next_start_goes_on_where_the_window_was_killed(
    killed: Any, open_panel: Any, until: Any, press: Any, tmp_path: Path
) -> None:
    from napari_medseg.samples import samples

    said, safe = killed(IN_A_WINDOW, 0, safe=5)

    panel = open_panel(tmp_path)
    panel.controller.viewer.add_image(samples("fluorescence")[0].image().data, name="the same under another name")
    until(lambda: panel.state.draft is not None)
    assert panel.kept.isVisible()
    assert panel.sections["Project"].kept.text().startswith("1 mask that was not accepted takes")
    assert panel.sections["Project"].look.isVisible()
    press(panel.kept.go_on)
    until(lambda: panel.state.mask is not None)

    assert safe <= panel.state.edits <= max(said) + 1
    assert len(np.unique(panel.state.mask.data)) == min(panel.state.edits, 20) + 1
    assert not panel.kept.isVisible()
    for _ in range(panel.state.edits):
        press(panel.history.undo)
    assert not panel.state.mask.data.any()
    until(lambda: panel.state.engine_ready)  # an engine that is just starting takes long to end
