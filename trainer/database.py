"""The database under a ledger: who may write when, and what to say when it fails."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from napari_medseg.models.errors import LedgerError

from . import migrations, schema
from .schema import Setting

BUSY_SECONDS = 10.0
"""How long a transaction waits for another process's; theirs take milliseconds."""

_log = logging.getLogger(__name__)
_NEWER = "It was written by a newer napari-medseg; nothing was changed. Update napari-medseg to open it."
_FOREIGN = "It is not a napari-medseg project; nothing was changed. Choose another place."
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full. Free some space and try again",
    sqlite3.SQLITE_BUSY: "another program holds it. Close other windows that use this project, then try again",
    sqlite3.SQLITE_LOCKED: "another program holds it. Close other windows that use this project, then try again",
    sqlite3.SQLITE_READONLY: "you may not write there. Ask for write permission or choose another folder",
    sqlite3.SQLITE_PERM: "you may not write there. Ask for write permission or choose another folder",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened. Check that you may read and write in its folder",
    sqlite3.SQLITE_NOTADB: "its file is not a ledger, or is damaged. Choose another folder, or restore a copy of it",
    sqlite3.SQLITE_CORRUPT: "its file is damaged. Copy the project's folder before doing anything else, "
    "and restore the ledger from an older copy",
    sqlite3.SQLITE_IOERR: "its disk failed or refused a larger file. Check the disk and your quota, then try again",
}


class Database:
    """Transactions on a ledger's tables, from any thread of any process.

    Writers queue: on SQLite through BEGIN IMMEDIATE, elsewhere through a lock on one row. So what a writing
    transaction reads still holds when it commits.

    Args:
        url: of SQLite, or of any server that SQLAlchemy speaks to.
        called: how error messages call it.
        make: whether to make the tables in an empty database.

    Raises:
        LedgerError: no permission, somebody else's database, a newer ledger, ...; it is left as it was.
    """

    def __init__(self, url: sa.URL, called: str, *, make: bool = True) -> None:
        self._called = called
        self._closed = False
        try:
            # Parameters stay hidden: a log is no place for what is in a project.
            self._engine = sa.create_engine(url, hide_parameters=True)
        except (ImportError, sa.exc.ArgumentError) as error:
            raise LedgerError(
                f"{called} cannot be opened: the driver for '{url.drivername}' is not installed, or its address is "
                f"wrong ({error}). Nothing was changed."
            ) from error
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _configure)
            event.listen(self._engine, "begin", _begin)
        self._writer = self._engine.execution_options(medseg_begin="BEGIN IMMEDIATE")
        try:
            with self._explained("opened"):
                self._open(make=make)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A view of one moment, that no writer waits for."""
        with self._explained("read"), Session(self._engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """All that happens in this block, or nothing of it; on the disk when the block ends."""
        with self._explained("changed"), Session(self._writer) as session, session.begin():
            counter = session.scalars(sa.select(Setting).where(Setting.key == "changes").with_for_update()).one()
            counter.value = str(int(counter.value) + 1)
            yield session

    def setting(self, key: str) -> str:
        """A fact about the project."""
        with self.reading() as session:
            return session.scalars(sa.select(Setting.value).where(Setting.key == key)).one()

    def optional_setting(self, key: str) -> str | None:
        """A wish of the user's for the project, if there is one."""
        with self.reading() as session:
            return session.scalars(sa.select(Setting.value).where(Setting.key == key)).one_or_none()

    def set(self, key: str, value: str) -> None:
        """Keep a wish of the user's for the project."""
        with self.writing() as session:
            session.merge(Setting(key=key, value=value))

    def close(self) -> None:
        """Let go of the database; what is called later raises `LedgerError`."""
        self._closed = True
        self._engine.dispose()

    def _open(self, *, make: bool) -> None:
        """Look before touching: a database that is not ours, or too new, keeps every byte."""
        with Session(self._engine) as session:
            found = self._examine(session)
        if not found and not make:
            raise LedgerError(f"{self._called} cannot be opened: its database is empty.")
        if self._engine.dialect.name == "sqlite":
            self._use_write_ahead_log()
        if found:
            if found < schema.SCHEMA:
                with Session(self._writer) as session, session.begin():
                    migrations.migrate(session)
            return
        try:
            self._make_tables()
        except sa.exc.DBAPIError:
            with Session(self._engine) as session:
                if not self._examine(session):  # else another process made them first; a server does not make it wait
                    raise

    def _make_tables(self) -> None:
        with Session(self._writer) as session, session.begin():
            if not self._examine(session):
                schema.Base.metadata.create_all(session.connection())
                facts = {"format": schema.FORMAT, "schema": str(schema.SCHEMA), "salt": secrets.token_hex(32)}
                facts |= {"base": "nuclei", "changes": "0"}
                session.add_all(Setting(key=key, value=value) for key, value in facts.items())

    def _examine(self, session: Session) -> int:
        """The schema of the ledger, 0 of an empty database; raises unless it is one that this version knows."""
        tables = sa.inspect(session.connection()).get_table_names()
        if not tables:
            return 0
        if Setting.__tablename__ not in tables:
            raise LedgerError(f"{self._called} cannot be opened. {_FOREIGN}")
        try:
            facts = dict(session.execute(sa.select(Setting.key, Setting.value)).all())
        except sa.exc.DBAPIError as error:
            if _code(error) not in (sqlite3.SQLITE_ERROR, None):
                raise
            raise LedgerError(f"{self._called} cannot be opened. {_FOREIGN}") from error
        known = facts.get("schema", "").isdecimal() and int(facts["schema"]) > 0
        if facts.get("format") != schema.FORMAT or not known:
            raise LedgerError(f"{self._called} cannot be opened. {_FOREIGN}")
        if int(facts["schema"]) > schema.SCHEMA:
            raise LedgerError(f"{self._called} cannot be opened. {_NEWER}")
        return int(facts["schema"])

    def _use_write_ahead_log(self) -> None:
        """Readers and the writer then do not wait for each other. The file remembers it."""
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            deadline = time.monotonic() + BUSY_SECONDS
            while cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                try:
                    cursor.execute("PRAGMA journal_mode = WAL")
                except sqlite3.OperationalError as error:
                    # SQLite does not wait by itself when two processes make this change at once.
                    if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)
        finally:
            connection.close()

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Turn a failure of the database in this block into a sentence."""
        if self._closed:
            raise LedgerError(f"{self._called} was closed. Open it again.")
        try:
            yield
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            _log.exception("%s could not be %s", self._called, done)
            code = _code(error)
            reason = _REASONS.get(code if code is not None else -1, _own_words(error))
            raise LedgerError(
                f"{self._called} could not be {done}: {reason}. "
                "Nothing was changed, and what was accepted before is kept."
            ) from error


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # `_begin` starts the transactions, not Python's sqlite3
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("medseg_begin", "BEGIN"))


def _code(error: BaseException) -> int | None:
    """SQLite's primary result code, e.g. SQLITE_FULL."""
    return _primary(error.orig) if isinstance(error, sa.exc.DBAPIError) else _primary(error)


def _primary(error: BaseException | None) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _own_words(error: BaseException) -> str:
    """The first line of what the database said; SQLAlchemy's own text would quote the statement."""
    said = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()
    return f"the database said: {said[0] if said else type(error).__name__}"
