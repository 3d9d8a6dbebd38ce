"""All accepted corrections of a project as files: a folder that `folders` reads, or one file for all of them.

    OUT/masks/case-0001.nii.gz      the newest mask of each image
    OUT/images/case-0001.nii.gz     the image, if it is asked for
    OUT/splits.json, groups.csv     who learns and who validates, and which images are of one patient or file
    OUT/cases.csv, labels.json      what each correction took; what labels are called

Each file is written whole or not at all. The lists come first: a folder that was left half done still says which images
belong together.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_medseg.models.cancelling import Cancel, stop_if
from napari_medseg.models.durable import WriteError, explained, write
from napari_medseg.models.errors import ImageError, LedgerError
from napari_medseg.models.export import (
    EXPORTS,
    CocoDataSet,
    Export,
    export_mask,
    image_format,
    usual,
    write_image,
)
from napari_medseg.models.image import Array, MedicalImage, as_mask
from napari_medseg.models.measuring import LabelMeasures, csv_of_cases, measure, measure_planes

from .label_names import label_names
from .ledger import Ledger
from .named_cases import NamedCase, named_cases
from .places import image_of
from .project_lists import lists_of
from .records import CorrectionRecord

TABLES = ("csv", "csv-slices")
"""Formats of measurements, which are one table for all cases."""

TOGETHER = ("coco", *TABLES)
"""Formats of which one file holds all cases."""

PLACED = ("nifti", "nrrd", "metaimage")
"""Formats that say where a mask lies in the patient."""

REFUSED = {"dicom-seg": "a DICOM SEG refers to the DICOM files of its image, of which a project keeps only the pixels"}
"""Formats that no project can be written in, and why."""

IMAGES, MASKS = "images", "masks"
"""Folders of the layout that `folders` reads."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NotWritten:
    """A mask or an image that could not be written, and why."""

    case: str
    reason: str


@dataclass
class ProjectExport:
    """What was written.

    Attributes:
        masks: file of each case's mask, by the case's name; of all cases the same one if they are in one file.
        images: file of each case's image, if images were asked for.
        failed: masks and images that could not be written.
        unplaced: cases whose files could say where they lie in the patient and do not, since they were accepted before
            projects kept that.
    """

    masks: dict[str, Path] = field(default_factory=dict)
    images: dict[str, Path] = field(default_factory=dict)
    failed: list[NotWritten] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)


def export_project(
    ledger: Ledger,
    out: Path,
    *,
    key: str = "",
    images: bool = False,
    names: Mapping[int, str] | None = None,
    replace: bool = False,
    progress: Callable[[float], object] | None = None,
    cancel: Cancel | None = None,
) -> ProjectExport:
    """Write the newest mask of each image of a project.

    Args:
        ledger: the project.
        out: a folder, made if missing; of the formats `TOGETHER` it may be a file that ends as they do.
        key: one of `EXPORTS` but those `REFUSED`; by default what fits each case, see `export.usual`.
        images: write the images, too, in the format of the masks if it holds them.
        names: of labels: they then are classes. By default those of the active model, if it has several.
        replace: replace files of these cases that are there already, in whatever format.
        progress: called with the share done, 0 to 1.
        cancel: asked between cases.

    Raises:
        LedgerError: nothing was accepted yet, or `out` is in the project itself. Nothing was written.
        ImageError: some of the files are there already; nothing was written.
        WriteError: the lists cannot be written.
        CancelledError: asked to stop; what was written is whole.
    """
    cases = named_cases(ledger)
    if not cases:
        raise LedgerError(
            "Nothing was accepted in this project yet, so there is nothing to export. Accept a mask in the panel, or "
            "with `medseg accept`."
        )
    if ledger.folder.resolve() in (out.resolve(), *out.resolve().parents):
        raise LedgerError(f"'{out}' is in the project itself, which is for its own files. Choose another folder.")
    names = label_names(ledger) if names is None else names
    file = _file_of(out, key)
    lists = {} if file == out else {out / name: content for name, content in lists_of(cases, names).items()}
    if not replace:
        folders = [out / _folder_of(key), *([out / IMAGES] if images else [])]
        of_cases = [path for folder in folders for case in cases for path in _of_case(case, folder)]
        _check_free([*lists, *([file] if file else of_cases)])
    for path, content in lists.items():
        write(path, content)
    writing = _Writing(ledger, out, key, names, images=images)
    for number, case in enumerate(cases, start=1):
        stop_if(cancel)
        writing.add(case)
        if progress:
            progress(number / len(cases))
    writing.finish(file)
    return writing.done


