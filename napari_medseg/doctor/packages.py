"""Python and the packages, against what MedSeg needs and what it was tested with."""

from __future__ import annotations

import importlib.resources
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from .finding import Finding, fine, note, wrong

DISTRIBUTION = "napari-medseg"

_TESTED_PYTHON = "Programming Language :: Python :: 3."
_SHOWN = ("napari", "torch", "distributed", "numpy", "zarr", "sqlalchemy")
"""Of which the versions are always told."""


def python() -> Iterator[Finding]:
    """Whether this Python is one that MedSeg runs on."""
    about, here = distribution(DISTRIBUTION).metadata, platform.python_version()
    tested = [kind.rpartition(" ")[2] for kind in about.get_all("Classifier") or () if kind.startswith(_TESTED_PYTHON)]
    details = {"Python": f"{platform.python_implementation()} {here}", "tested": ", ".join(tested)}
    if not SpecifierSet(about["Requires-Python"] or "").contains(here, prereleases=True):
        yield wrong(
            f"MedSeg does not run on Python {here}.",
            f"Install it anew with Python {tested[-1]}: python{tested[-1]} -m venv medseg, then as the README says.",
            details=details,
        )
    elif here.rpartition(".")[0] not in tested:
        yield note(
            f"MedSeg was not tested on Python {here}.",
            f"If something does not work, install it anew with Python {tested[-1]}.",
            details=details,
        )
    else:
        yield fine(f"Python {here} is one that MedSeg was tested on.", details=details)


def packages(requirements: list[str] | None = None, tested: dict[str, str] | None = None) -> Iterator[Finding]:
    """Whether all packages are there in versions that fit.

    Args:
        requirements: as in pyproject.toml; by default what the installed package says.
        tested: versions by names in their normal form; by default those of constraints.txt.
    """
    tested = tested_versions() if tested is None else tested
    unfit, others, count = {}, {}, 0
    for needed in map(
        Requirement, requirements if requirements is not None else distribution(DISTRIBUTION).requires or ()
    ):
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        count += 1
        here, known = _installed(needed.name), tested.get(canonicalize_name(needed.name))
        if here is None or not needed.specifier.contains(here, prereleases=True):
            unfit[str(needed)] = here or "missing"
        elif known and _far_from(here, known):
            others[needed.name] = f"{here} (tested: {known})"
    details = {name: here for name in _SHOWN if (here := _installed(name))}
    if unfit:
        named = " ".join(f'"{needed}"' for needed in unfit)
        yield wrong(
            f"{len(unfit)} of the {count} packages that MedSeg needs are missing or do not fit: {', '.join(unfit)}."
            if len(unfit) > 1
            else f"One of the {count} packages that MedSeg needs is missing or does not fit: {next(iter(unfit))}.",
            f"Install what fits: python -m pip install {named}",
            details=details | {f"{needed}, here": here for needed, here in unfit.items()},
        )
    elif others:
        yield note(
            f"All {count} packages are there; {len(others)} in versions far from those that MedSeg was tested with.",
            "Leave it if all works. If not, install the tested ones, in a clone of the repository: "
            "python -m pip install -c constraints.txt .",
            details=details | others,
        )
    else:
        yield fine(f"All {count} packages that MedSeg needs are there, in versions that fit.", details=details)


def tested_versions() -> dict[str, str]:
    """The versions of constraints.txt by their names in normal form; nothing if the file did not come along."""
    file = importlib.resources.files("napari_medseg") / "constraints.txt"
    text = file.read_text("utf-8") if file.is_file() else ""
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)
    return {canonicalize_name(name): number for name, number in pinned}


def _installed(name: str) -> str | None:
    """The version of a package; None if it is missing, or what is there of it says no version."""
    try:
        here = version(name)
        return here if here and Version(here) else None
    except (PackageNotFoundError, InvalidVersion):
        return None


def _far_from(here: str, tested: str) -> bool:
    """Whether a version is of another generation: another first number, or of 0.x another second."""
    one, other = Version(here).release, Version(tested).release
    length = 2 if other[0] == 0 else 1
    return one[:length] != other[:length]
