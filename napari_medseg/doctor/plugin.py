"""Whether napari finds MedSeg, and finds it once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from npe2 import PluginManifest

from .finding import Finding, fine, wrong
from .packages import DISTRIBUTION

_GROUPS = ("napari.manifest", "napari.plugin")
"""Groups of entry points that napari looks for plugins in; the second is that of old ones."""


def plugin(installed: Iterable[Distribution] | None = None) -> Iterator[Finding]:
    """Whether the manifest can be read and is registered exactly once.

    Args:
        installed: what is installed; by default what Python finds, but for what a build left in the present folder.
    """
    if installed is None:
        installed = distributions(path=[place for place in sys.path if place and Path(place) != Path.cwd()])
    registered: dict[str, str] = {}  # where it comes from, and its version
    for package in installed:
        if any(entry.name == DISTRIBUTION and entry.group in _GROUPS for entry in package.entry_points):
            registered[str(package.locate_file(""))] = f"{package.name} {package.version}"
    details = {"registered by": sorted(registered.values())}
    if not registered:
        yield wrong(
            "napari does not know MedSeg: nothing registers the plugin.",
            f"Install it anew: python -m pip install --force-reinstall --no-deps {DISTRIBUTION} (in a clone: a dot "
            "instead of the name).",
        )
    elif len(registered) > 1:
        yield wrong(
            f"MedSeg is installed {len(registered)} times, and napari may take the wrong one.",
            f"Remove all of them, then install one: python -m pip uninstall {DISTRIBUTION}, until it says that there "
            "is none.",
            details=details,
            names={"folders": sorted(registered)},
        )
    else:
        yield from _manifest(details)


def _manifest(details: dict[str, list[str]]) -> Iterator[Finding]:
    try:
        manifest = PluginManifest.from_distribution(DISTRIBUTION)
    except Exception as error:  # pydantic's, yaml's, or whatever a damaged file leads to
        yield wrong(
            "napari cannot load MedSeg: what describes it to napari (napari.yaml) is missing or damaged.",
            f"Install it anew: python -m pip install --force-reinstall --no-deps {DISTRIBUTION}",
            details=details,
            names={"error": str(error)},
        )
        return
    offers = manifest.contributions
    counted = {name: len(getattr(offers, name) or ()) for name in ("widgets", "readers", "sample_data")}
    yield fine("napari knows the plugin MedSeg, once.", details=details | counted)
