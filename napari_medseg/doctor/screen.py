"""Whether a window can be opened here: a display, Qt with its platform plugin, and OpenGL for napari's canvas."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .child import Answer, ask
from .finding import Finding, fine, note, wrong

_INSTALL = 'python -m pip install "napari-medseg[pyqt6]"'

_MISLEADING = ("QT_PLUGIN_PATH", "QT_QPA_PLATFORM", "QT_QPA_PLATFORM_PLUGIN_PATH")
"""Variables that lead Qt elsewhere; OpenCV's packages set some of them."""

_PACKAGES = {
    "libEGL": "libegl1",
    "libGL": "libgl1",
    "libOpenGL": "libopengl0",
    "libdbus-1": "libdbus-1-3",
    "libfontconfig": "libfontconfig1",
    "libglib-2": "libglib2.0-0",
    "libxcb-cursor": "libxcb-cursor0",
    "libxcb-icccm": "libxcb-icccm4",
    "libxcb-image": "libxcb-image0",
    "libxcb-keysyms": "libxcb-keysyms1",
    "libxcb-randr": "libxcb-randr0",
    "libxcb-render-util": "libxcb-render-util0",
    "libxcb-shape": "libxcb-shape0",
    "libxcb-xinerama": "libxcb-xinerama0",
    "libxkbcommon-x11": "libxkbcommon-x11-0",
}
"""Debian's packages by what their libraries begin with."""

_OLDEST_GL = (2, 1)
_SOFTWARE = re.compile("llvmpipe|softpipe|swrast|software|basic render", re.IGNORECASE)


def display(present: bool) -> Iterator[Finding]:
    """Whether there is one.

    Args:
        present: whether `cli.display.has_display` says so.
    """
    names = {name: os.environ[name] for name in ("DISPLAY", "WAYLAND_DISPLAY") if name in os.environ}
    if present:
        yield fine("There is a display to open the window on.", details=names)
    elif names:
        yield note(
            "There is no display: nothing answers at the one that the environment names. The window cannot be opened "
            "here; all other commands work.",
            "Log in on the computer's own screen, or over ssh with `ssh -X`, and try again.",
            details=names,
        )
    else:
        yield note(
            "There is no display, so the window cannot be opened here; all other commands work.",
            "Over ssh, connect with `ssh -X`. Without a screen, `medseg demo --headless` shows the loop.",
        )


def screen(present: bool, seconds: float) -> Iterator[Finding]:
    """Whether Qt starts, and whether napari's canvas can draw.

    Args:
        present: whether there is a display; without one Qt is tried without a screen, and OpenGL not at all.
        seconds: that each may take.
    """
    hidden = {} if present or "QT_QPA_PLATFORM" in os.environ else {"QT_QPA_PLATFORM": "offscreen"}
    yield from judged(ask("napari_medseg.doctor.screen_probe", seconds, hidden), present)


def judged(answer: Answer, present: bool) -> Iterator[Finding]:
    """What the answer of `screen_probe` means.

    Args:
        answer: of the probe.
        present: whether there is a display.
    """
    binding, qt, opengl = (answer.said.get(about) for about in ("binding", "qt", "opengl"))
    if binding is None:
        yield _no_binding(answer, present)
    elif qt is None:
        yield _no_plugin(answer, binding)
    elif qt["platform"] in ("offscreen", "minimal") and present:
        yield wrong(
            f"Qt starts, but without a screen: the window would open where nobody sees it (platform {qt['platform']}).",
            "Remove the environment variable QT_QPA_PLATFORM, and try again.",
            details=_qt_details(binding, qt),
        )
    else:
        yield fine(f"Qt starts ({binding['name']}).", details=_qt_details(binding, qt))
        if present:
            yield _opengl(opengl, answer)


def _no_binding(answer: Answer, present: bool) -> Finding:
    last = (answer.errors.strip().splitlines() or ["nothing"])[-1]
    if find_spec("PyQt5") is None and find_spec("PyQt6") is None:
        found, remedy = "Qt, which draws the window, is not installed.", f"Install it: {_INSTALL}"
        return wrong(found, remedy) if present else note(found, f"For a window: {_INSTALL}")
    missing = re.search(r"(lib[\w.+-]+\.so[\w.]*)", last)
    remedy = _system_libraries([missing[1]]) if missing else f"Install Qt anew: {_INSTALL} --force-reinstall"
    return wrong(
        "Qt, which draws the window, is installed but cannot be loaded"
        + (f": the system library {missing[1]} is missing." if missing else "."),
        remedy,
        names={"error": last},
    )


