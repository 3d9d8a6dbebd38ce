"""Takes the screenshots of the README and `user-guide.md`: segment, correct, accept, learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from screenshots import clear, in_own_window, settle, shoot, unfold_only, until

STEPS = 300
"""How long the model learns: by steps, so that a busy machine does not make it worse."""


def take(viewer, panel, folder: Path) -> None:
    _segmented(viewer, panel)
    _cases(viewer, panel)
    _learned(viewer, panel)


def _segmented(viewer, panel) -> None:
    settle(6)
    _segment(panel)
    shoot(viewer, "segmented")
    panel.state.show_doubt = True
    shoot(viewer, "doubt")
    panel.state.show_doubt = False


def _cases(viewer, panel) -> None:
    """Four images of a kind that the model does not know, with their true masks."""
    from napari_medseg.samples import samples

    for sample in samples("histology")[:4]:
        clear(viewer)
        viewer.add_image(sample.image().data, name=sample.title, rgb=True)
        _segment(panel)
        mask = panel.state.mask
        mask.data[...] = sample.mask()
        mask.refresh()
        panel.controller.accepting.start()
        until(lambda: panel.state.accepted)


def _learned(viewer, panel) -> None:
    from napari_medseg.trainer.config import FineTuneConfig

    unfold_only(panel, "Correct", "Learn")
    learning = panel.controller.learning
    learning.config = FineTuneConfig(replace(FineTuneConfig().training, steps=STEPS, seconds=None))
    learning.start()
    until(lambda: (panel.state.learning or 0) > 0.6, seconds=3600)
    shoot(viewer, "learning")
    until(lambda: panel.state.learning is None and panel.state.versions, seconds=3600)
    if not any(version["active"] for version in panel.state.versions):
        raise SystemExit("The new version did not take over, which `learned.png` is to show.")
    panel.controller.segmenting.start()
    until(lambda: panel.state.segmenting is None)
    unfold_only(panel, "Model", "Segment", "Correct", "Learn")
    shoot(viewer, "learned")


def _segment(panel) -> None:
    panel.controller.segmenting.start()
    until(lambda: panel.state.segmenting is None and panel.state.mask is not None)


if __name__ == "__main__":
    in_own_window(take, sample="fluorescence")
