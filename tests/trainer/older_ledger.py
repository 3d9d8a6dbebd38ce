"""A ledger as it was before it kept places."""

import sqlalchemy as sa

from napari_medseg.trainer.ledger import Ledger


def made_older(ledger: Ledger) -> None:
    """Give a ledger the tables of schema 1, with the rows that it has."""
    with ledger._database.writing() as session:
        session.execute(sa.text("ALTER TABLE correction DROP COLUMN place"))
        session.execute(sa.text("UPDATE setting SET value = '1' WHERE key = 'schema'"))
