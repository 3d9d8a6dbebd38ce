"""Closing a window asks where something could be lost, and a window that is killed has lost nothing accepted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_medseg.models.engine.client import Engine
from napari_medseg.samples import samples
from napari_medseg.trainer.config import FineTuneConfig, TrainingConfig
from napari_medseg.trainer.jobs import follow_finetuning
from napari_medseg.trainer.ledger import Ledger

from ..held_processes import WAIT

LONG = FineTuneConfig(training=TrainingConfig(steps=10**6, batch=1, crop=64), evaluations=1)

ACCEPT_AND_WAIT = """
import sys
from pathlib import Path
import napari, numpy as np
from napari_medseg.panel import MedSegPanel
from napari_medseg.samples import samples

viewer = napari.Viewer()
panel = MedSegPanel(viewer, Path(sys.argv[1]))
viewer.window.add_dock_widget(panel, name="MedSeg")
sample = samples("fluorescence")[0]
viewer.add_image(sample.image().data, name="nuclei")
viewer.add_labels(sample.mask())
panel.state.events.accepted.connect(lambda accepted: print("accepted", flush=True) if accepted else None)
panel.controller.accepting.start()
napari.run()
"""


@pytest.fixture
def panel(open_panel: Any, until: Any) -> Any:
    """A panel in a window that the test may close."""
    made = open_panel(closable=True)
    until(lambda: made.state.engine_ready and made.state.models)
    return made


@pytest.fixture
def with_strokes(panel: Any, discs: np.ndarray) -> Any:
    """A panel with strokes that nobody accepted."""
    panel.controller.viewer.add_image(discs, name="discs")
    panel.controller.viewer.add_labels((discs > 60).astype(np.uint8))
    panel.state.mask.paint((5, 5), 1)
    return panel


@pytest.fixture
def learning(open_panel: Any, until: Any, tmp_path: Path) -> Any:
    """A panel whose model is learning, and will be for long."""
    with Ledger.open(tmp_path / "project") as ledger:
        for sample in samples("fluorescence")[:2]:
            ledger.add(sample.image(), sample.mask())
    panel = open_panel(closable=True, config=LONG)
    until(lambda: panel.state.engine_ready and panel.state.corrections == 2)
    panel.controller.learning.start()
    until(lambda: (panel.state.learning or 0) > 0)
    return panel


def test_staying_keeps_strokes_that_were_not_accepted(with_strokes: Any, answer: Any) -> None:
    window = with_strokes.window()
    answer("Stay")

    window.close()

    assert window.isVisible()
    assert with_strokes.working
    assert with_strokes.state.mask.data[5, 5] == 1


def test_losing_them_is_the_users_choice(with_strokes: Any, answer: Any, tmp_path: Path) -> None:
    answer("Close and lose them")

    with_strokes.window().close()

    assert not with_strokes.working
    assert not list((tmp_path / "project" / "drafts").glob("*.draft"))


def test_keeping_them_is_offered_first_and_the_next_window_goes_on(
    with_strokes: Any, answer: Any, open_panel: Any, press: Any, until: Any, discs: np.ndarray
) -> None:
    answer("Close and keep them")
    with_strokes.window().close()
    assert not with_strokes.working

    panel = open_panel()
    panel.controller.viewer.add_image(discs, name="discs")
    until(lambda: panel.state.draft is not None)
    press(panel.kept.go_on)
    until(lambda: panel.state.mask is not None)

    assert panel.state.mask.data[5, 5] == 1
    assert panel.state.edits == 1
    until(lambda: panel.state.engine_ready)


def test_a_window_without_anything_to_lose_closes_without_a_question(panel: Any) -> None:
    panel.window().close()

    assert not panel.working


def test_the_fine_tuning_goes_on_without_the_window(learning: Any, answer: Any, tmp_path: Path) -> None:
    answer("Let it go on")
    learning.window().close()
    assert not learning.working

    with Ledger.open(tmp_path / "project") as ledger:
        job = ledger.unfinished_job()
    engine = Engine.connect()
    followed = follow_finetuning(engine, job.id)
    assert followed is not None
    assert not followed.done

    followed.cancel()
    with pytest.raises(Exception, match="cancelled"):
        followed.result(WAIT)
    engine.close()


def test_the_fine_tuning_is_stopped_with_the_window(learning: Any, answer: Any, tmp_path: Path, until: Any) -> None:
    answer("Stop it")
    learning.window().close()

    def cancelled() -> bool:
        with Ledger.open(tmp_path / "project") as ledger:
            return ledger.unfinished_job() is None

    until(cancelled)


def test_cancelling_ends_the_fine_tuning_long_before_its_end(learning: Any, press: Any, until: Any) -> None:
    press(learning.sections["Learn"].cancel)
    until(lambda: learning.state.learning is None)

    assert not learning.state.versions
    assert learning.state.active == "nuclei"


def test_a_second_window_follows_the_first_ones_fine_tuning(learning: Any, open_panel: Any, until: Any) -> None:
    second = open_panel(config=LONG)

    until(lambda: (second.state.learning or 0) > 0)
    second.controller.learning.cancel()

    until(lambda: second.state.learning is None)
    until(lambda: learning.state.learning is None)


def test_two_windows_on_one_project_see_each_others_cases(open_panel: Any, until: Any, discs: np.ndarray) -> None:
    first, second = open_panel(), open_panel()
    first.controller.viewer.add_image(discs, name="discs")
    first.controller.viewer.add_labels((discs > 60).astype(np.uint8))

    first.controller.accepting.start()

    until(lambda: second.state.corrections == 1)


def test_what_was_called_accepted_survives_kill_9(engine_environment: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    window = subprocess.Popen(
        [sys.executable, "-c", ACCEPT_AND_WAIT, str(project)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert window.stdout is not None
    said = next((line for line in window.stdout if "accepted" in line), "")
    window.send_signal(signal.SIGKILL)
    window.wait(WAIT)
    window.stdout.close()

    assert said == "accepted\n"
    with Ledger.open(project) as ledger:
        (record,) = ledger.corrections()
        np.testing.assert_array_equal(ledger.load_mask(record), samples("fluorescence")[0].mask())
        assert not ledger.verify()
