"""The models of a project: which versions it has, and which one segments."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from napari_medseg.models.durable import explained, sync_folder, write
from napari_medseg.models.errors import LedgerError

from .database import Database
from .records import ModelVersion
from .schema import Activation, Setting, Version, as_json


class Overtaken(LedgerError):  # noqa: N818 (nothing is wrong)
    """Another model was made active than the one that a new version was compared with."""


_VERSION_NAME = re.compile(r"v[0-9]+")


class Versions:
    """`folder/versions/<name>.safetensors` and `.json` (the card), and what the database knows of them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder / "versions"

    def all(self) -> list[ModelVersion]:
        """Oldest first."""
        with self._database.reading() as session:
            active = _active(session)
            return [self._record(row, active) for row in session.scalars(sa.select(Version).order_by(Version.id))]

    def active(self) -> str:
        """Name of the version or card that segments now."""
        with self._database.reading() as session:
            return _active(session)

    def set_base(self, name: str) -> None:
        """Say which shipped card the project starts from.

        Raises:
            LedgerError: a name like "v1", which only versions have, or no name.
        """
        if not name.strip() or _VERSION_NAME.fullmatch(name):
            raise LedgerError(f"A project cannot start from {name!r}; name a shipped model. Nothing was changed.")
        self._database.set("base", name)

    def activate(self, name: str, reason: str) -> None:
        """Make a version of this project, or a card that it has started from, the one that segments.

        Raises:
            LedgerError: an unknown name, or a version whose weights are damaged; the active one stays.
        """
        with self._database.reading() as session:
            versions, cards = _known(session)
        if name not in versions and name not in cards:
            raise LedgerError(
                f"This project has no model {name!r}; it has {', '.join([*versions, *cards])}. Nothing was changed."
            )
        if name in versions:
            self.weights(name)
        with self._database.writing() as session:
            session.add(Activation(version=name, reason=reason))

    def add(
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
        """Keep fine-tuned weights under the next free name, see `Ledger.add_version`."""
        content = weights if isinstance(weights, bytes) else _read(Path(weights))
        card_text = card if isinstance(card, str) else json.dumps(as_json(card), indent=2)
        if not isinstance(json.loads(card_text), dict):
            raise ValueError("a card is a JSON object")
        # Hundreds of megabytes are written before the transaction, so that nobody waits for them; under the
        # lock they only take the name. What a crash leaves under a name is not in the database, so the next
        # version that gets the name replaces it.
        waiting = self._folder / f"incoming-{secrets.token_hex(8)}.safetensors"
        write(waiting, content)
        try:
            with self._database.writing() as session:
                if only_if_active not in (None, active := _active(session)):
                    raise Overtaken(f"{active} was made active meanwhile, not {only_if_active}. Nothing was changed.")
                name = f"v{1 + (session.scalar(sa.select(sa.func.count(Version.id))) or 0)}"
                write(self._path(name).with_suffix(".json"), card_text.encode())
                with explained(self._path(name)):
                    waiting.replace(self._path(name))
                    sync_folder(self._folder)
                row = Version(
                    name=name,
                    base=base,
                    weights=hashlib.sha256(content).hexdigest(),
                    card=card_text,
                    metrics=as_json(metrics),
                    reason=reason,
                )
                session.add(row)
                if activate:
                    session.add(Activation(version=name, reason=reason))
                session.flush()
                return self._record(row, _active(session))
        finally:
            with contextlib.suppress(OSError):
                waiting.unlink(missing_ok=True)

    def weights(self, name: str) -> Path:
        """The safetensors file of a version, read and found to be the one that was added.

        Raises:
            LedgerError: not a version of this project, or its file is missing, truncated or changed.
        """
        with self._database.reading() as session:
            versions, _ = _known(session)
            expected = session.scalar(sa.select(Version.weights).where(Version.name == name))
        if expected is None:
            raise LedgerError(
                f"This project keeps no weights of a model {name!r}; its own versions are: "
                f"{', '.join(versions) or 'none yet'}."
            )
        path = self._path(name)
        if _hash(path) != expected:
            raise LedgerError(
                f"The weights of {name} are damaged: '{path}' was truncated or changed after it was written. "
                "It was left as it is; put it back from a copy of the project, or activate another version."
            )
        return path

    def reference(self, model: str) -> str:
        """What the engine and `load_model` take for a model, see `Ledger.reference`."""
        with self._database.reading() as session:
            versions, _ = _known(session)
        return str(self.weights(model)) if model in versions else model

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"

    def _record(self, row: Version, active: str) -> ModelVersion:
        return ModelVersion(
            name=row.name,
            created=row.created,
            base=row.base,
            path=self._path(row.name),
            sha256=row.weights,
            card=json.loads(row.card),
            metrics=dict(row.metrics),
            reason=row.reason,
            active=row.name == active,
        )


def _active(session: Session) -> str:
    last = session.scalar(sa.select(Activation.version).order_by(Activation.id.desc()).limit(1))
    return last if last is not None else _base(session)


def _base(session: Session) -> str:
    return session.scalars(sa.select(Setting.value).where(Setting.key == "base")).one()


def _known(session: Session) -> tuple[list[str], list[str]]:
    """The versions, and the cards that the project starts from or that versions were made from."""
    versions = list(session.scalars(sa.select(Version.name).order_by(Version.id)))
    used = [
        _base(session),
        *session.scalars(sa.select(Version.base).order_by(Version.id)),
        *session.scalars(sa.select(Activation.version).order_by(Activation.id)),
    ]
    return versions, [name for name in dict.fromkeys(used) if name not in versions]


def _read(path: Path) -> bytes:
    with _explained(path):
        return path.read_bytes()


def _hash(path: Path) -> str:
    """SHA-256 of a file, read in parts: the weights of a large network take a gigabyte."""
    with _explained(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What went wrong with reading weights, in words."""
    try:
        yield
    except OSError as error:
        raise LedgerError(
            f"The weights '{path}' cannot be read: {error.strerror or error}. Nothing was changed; put the file back "
            "from a copy of the project, or use another version."
        ) from error
