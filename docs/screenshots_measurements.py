"""Takes the screenshots of `measurements.md` and `exporting.md` in the real window.

Everything runs in folders of its own, so no project of yours is touched.
"""

from __future__ import annotations

import os
import tempfile

from screenshots import _settle, _shoot, _until
from screenshots_mask_tools import _fold


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="medseg") as folder:
        os.environ |= {"MEDSEG_RUNTIME": f"{folder}/run", "MEDSEG_PROJECT": f"{folder}/project", "MEDSEG_IDLE": "5"}
        _take()


def _take() -> None:
    from napari_medseg.phantom import ct_phantom, ct_phantom_organs
    from napari_medseg.window import make_window

    viewer, panel = make_window()
    viewer.window.resize(1480, 1000)
    panel.setMinimumWidth(430)
    _fold(panel, "Measurements", "Export")
    volume, organs = ct_phantom(), ct_phantom_organs()
    settings = {"scale": volume.spacing, "units": (volume.unit,) * 3}
    viewer.add_image(volume.data, name="ct", contrast_limits=(-160, 240), **settings)
    viewer.add_labels(organs, name="ct mask", **settings)
    panel.state.notice = ""
    measuring = panel.controller.measuring
    _until(lambda: measuring.rows and not measuring.stale)
    measuring.select(measuring.rows[0])
    panel.sections["Measurements"].view.selectRow(0)
    _settle(2)
    _shoot(viewer, "measurements")
    viewer.close()


if __name__ == "__main__":
    main()
