"""The tables of a ledger. Rows are added, never changed or deleted; only settings and jobs move.

No table holds a name, a path or a tag of a patient: images are named by their pixels, patients by salted hashes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, DateTime, Dialect, Index, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

FORMAT = "napari-medseg ledger"
SCHEMA = 2
"""Raised by one with every change of the tables, see `migrations`; a ledger of a higher one is not touched."""

UNFINISHED = ("queued", "running")
STATES = (*UNFINISHED, "done", "failed", "cancelled")


class Utc(TypeDecorator[datetime]):
    """A time with its zone, also in SQLite, which keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """This moment, UTC."""
    return datetime.now(UTC)


def as_json(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A copy as it will be read back: NumPy's and torch's numbers and arrays become plain ones."""
    copy: dict[str, Any] = json.loads(json.dumps(dict(facts), default=lambda value: value.tolist()))
    return copy


class Base(DeclarativeBase):
    """All tables of a ledger."""

    type_annotation_map = {datetime: Utc, dict[str, Any]: JSON, list[float]: JSON}  # noqa: RUF012 (SQLAlchemy's own form)


class Setting(Base):
    """Facts about the project: "format", "schema", "salt", "base", and "changes", which counts the commits."""

    __tablename__ = "setting"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Correction(Base):
    """A mask that a person accepted for an image. The row with the highest id of an image is the one that holds."""

    __tablename__ = "correction"
    __table_args__ = (Index("correction_by_image", "image", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    created: Mapped[datetime] = mapped_column(default=now)
    image: Mapped[str] = mapped_column(String(64))  # pixel key, as the next two
    mask: Mapped[str] = mapped_column(String(64))
    predicted: Mapped[str | None] = mapped_column(String(64))
    axes: Mapped[str] = mapped_column(String(5))
    spacing: Mapped[list[float]]  # along Z, Y, X (those that axes has)
    unit: Mapped[str] = mapped_column(String(32))
    model: Mapped[str | None] = mapped_column(String(255))  # version or card that predicted
    group: Mapped[str] = mapped_column(String(64))  # salted SHA-256
    seconds: Mapped[float | None]  # time spent on correcting
    edits: Mapped[int | None]  # strokes, clicks and tools used
    place: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # see places; null before schema 2


class Version(Base):
    """Weights that were fine-tuned in this project, and how they did."""

    __tablename__ = "version"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    created: Mapped[datetime] = mapped_column(default=now)
    name: Mapped[str] = mapped_column(String(32), unique=True)
    base: Mapped[str] = mapped_column(String(255))
    weights: Mapped[str] = mapped_column(String(64))  # SHA-256 of the file
    card: Mapped[str] = mapped_column(Text)  # JSON, as in the file beside the weights
    metrics: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(Text)


class Activation(Base):
    """A model became the active one. The last row is the one that holds."""

    __tablename__ = "activation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    created: Mapped[datetime] = mapped_column(default=now)
    version: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)


class Job(Base):
    """A fine-tuning, from the request to its end."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES}", name="known_state"),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress_is_a_fraction"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    created: Mapped[datetime] = mapped_column(default=now)
    updated: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    state: Mapped[str] = mapped_column(String(16), default="queued")
    base: Mapped[str] = mapped_column(String(255))
    message: Mapped[str] = mapped_column(Text, default="")
    progress: Mapped[float] = mapped_column(default=0.0)
    config: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
