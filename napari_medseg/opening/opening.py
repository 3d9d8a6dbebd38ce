"""From paths that the user gives to layers in the window; what is slow about it is done away from the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.layers import Layer

from napari_medseg.models.errors import ImageError
from napari_medseg.models.formats import Part, open_image, parts
from napari_medseg.models.formats.kinds import content_kind

from ..background import Background
from ..image_layers import mask_shape
from ..looking.camera import bring_into_view
from ..state import PanelState
from .layers import made_layers


@dataclass(frozen=True, eq=False)
class Choice:
    """Several images in one file or folder, of which the user has to choose.

    Attributes:
        path: the file or folder.
        parts: the images, in the order in which they are offered.
    """

    path: Path
    parts: tuple[Part, ...]


class Opening:
    """Opens files and folders one after the other, and asks where one holds several images.

    Args:
        viewer: who gets the layers.
        state: what the panel shows; `opening` says what is opened, `choosing` what has to be chosen from.
        background: where files are read.
    """

    def __init__(self, viewer: Any, state: PanelState, background: Background) -> None:
        self.viewer, self._state, self._background = viewer, state, background
        self._waiting: list[tuple[Path, str]] = []  # path and part
        self._choices: list[Choice] = []
        self._busy = False

    def open(self, paths: Sequence[Path]) -> None:
        """Open files and folders; what cannot be read is named, the others are opened."""
        self._state.problem = ""
        self._waiting += [(path, "") for path in paths]
        self._next()

    def choose(self, keys: Sequence[str]) -> None:
        """Open these parts of what is offered; none if the user wants none."""
        choice = self._choices.pop(0)
        self._waiting = [(choice.path, key) for key in keys] + self._waiting
        self._offer()
        self._next()

    def _next(self) -> None:
        if self._busy or not self._waiting or self.viewer is None:
            return
        self._busy = True
        paths, (path, part) = [path for path, part in self._waiting if not part], self._waiting.pop(0)
        left = f" ({len(self._waiting)} more)" if self._waiting else ""
        self._state.opening = f"Opening '{path.name}'{left} ..."

        def look() -> tuple[Choice | list[Layer], list[Path]]:
            whole, taken = (path, []) if part else _series_of(path, paths)
            offered = () if part else parts(whole)
            if len(offered) > 1:
                return Choice(whole, offered), taken
            return made_layers(open_image(whole, part or (offered[0].key if offered else ""))), taken

        self._background.run(look, self._found, self._failed)

    def _found(self, found: tuple[Choice | list[Layer], list[Path]]) -> None:
        result, taken = found
        self._waiting = [(path, part) for path, part in self._waiting if part or path not in taken]
        if isinstance(result, Choice):
            self._choices.append(result)
            self._offer()
        else:
            others = list(self.viewer.layers)
            for layer in result:
                self.viewer.add_layer(layer)
            if others and _is_apart(result[0], others):
                bring_into_view(self.viewer, result[0], [side // 2 for side in mask_shape(result[0])])
        self._ended()

    def _failed(self, reason: str) -> None:
        self._state.problem = f"{self._state.problem} {reason}".strip()
        self._ended()

    def _ended(self) -> None:
        self._busy = False
        self._state.opening = ""
        self._next()

    def _offer(self) -> None:
        self._state.choosing = self._choices[0] if self._choices else None


def _is_apart(layer: Any, others: Sequence[Any]) -> bool:
    """Whether a layer lies over none of the others, along the axes that they have in common."""
    for other in others:
        common = min(layer.ndim, other.ndim)
        (first, last), (begin, end) = (one.extent.world[:, -common:] for one in (layer, other))
        if ((first <= end) & (begin <= last)).all():
            return False
    return True


def _series_of(path: Path, given: Sequence[Path]) -> tuple[Path, list[Path]]:
    """What is meant by a file: its folder, if it is one of several DICOM slices that were given together.

    Returns:
        The file or the folder, and which of those given it stands for.
    """
    beside = [other for other in given if other.parent == path.parent and other != path]
    try:
        if not beside or path.is_dir() or content_kind(path) != "dicom":
            return path, []
        slices = [other for other in beside if not other.is_dir() and content_kind(other) == "dicom"]
    except (ImageError, OSError):
        return path, []
    return (path.parent, slices) if slices else (path, [])
