"""Takes the screenshots of `measurements.md` and `exporting.md` in the real window."""

from __future__ import annotations

from pathlib import Path

from screenshots import in_own_window, settle, shoot, unfold_only, until


def take(viewer, panel, folder: Path) -> None:
    from napari_medseg.phantom import ct_phantom, ct_phantom_organs

    panel.setMinimumWidth(430)
    unfold_only(panel, "Measurements", "Export")
    volume, organs = ct_phantom(), ct_phantom_organs()
    settings = {"scale": volume.spacing, "units": (volume.unit,) * 3}
    viewer.add_image(volume.data, name="ct", contrast_limits=(-160, 240), **settings)
    viewer.add_labels(organs, name="ct mask", **settings)
    panel.state.notice = ""
    measuring = panel.controller.measuring
    until(lambda: measuring.rows and not measuring.stale)
    measuring.select(measuring.rows[0])
    panel.sections["Measurements"].view.selectRow(0)
    settle(2)
    shoot(viewer, "measurements")


if __name__ == "__main__":
    in_own_window(take)
