"""The ledger of corrections: a project on disk, which keeps what people accepted and what was learnt from it.

    project/
        ledger.sqlite       who accepted what, when; versions, activations, jobs
        objects/ab/*.tif    pixels of images and masks, named by their contents
        versions/           weights and cards: v1.safetensors, v1.json, ...
        jobs/               checkpoints of fine-tunings

Pixels are forced to the disk first, then one transaction refers to them. So a crash at any moment leaves at
most a file that nothing refers to, never a correction without its pixels.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from napari_medseg.models.durable import explained, make_folder
from napari_medseg.models.errors import LedgerError
from napari_medseg.models.geometry import Geometry
from napari_medseg.models.image import Array, MedicalImage, as_image, as_mask

from .database import Database
from .jobs_table import JobsTable
from .pixels import PixelStore
from .places import image_of, on_grid, place_of
from .project import DatabaseProject, Project, is_project, is_url, sqlite_file
from .records import AlreadyAccepted, CorrectionRecord, Effort, JobRecord, ModelVersion
from .schema import Correction
from .split import held_out_groups
from .versions import Versions

__all__ = ["AlreadyAccepted", "CorrectionRecord", "Effort", "JobRecord", "Ledger", "ModelVersion"]

_LOOKED_AT = 20
"""Newest images of which one has to be in the folder of a project in a database."""


class Ledger:
    """A project, as `Ledger.open` gives it. For any thread, and several processes at once; close it, or use `with`."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.folder = folder
        self._database = database
        self._pixels = PixelStore(folder)
        self._versions = Versions(database, folder)
        self._jobs = JobsTable(database, folder)
        self._salt = bytes.fromhex(database.setting("salt"))

    @classmethod
    def open(cls, path_or_url: Project, *, pixels: str | Path | None = None, make: bool = True) -> Self:
        """Open a project, or make it.

        Args:
            path_or_url: a folder, made if missing; or the URL of a database, e.g. "postgresql+psycopg://...".
            pixels: with a URL, the folder for pixels, weights and checkpoints.
            make: whether to make a project where there is none.

        Raises:
            LedgerError: not a project, a newer one, a damaged one, no permission, or the pixels of another; it is left
                as it was.
            WriteError: the folder cannot be made.
        """
        if isinstance(path_or_url, DatabaseProject):
            return cls._open_url(path_or_url.url, path_or_url.pixels, make=make)
        if is_url(path_or_url):
            return cls._open_url(str(path_or_url), pixels, make=make)
        folder = Path(path_or_url).expanduser().absolute()
        with explained(folder):
            is_file = folder.exists() and not folder.is_dir()
        if is_file:
            raise LedgerError(f"'{folder}' is a file, but a project is a folder. Nothing was changed; choose a folder.")
        if not make and not is_project(folder):
            raise LedgerError(f"There is no project in '{folder}'.")
        make_folder(folder)
        url = sa.URL.create("sqlite", database=str(folder / "ledger.sqlite"))
        return cls(Database(url, called=f"The project '{folder}'"), folder)

    @classmethod
    def _open_url(cls, text: str, pixels: str | Path | None, *, make: bool) -> Self:
        try:
            url = sa.make_url(text)
        except sa.exc.ArgumentError as error:
            raise LedgerError("This is not the address of a database, such as postgresql+psycopg://...") from error
        if pixels is None:
            raise LedgerError(f"A project in a database ({url.drivername}) needs a folder, pixels=, as well.")
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise LedgerError("A database in memory would keep nothing. Give a folder.")
        called = f"The project '{url.render_as_string(hide_password=True)}'"
        if not make and (file := sqlite_file(url)) is not None and not file.is_file():
            raise LedgerError(f"{called} cannot be opened: there is no such file.")
        folder = Path(pixels).expanduser().absolute()
        ledger = cls(Database(url, called, make=make), folder)
        try:
            ledger._check_pixels(called)
            make_folder(folder)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def add(
        self,
        image: MedicalImage | Array,
        mask: Array,
        predicted: Array | None = None,
        model: str | None = None,
        spacing: tuple[float, ...] | None = None,
        group: str | None = None,
        effort: Effort | None = None,
        geometry: Geometry | None = None,
    ) -> CorrectionRecord:
        """Accept a mask for an image. On return both are on the disk, whatever happens next.

        Another mask for an image that is there already supersedes the earlier one, which is kept. An image that says
        no place, on the same grid, has the one that is known of it.

        Args:
            image: (..., Y, X) or (..., Y, X, C). A `MedicalImage` has its place and its time kept, too.
            mask: labels, of the image's shape without channels; 0 is background.
            predicted: the mask that the model had proposed, likewise.
            model: the version or card that had proposed it.
            spacing: overrides the image's own, along Z, Y, X; in mm unless the image names its unit.
            group: whatever tells one patient from another: only its salted hash is kept. None or blank: the
                image is a group of its own. An image keeps the group of its first correction.
            effort: what the correction cost.
            geometry: overrides where the image itself says that it lies in the patient, which a bare array cannot say;
                its spacing then is that of the image.

        Raises:
            ImageError: image and mask cannot be used; nothing was changed.
            AlreadyAccepted: the latest correction of this image is the same; nothing was changed.
            LedgerError, WriteError: it could not be kept; nothing was changed.
        """
        image = on_grid(as_image(image), spacing, geometry)
        mask = as_mask(mask, image)
        predicted = None if predicted is None else as_mask(predicted, image)
        row = Correction(
            image=self._pixels.put(image.data),
            mask=self._pixels.put(mask),
            predicted=None if predicted is None else self._pixels.put(predicted),
            axes=image.axes,
            spacing=list(image.spacing),
            unit=image.unit,
            model=model,
            seconds=None if effort is None else effort.seconds,
            edits=None if effort is None else effort.edits,
            place=place_of(image),
        )
        with self._database.writing() as session:
            earlier = _latest_of(session, row.image)
            if earlier is not None and not row.place and _grid(earlier) == _grid(row):
                row.place = earlier.place or {}
            if earlier is not None and _same(earlier, row):
                raise AlreadyAccepted(CorrectionRecord.of(earlier))
            row.group = self._group(group, row.image) if earlier is None else earlier.group
            session.add(row)
            session.flush()
            return CorrectionRecord.of(row)

    def corrections(self, *, all: bool = False) -> list[CorrectionRecord]:  # noqa: A002
        """Accepted corrections, oldest first: the latest of each image, or with `all` superseded ones too."""
        query = sa.select(Correction).order_by(Correction.id)
        if not all:
            query = query.where(Correction.id.in_(sa.select(sa.func.max(Correction.id)).group_by(Correction.image)))
        with self._database.reading() as session:
            return [CorrectionRecord.of(row) for row in session.scalars(query)]

    def split(self) -> tuple[list[CorrectionRecord], list[CorrectionRecord]]:
        """Latest corrections to learn from and to be judged by, see `split.held_out_groups`."""
        history = self.corrections(all=True)
        held_out = held_out_groups(record.group for record in history)
        latest = set({record.image_key: record.id for record in history}.values())
        current = [record for record in history if record.id in latest]
        return [r for r in current if r.group not in held_out], [r for r in current if r.group in held_out]

    def load_image(self, record: CorrectionRecord) -> MedicalImage:
        """The image of a correction, with its place; `LedgerError` if its pixels are missing or damaged."""
        return image_of(record, self._pixels.get(record.image_key))

    def load_mask(self, record: CorrectionRecord) -> Array:
        """The accepted mask: uint8, uint16 or uint32; `LedgerError` if its pixels are missing or damaged."""
        return self._pixels.get(record.mask_key)

    def load_predicted(self, record: CorrectionRecord) -> Array | None:
        """What the model had proposed, if anything; `LedgerError` if its pixels are missing or damaged."""
        return None if record.predicted_key is None else self._pixels.get(record.predicted_key)

    def models(self) -> list[ModelVersion]:
        """The versions that were fine-tuned here, oldest first."""
        return self._versions.all()

    def active(self) -> str:
        """Name of the model that segments now: a version of this project, or a shipped card."""
        return self._versions.active()

    def set_base(self, name: str) -> None:
        """Say which shipped card the project starts from ("nuclei" if nobody says)."""
        self._versions.set_base(name)

    def learn_every(self) -> int:
        """Fine-tune after so many accepted cases; 0 for only when asked."""
        return int(self._database.optional_setting("learn_every") or 0)

    def set_learn_every(self, cases: int) -> None:
        """Say after how many accepted cases to fine-tune; it holds for whoever opens the project next, too."""
        self._database.set("learn_every", str(cases))

    def activate(self, version: str, reason: str = "chosen by the user") -> None:
        """Make `version` (or a card that the project has started from) the model that segments.

        Raises:
            LedgerError: an unknown name, or damaged weights; the active one stays.
        """
        self._versions.activate(version, reason)

    def add_version(
        self,
        weights: bytes | Path | str,
        card: Mapping[str, Any] | str,
        base: str,
        metrics: Mapping[str, Any],
        reason: str,
        *,
        activate: bool,
        only_if_active: str | None = None,
    ) -> ModelVersion:
        """Keep fine-tuned weights as the next version, and make it the active one or not, in one step.

        Args:
            weights: contents of a safetensors file, or its path.
            card: what the model is; JSON or what JSON holds.
            base: the card or version that it was fine-tuned from.
            metrics: how it did on held-out corrections, before and after.
            reason: one sentence for the user: why it was promoted, or why not.
            activate: whether it becomes the model that segments.
            only_if_active: the model that it was compared with; `Overtaken` is raised if another one segments now.

        Raises:
            LedgerError, WriteError: it could not be kept; nothing was changed.
        """
        return self._versions.add(
            weights, card, base, metrics, reason, activate=activate, only_if_active=only_if_active
        )

    def weights(self, name: str) -> Path:
        """The file of a version's weights, checked against its hash; `LedgerError` if it is not what was added."""
        return self._versions.weights(name)

    def reference(self, model: str) -> str:
        """What `load_model` takes for a model: the weights file of a version, any other name as it is."""
        return self._versions.reference(model)

    def start_job(self, base: str, config: Mapping[str, Any]) -> JobRecord:
        """Queue a fine-tuning of `base`; `LedgerError` if one is queued or running."""
        return self._jobs.start(base, config)

    def update_job(
        self,
        job_id: str,
        *,
        state: str | None = None,
        progress: float | None = None,
        message: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> JobRecord:
        """Change what is given of a job; `LedgerError` for an unknown one, or another state of one that ended."""
        return self._jobs.update(job_id, state=state, progress=progress, message=message, result=result)

    def job(self, job_id: str) -> JobRecord:
        """A fine-tuning as it stands now; `LedgerError` for an unknown one."""
        return self._jobs.get(job_id)

    def unfinished_job(self) -> JobRecord | None:
        """The fine-tuning that is queued or running."""
        return self._jobs.unfinished()

    def job_folder(self, job_id: str) -> Path:
        """The folder of a job's checkpoints, made if missing; `LedgerError` for an unknown job."""
        return self._jobs.folder(job_id)

    def changes(self) -> int:
        """Rises with every commit of any process; cheap, for a window that polls."""
        return int(self._database.setting("changes"))

    def verify(self) -> list[str]:
        """Read everything the project refers to; one sentence for each thing that is missing or damaged."""
        problems = []
        records = self.corrections(all=True)
        keys = [key for r in records for key in (r.image_key, r.mask_key, r.predicted_key) if key is not None]
        for check, name in [
            *((self._pixels.get, key) for key in dict.fromkeys(keys)),
            *((self.weights, version.name) for version in self.models()),
        ]:
            try:
                check(name)
            except LedgerError as error:
                problems.append(str(error))
        return problems

    def close(self) -> None:
        """Let go of the project; what is called later raises `LedgerError`."""
        self._database.close()

    def __enter__(self) -> Self:
        """The ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _check_pixels(self, called: str) -> None:
        """Refuse a folder with none of the project's pixels: what is accepted would be kept apart from the rest."""
        newest = sa.select(Correction.image).order_by(Correction.id.desc()).limit(_LOOKED_AT)
        with self._database.reading() as session:
            keys = list(session.scalars(newest))
        with explained(self.folder):
            there = any(self._pixels.holds(key) for key in keys)
        if keys and not there:
            raise LedgerError(
                f"{called} has its pixels in another folder than '{self.folder}'. Nothing was changed; give the folder "
                "that was given when its cases were accepted."
            )

    def _group(self, group: str | None, image_key: str) -> str:
        """DICOM pads patient ids with spaces, and anonymised ones are blank; file names may hold any bytes."""
        given = (group or "").strip()
        text = f"given {given}" if given else f"image {image_key}"
        return hmac.new(self._salt, text.encode(errors="surrogatepass"), "sha256").hexdigest()


def _latest_of(session: Session, image_key: str) -> Correction | None:
    query = sa.select(Correction).where(Correction.image == image_key).order_by(Correction.id.desc())
    return session.scalar(query.limit(1))


def _grid(row: Correction) -> tuple[str, list[float], str]:
    return row.axes, row.spacing, row.unit


def _same(earlier: Correction, row: Correction) -> bool:
    """The same mask on the same grid and at the same place, another one of which changes what is written of it."""
    return (earlier.mask, _grid(earlier), earlier.place or {}) == (row.mask, _grid(row), row.place)
