"""Opens what a window stands on - Qt, its platform plugin, OpenGL as napari's canvas uses it - and says how it went.

Run as a program in a process of its own: Qt ends the process if it cannot have its plugin, and a broken driver of the
graphics card crashes it. A line of JSON is printed after each step, so that what came before is known.
"""

from __future__ import annotations

import json
import os
from typing import Any

_GL_MAX_3D_TEXTURE_SIZE = 0x8073


def main() -> None:
    """Do all steps."""
    import qtpy

    version = qtpy.PYQT_VERSION or getattr(qtpy, "PYSIDE_VERSION", None)
    _say("binding", name=qtpy.API_NAME, version=version, qt=qtpy.QT_VERSION)
    from qtpy.QtWidgets import QApplication

    application = QApplication([])
    screens = [f"{screen.size().width()} x {screen.size().height()}" for screen in application.screens()]
    _say("qt", platform=application.platformName(), screens=screens)
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        return
    from vispy.app import Canvas, use_app
    from vispy.gloo import gl

    use_app(qtpy.API_NAME)
    canvas = Canvas(show=False)
    _say(
        "opengl",
        version=str(gl.glGetParameter(gl.GL_VERSION)),
        renderer=str(gl.glGetParameter(gl.GL_RENDERER)),
        vendor=str(gl.glGetParameter(gl.GL_VENDOR)),
        largest=int(gl.glGetParameter(gl.GL_MAX_TEXTURE_SIZE)),
        largest_3d=int(gl.glGetParameter(_GL_MAX_3D_TEXTURE_SIZE)),
    )
    canvas.close()


def _say(about: str, **facts: Any) -> None:
    print(json.dumps({"about": about} | facts), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
