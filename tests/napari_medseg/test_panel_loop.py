"""The loop as a user lives it: open, segment, correct, accept, learn, and the new model takes over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_medseg.models.cards import find_card
from napari_medseg.models.image import MedicalImage
from napari_medseg.samples import Sample, samples
from napari_medseg.trainer.config import FineTuneConfig, TrainingConfig
from napari_medseg.trainer.ledger import Ledger

FEW_STEPS = FineTuneConfig(training=TrainingConfig(steps=40, batch=2, crop=128), evaluations=4)


def test_open_segment_paint_accept_learn_and_the_new_model_is_active(
    open_panel: Any, press: Any, until: Any, forbidden_imports: Any
) -> None:
    panel = open_panel(config=FEW_STEPS)
    state, sections = panel.state, panel.sections
    viewer = panel.controller.viewer
    until(lambda: state.engine_ready)
    assert panel.hint.text().startswith("Open an image")

    for number, sample in enumerate(samples("histology")[:3]):
        image = sample.image()
        viewer.add_image(image.data, name=sample.title, rgb=True)
        assert panel.hint.text() == "Press Segment (S)."

        press(sections["Segment"].start)
        until(lambda: state.segmenting is None and state.mask is not None)
        paint_the_truth(state.mask, sample)
        assert state.edits == 1

        press(sections["Correct"].accept)
        until(lambda: state.accepted)
        assert f"case {number + 1}" in panel.notice.text()

    press(sections["Learn"].start)
    until(lambda: state.learning is None and state.active == "v1")

    assert state.active == "v1"
    assert state.model == "v1"
    assert state.versions[0]["dice_after"] >= state.versions[0]["dice_before"]
    assert any(point.dice is not None for point in state.curve)
    assert any(point.loss is not None for point in state.curve)
    assert not forbidden_imports()

    with Ledger.open(state.project) as ledger:
        records = ledger.corrections()
    assert [record.edits for record in records] == [1, 1, 1]
    assert all(record.model == "nuclei" and record.seconds > 0 and record.predicted_key for record in records)

    press(sections["Segment"].start)  # the new version is what segments now
    until(lambda: state.segmenting is None)
    assert panel.controller.masks.current().model == "v1"


def test_an_earlier_version_is_one_click_away(open_panel: Any, tmp_path: Any, press: Any, until: Any) -> None:
    project = tmp_path / "project"
    card = find_card("nuclei")
    with Ledger.open(project) as ledger:
        for _ in range(2):
            ledger.add_version(
                b"weights", card.to_json(), "nuclei", metrics={}, reason="made for this test", activate=True
            )
    panel = open_panel(project)
    until(lambda: panel.state.active == "v2")
    table = panel.sections["Learn"].versions

    table.selectRow(1)
    press(panel.sections["Learn"].activate)

    until(lambda: panel.state.active == "v1")


def test_it_learns_by_itself_after_so_many_cases(open_panel: Any, press: Any, until: Any) -> None:
    panel = open_panel(config=FineTuneConfig(training=TrainingConfig(steps=3, batch=1, crop=64), evaluations=1))
    state = panel.state
    panel.sections["Learn"].every.setValue(2)

    for sample in samples("histology")[:2]:
        assert state.learning is None
        image = sample.image()
        panel.controller.viewer.add_image(image.data, name=sample.title, rgb=True)
        draw_alone(panel, sample, image)
        press(panel.sections["Correct"].accept)
        until(lambda: state.accepted)

    until(lambda: state.learning is not None)
    until(lambda: state.learning is None and state.versions)


def test_a_project_keeps_after_how_many_cases_it_learns(open_panel: Any, until: Any, tmp_path: Path) -> None:
    panel = open_panel()
    until(lambda: panel.state.models)
    for cases in (2, 3, 4):
        panel.sections["Learn"].every.setValue(cases)
    panel.let_go()

    again = open_panel()
    until(lambda: again.state.models)
    assert again.sections["Learn"].every.value() == 4
    assert again.state.learn_every == 4

    again.controller.open_project(tmp_path / "another project")
    until(lambda: again.state.learn_every == 0)
    assert again.sections["Learn"].every.value() == 0


def paint_the_truth(layer: Any, sample: Sample) -> None:
    """One stroke of napari's own: what it changes is one entry of its undo history, as with a brush."""
    import numpy as np

    truth = sample.mask().astype(layer.data.dtype)
    wrong = np.nonzero(layer.data != truth)
    layer.data_setitem(wrong, truth[wrong])


def draw_alone(panel: Any, sample: Sample, image: MedicalImage) -> None:
    """A mask that no model proposed: a Labels layer of the user's own."""
    panel.controller.viewer.add_labels(sample.mask())
    assert panel.state.mask is not None
    assert panel.state.mask.data.shape == image.mask_shape
