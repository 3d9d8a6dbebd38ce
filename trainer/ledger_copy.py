"""Looking at a project without touching it: a copy of its ledger is opened, and the pixels are read where they are.

Who opens SQLite's file changes its folder even for reading: a write-ahead log and its index come and go, and what a
killed window left there is put into the file. The copy has the log with it, so it says what the next window would see.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from napari_medseg.models.errors import LedgerError

from .database import Database
from .ledger import Ledger
from .schema import FORMAT, SCHEMA, Setting

NAME = "ledger.sqlite"
LOGS = ("-wal", "-journal")
"""Endings of what SQLite keeps beside a database and needs to understand it."""

CALLED = "The project"
"""How sentences call it: the names of folders may be those of patients."""

_TRIES, _PAUSE = 5, 0.1  # s; a commit takes milliseconds
_MOST = 20  # faults that are listed


@dataclass(frozen=True)
class LedgerCopy:
    """A copy of a ledger.

    Attributes:
        folder: of the project itself.
        database: the copied file.
        still: whether nobody wrote into the ledger while it was copied.
        log_size: bytes of what was not put into the file yet: a window is open, or was killed.
    """

    folder: Path
    database: Path
    still: bool
    log_size: int

    def faults(self) -> list[str]:
        """What SQLite finds wrong in the file, in its own words; nothing if it is whole."""
        try:
            with contextlib.closing(sqlite3.connect(self.database)) as connection:
                said = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST})")]
        except sqlite3.Error as error:
            return [str(error)]
        return [line for text in said for line in text.splitlines() if line != "ok"]

    def format(self) -> int | None:
        """Number of the form in which the ledger is written, see `schema.SCHEMA`; None if it is no ledger."""
        try:
            with contextlib.closing(sqlite3.connect(self.database)) as connection:
                facts = dict(connection.execute(f"SELECT key, value FROM {Setting.__tablename__}").fetchall())  # noqa: S608
        except sqlite3.Error:
            return None
        number = str(facts.get("schema", ""))
        return int(number) if facts.get("format") == FORMAT and number.isdecimal() else None

    def ledger(self) -> Ledger:
        """The project, as far as it is only read; close it.

        Raises:
            LedgerError: it is not one, or a newer one, or damaged.
        """
        return Ledger(Database(sa.URL.create("sqlite", database=str(self.database)), CALLED), self.folder)


@contextlib.contextmanager
def ledger_copy(folder: Path, file: Path | None = None) -> Iterator[LedgerCopy]:
    """A copy of a project's ledger, which goes at the end of the block.

    Args:
        folder: of the project; nothing in it is changed.
        file: of its database, if it is not in the folder.

    Raises:
        LedgerError: it cannot be read, or there is no room for the copy.
    """
    source = file or folder / NAME
    with tempfile.TemporaryDirectory(prefix="medseg-ledger-", ignore_cleanup_errors=True) as place:
        copy = Path(place) / NAME
        try:
            still = _copied_at_rest(source, copy) or any(_copied_later(source, copy) for _ in range(_TRIES))
        except OSError as error:
            raise LedgerError(f"The ledger cannot be read: {error.strerror or type(error).__name__}.") from error
        log_size = sum(_beside(copy, ending).stat().st_size for ending in LOGS if _beside(copy, ending).is_file())
        yield LedgerCopy(folder, copy, still, log_size)


def existing_ledger(url: str, pixels: Path) -> Ledger:
    """The project in a database on a server, if there is one; none is made. Close it.

    Args:
        url: of the database, see `Ledger.open`.
        pixels: the folder of its pixels, weights and checkpoints.

    Raises:
        LedgerError: there is none, it is a newer one, an older one, which opening would bring up to date, or the server
            does not answer.
    """
    try:
        engine = sa.create_engine(sa.make_url(url), hide_parameters=True)
    except (ImportError, sa.exc.ArgumentError) as error:
        raise LedgerError(
            f"This is not the address of a database, or its driver is not installed ({error})."
        ) from error
    try:
        with engine.connect() as connection:
            there = sa.inspect(connection).has_table(Setting.__tablename__)
            form = connection.scalar(sa.select(Setting.value).where(Setting.key == "schema")) if there else None
    except sa.exc.SQLAlchemyError as error:
        raise LedgerError(
            "The project's database does not answer. Is its server running, and may you use it?"
        ) from error
    finally:
        engine.dispose()
    if not there:
        raise LedgerError("There is no project in this database.")
    if form is not None and form.isdecimal() and int(form) < SCHEMA:
        raise LedgerError(
            f"The project in this database was written by an older MedSeg (form {form}; this one writes {SCHEMA}). Any "
            "other command brings it up to date, after which older versions do not open it."
        )
    return Ledger(Database(sa.make_url(url), CALLED), pixels)


def _copied_at_rest(source: Path, copy: Path) -> bool:
    """Copy a database with its logs; whether nobody wrote meanwhile."""
    before = _state(source)
    for ending in LOGS:
        _beside(copy, ending).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(_beside(source, ending), _beside(copy, ending))
    shutil.copyfile(source, copy)
    return before == _state(source)


def _copied_later(source: Path, copy: Path) -> bool:
    time.sleep(_PAUSE)
    return _copied_at_rest(source, copy)


def _state(source: Path) -> list[tuple[int, int] | None]:
    """Size and time of a database and its logs; None for what is not there."""
    states: list[tuple[int, int] | None] = []
    for ending in ("", *LOGS):
        try:
            about = _beside(source, ending).stat()
            states.append((about.st_size, about.st_mtime_ns))
        except FileNotFoundError:
            states.append(None)
    return states


def _beside(database: Path, ending: str) -> Path:
    return database.with_name(f"{database.name}{ending}")
