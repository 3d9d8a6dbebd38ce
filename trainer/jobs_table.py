"""The fine-tunings of a project: what was asked for, how far it is, and how it ended."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from napari_medseg.models.durable import make_folder
from napari_medseg.models.errors import LedgerError

from .database import Database
from .records import JobRecord
from .schema import STATES, UNFINISHED, Job, as_json, now


class JobsTable:
    """Rows that outlive the window and the trainer; `folder/jobs/<id>` has a job's checkpoints."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder / "jobs"

    def start(self, base: str, config: Mapping[str, Any]) -> JobRecord:
        """Queue a fine-tuning, unless one is under way: two would start from the same version."""
        with self._database.writing() as session:
            current = _unfinished(session)
            if current is not None:
                raise LedgerError(
                    f"This project is learning already: a fine-tuning of {current.base} is {current.state} "
                    f"({current.progress:.0%}). Wait for it or cancel it; nothing was changed."
                )
            row = Job(id=uuid.uuid4().hex, base=base, config=as_json(config))
            session.add(row)
            session.flush()
            return JobRecord.of(row)

    def update(
        self,
        job_id: str,
        *,
        state: str | None = None,
        progress: float | None = None,
        message: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> JobRecord:
        """Change what is given, see `Ledger.update_job`."""
        if state is not None and state not in STATES:
            raise ValueError(f"state {state!r}; allowed are {', '.join(STATES)}")
        if progress is not None and not 0 <= progress <= 1:
            raise ValueError(f"progress {progress}; allowed is 0 to 1")
        with self._database.writing() as session:
            row = _found(session, job_id)
            if state not in (None, row.state) and row.state not in UNFINISHED:
                raise LedgerError(f"This fine-tuning is {row.state} already and cannot become {state}.")
            row.state = row.state if state is None else state
            row.progress = row.progress if progress is None else float(progress)
            row.message = row.message if message is None else message
            row.result = row.result if result is None else as_json(result)
            row.updated = now()  # a sign of life, even if nothing else changed
            session.flush()
            return JobRecord.of(row)

    def get(self, job_id: str) -> JobRecord:
        """As it stands now."""
        with self._database.reading() as session:
            return JobRecord.of(_found(session, job_id))

    def unfinished(self) -> JobRecord | None:
        """The one that is queued or running."""
        with self._database.reading() as session:
            row = _unfinished(session)
            return None if row is None else JobRecord.of(row)

    def folder(self, job_id: str) -> Path:
        """Made if missing. Only the id of a known job becomes part of a path."""
        path = self._folder / self.get(job_id).id
        make_folder(path)
        return path


def _unfinished(session: Session) -> Job | None:
    return session.scalar(sa.select(Job).where(Job.state.in_(UNFINISHED)).order_by(Job.created).limit(1))


def _found(session: Session, job_id: str) -> Job:
    row = session.get(Job, job_id)
    if row is None:
        raise LedgerError(f"This project has no fine-tuning {job_id!r}. Nothing was changed.")
    return row
