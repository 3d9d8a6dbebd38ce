"""The mask that an earlier window left of a large image, and where a new one begins. For any thread."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari.layers import Image

from napari_medseg.models.errors import ImageError, MedSegError
from napari_medseg.models.label_store import LabelStore

from ..editing.identity import Identity, identity_of
from ..image_layers import LARGE, mask_shape
from .folder import MaskFolder, is_elsewhere, kept_folders, kept_outside, new_folder

_log = logging.getLogger(__name__)

ELSEWHERE = "Another window has the mask of this image. What is drawn here begins a mask of its own."


@dataclass(frozen=True)
class Given:
    """A mask of a large image that does not lie in the project: it is shown, and corrected, where it is.

    Attributes:
        labels: where it is.
        model: that made it; None if that is not known.
        answer: what the model answered with, "instances" or "mask"; "" if that is not known.
        untouched: whether it is as a model made it.
    """

    labels: Path
    model: str | None = None
    answer: str = ""
    untouched: bool = True


@dataclass(frozen=True, eq=False)
class Found:
    """What there is of the mask of an image.

    Attributes:
        folder: held; None if there is none that can be had.
        store: its labels.
        said: what the user should know; "" if nothing.
    """

    folder: MaskFolder | None = None
    store: LabelStore | None = None
    said: str = ""

    def drop(self) -> None:
        """Let another window have it."""
        if self.folder is not None:
            self.folder.let_go()


def find_mask(project: Path, image: Image) -> Found:
    """The newest whole mask of an image that can be opened; one that cannot be is passed over and left as it is.

    What a window that was killed has copied of a file is removed.
    """
    shape, identity, said = mask_shape(image), _identity(image), ""
    kept = kept_folders(project, shape, identity)
    for folder in kept:
        if not folder.whole and folder.model is None:
            folder.remove()
    for folder in kept:
        if not folder.whole:
            continue
        try:
            folder.hold()
            return Found(folder, LabelStore.open(folder.labels, durable=True), said)
        except MedSegError as error:
            _log.warning("%s cannot be opened", folder.path, exc_info=error)
            folder.let_go()
            said = said or f"A mask of this image could not be opened and was left as it is. {error}"
    return Found(said=said or (ELSEWHERE if is_elsewhere(project, shape, identity) else ""))


def open_given(project: Path, image: Image, given: Given) -> Found:
    """A mask that lies outside of the project, with what the project knows of the parts that were corrected."""
    shape, identity = mask_shape(image), _identity(image)
    folder: MaskFolder | None = None
    try:
        store = LabelStore.open(given.labels, durable=True)
        if store.shape != shape:
            raise ImageError(f"'{given.labels.name}' has another size than its image.")
        folder = kept_outside(project, shape, identity, given.labels)
        folder = folder or new_folder(project, identity(), shape, given.model, given.answer, given.labels)
        folder.hold()
        if given.untouched:
            folder.model, folder.answer, folder.edited = given.model, given.answer, []
            folder.largest = None  # another run may have made it anew
        folder.note()
        return Found(folder, store)
    except MedSegError as error:
        if folder is not None:
            folder.let_go()
        return Found(said=f"The mask is not shown. {error}")


def folder_to_fill(project: Path, image: Image, model: str, answer: str) -> MaskFolder:
    """Where a model shall put its labels: where it was interrupted, or a new place; held.

    Raises:
        WriteError: no permission, no space, ...
    """
    shape, identity = mask_shape(image), _identity(image)
    for folder in kept_folders(project, shape, identity):
        if not folder.whole and (folder.model, folder.answer) == (model, answer):
            folder.hold()
            return folder
    return new_folder(project, identity(), shape, model, answer)


def folder_to_copy_to(project: Path, image: Image) -> MaskFolder:
    """Where a mask from a file shall be copied to; held.

    Raises:
        WriteError: no permission, no space, ...
    """
    return new_folder(project, _identity(image)(), mask_shape(image), None, "", whole=False)


def _identity(image: Image) -> Callable[[], Identity]:
    return functools.cache(lambda: identity_of(image, LARGE))