class _Writing:
    """Writes one case after another; what cannot be written is noted, and the others go on."""

    def __init__(self, ledger: Ledger, out: Path, key: str, names: Mapping[int, str], *, images: bool) -> None:
        self._ledger, self._out, self._key, self._names, self._images = ledger, out, key, names, images
        self._coco = CocoDataSet(names, instances=not names)
        self._measured: dict[str, Sequence[LabelMeasures]] = {}
        self.done = ProjectExport()

    def add(self, case: NamedCase) -> None:
        """The mask first, since it does not need the image's pixels."""
        record, largest = case.record, 0
        with self._noted(case, "mask"):
            mask = as_mask(self._ledger.load_mask(record))
            grid, largest = _grid(record, mask), int(mask.max())
            if self._key in TABLES:
                self._measure(case, mask)
            elif self._key == "coco":
                self._coco.add(mask, grid, file_name=f"{case.name}{self._image_ending(record, grid, largest)}")
                self.done.masks[case.name] = self._out
            else:
                self._write_mask(case, mask, grid, self._key or usual(grid, largest).key)
        if self._images:
            with self._noted(case, "image"):
                image = self._ledger.load_image(record)
                path = self._out / IMAGES / f"{case.name}{self._format_of(image, largest).ending}"
                write_image(path, image)
                _take_away(case, path)
                self.done.images[case.name] = path

    def finish(self, file: Path | None) -> None:
        """Write the one file of the formats that have one, unless no case could be read."""
        if file is not None and self.done.masks:
            write(file, self._coco.to_json() if self._key == "coco" else csv_of_cases(self._measured))
            self.done.masks = dict.fromkeys(self.done.masks, file)

    def _measure(self, case: NamedCase, mask: Array) -> None:
        each = measure if self._key == "csv" else measure_planes
        self._measured[case.name] = each(mask, self._ledger.load_image(case.record), names=self._names)
        self.done.masks[case.name] = self._out

    def _write_mask(self, case: NamedCase, mask: Array, grid: MedicalImage, key: str) -> None:
        path = self._out / _folder_of(key) / f"{case.name}{EXPORTS[key].ending}"
        export_mask(path, mask, grid, key=key, names=self._names, instances=not self._names)
        _take_away(case, path)
        self.done.masks[case.name] = path
        if case.record.place is None and case.record.unit == "mm" and (not self._key or key in PLACED):
            self.done.unplaced.append(case.name)

    def _format_of(self, image: MedicalImage, largest: int) -> Export:
        together = self._key in TOGETHER or not self._key
        return image_format(image, usual(image, largest).key if together else self._key)

    def _image_ending(self, record: CorrectionRecord, grid: MedicalImage, largest: int) -> str:
        """Of the image that COCO's file speaks of, as it is or would be written here."""
        try:
            return self._format_of(self._ledger.load_image(record), largest).ending
        except LedgerError:  # the mask can be had all the same
            return usual(grid, largest).ending

    @contextmanager
    def _noted(self, case: NamedCase, what: str) -> Iterator[None]:
        try:
            yield
        except (ImageError, LedgerError, WriteError) as error:
            _log.warning("%s (%s) was left out", case.name, what, exc_info=True)
            self.done.failed.append(NotWritten(f"{case.name} ({what})", str(error)))


def _grid(record: CorrectionRecord, mask: Array) -> MedicalImage:
    """What the ledger knows of an image but for its pixels, which a mask can be written without."""
    return image_of(record, mask[..., np.newaxis] if "C" in record.axes else mask)


def _folder_of(key: str) -> str:
    return "outlines" if key == "geojson" else MASKS


def _file_of(out: Path, key: str) -> Path | None:
    """The file that all cases are written in: `out` itself if it ends so; None for formats with a file a case."""
    if key not in TOGETHER:
        return None
    ending = EXPORTS[key].ending
    called = "annotations" if key == "coco" else "measurements"
    return out if out.name.lower().endswith(ending) else out / f"{called}{ending}"


def _of_case(case: NamedCase, folder: Path) -> list[Path]:
    """What there is of a case in a folder, in whatever format."""
    places = (folder / f"{case.name}{export.ending}" for export in EXPORTS.values())
    return [path for path in places if os.path.lexists(path)]


def _take_away(case: NamedCase, path: Path) -> None:
    """What this case was exported as before, in other formats: two files of one name are no pair of anything."""
    with explained(path):
        for other in _of_case(case, path.parent):
            if other != path:
                shutil.rmtree(other) if other.is_dir() else other.unlink()


def _check_free(places: Iterable[Path]) -> None:
    """Refuse to replace files.

    Raises:
        ImageError: names one of them.
    """
    there = [path for path in places if os.path.lexists(path)]
    if there:
        others = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise ImageError(
            f"There is a '{there[0].name}'{others} in '{there[0].parent}' already. Nothing was written; choose another "
            "folder, or give --replace to replace the files of these cases."
        )
