"""Ledgers of older versions, brought up to date when they are opened: columns are added, and no row is touched."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateColumn

from .schema import SCHEMA, Correction, Setting

ADDED: dict[int, tuple[sa.Column[object], ...]] = {2: (sa.inspect(Correction).columns["place"],)}
"""Columns that came with each schema. What is in them is null in rows of before."""


def migrate(session: Session) -> None:
    """Bring the tables up to `SCHEMA`, in a writing transaction: all of it happens or nothing.

    Processes that do so at once wait for each other on the row that says which schema it is.
    """
    query = sa.select(Setting).where(Setting.key == "schema").with_for_update()
    setting = session.scalars(query.execution_options(populate_existing=True)).one()
    connection = session.connection()
    for schema in range(int(setting.value) + 1, SCHEMA + 1):
        for column in ADDED[schema]:
            described = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {described}")
    setting.value = str(SCHEMA)