def _no_plugin(answer: Answer, binding: Mapping[str, Any]) -> Finding:
    details = {"binding": f"{binding['name']} {binding['version']}, Qt {binding['qt']}"}
    names = {"error": answer.errors.strip()[-1500:]}
    found = "Qt cannot open windows: it does not find or load its platform plugin"
    if answer.code is None:
        return wrong(
            "Qt does not start in time.", "Log out and in again, or restart the computer.", details=details, names=names
        )
    if missing := _missing_libraries(binding["name"], answer.errors):
        return wrong(
            f"{found}: {', '.join(missing)} of the system missing.", _system_libraries(missing), details=details
        )
    if "could not connect to display" in answer.errors:
        return wrong(
            "Qt cannot open windows: the display refuses it.",
            "Start MedSeg as the user who is logged in at the screen, without sudo; over ssh, connect with `ssh -X`.",
            details=details,
            names=names,
        )
    if misleading := {name: os.environ[name] for name in _MISLEADING if os.environ.get(name)}:
        variables = " and ".join(misleading)
        return wrong(
            f"{found}. {variables} in the environment may lead it elsewhere.",
            f"Remove {variables} from the environment and try again. The package opencv-python sets such variables; "
            "opencv-python-headless does not.",
            details=details,
            names=names | misleading,
        )
    return wrong(f"{found}.", f"Install Qt anew: {_INSTALL} --force-reinstall", details=details, names=names)


def _opengl(opengl: Mapping[str, Any] | None, answer: Answer) -> Finding:
    driver = "Install or update the driver of the graphics card; over a remote desktop, use one that passes OpenGL on."
    if opengl is None:
        crashed = answer.code is not None and answer.code < 0
        return wrong(
            "Images cannot be drawn: OpenGL " + ("crashes." if crashed else "does not start."),
            driver + " On Linux, also install the system libraries libgl1 and libgl1-mesa-dri.",
            names={"error": answer.errors.strip()[-1500:]},
        )
    details = {
        "OpenGL": opengl["version"],
        "drawn by": opengl["renderer"],
        "largest texture": f"{opengl['largest']}, in 3D {opengl['largest_3d']}",
    }
    number = re.match(r"(?:OpenGL ES )?(\d+)\.(\d+)", opengl["version"])
    if number and (int(number[1]), int(number[2])) < _OLDEST_GL:
        return wrong(f"Images cannot be drawn: OpenGL is {number[0]}, and 2.1 is needed.", driver, details=details)
    if _SOFTWARE.search(opengl["renderer"]):
        return note(
            "Images are drawn by the processor, not by a graphics card. It works; large images and volumes in 3D move "
            "more slowly.",
            f"If this computer has a graphics card: {driver[0].lower()}{driver[1:]}",
            details=details,
        )
    return fine("OpenGL works, so napari can draw images.", details=details)


def _qt_details(binding: Mapping[str, Any], qt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "binding": f"{binding['name']} {binding['version']}, Qt {binding['qt']}",
        "platform": qt["platform"],
        "screens": qt["screens"],
    }


def _missing_libraries(binding: str, errors: str) -> list[str]:
    """What the platform plugin of X11 needs and the system has not."""
    if sys.platform != "linux":
        return []
    missing = {f"{name}.so.0" for name in re.findall(r"\b(libxcb-cursor)", errors)}
    package = find_spec(binding)
    folders = package.submodule_search_locations or () if package else ()
    for plugin in (file for folder in folders for file in Path(folder).glob("Qt*/plugins/platforms/libqxcb.so")):
        try:
            command = ["ldd", str(plugin)]
            needs = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S603
        except (OSError, subprocess.TimeoutExpired):
            continue
        missing |= {line.split()[0] for line in needs.splitlines() if "not found" in line}
    return sorted(missing)


def _system_libraries(missing: list[str]) -> str:
    """What to install for them."""
    names = [next((package for begin, package in _PACKAGES.items() if name.startswith(begin)), "") for name in missing]
    debian = " ".join(sorted({name for name in names if name}))
    elsewhere = "with the package manager of your system, or ask who looks after this computer"
    if not debian:
        return f"Install {', '.join(missing)} {elsewhere}."
    return f"On Debian or Ubuntu: sudo apt-get install {debian}. Elsewhere {elsewhere}."
