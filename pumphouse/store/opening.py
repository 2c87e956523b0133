"""Opening the store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from pumphouse.errors import DatabaseError
from pumphouse.store import schema
from pumphouse.store.claims import ClaimTable, MigrationClaims
from pumphouse.store.database import Database, cannot_open, open_database
from pumphouse.store.evacuations import Evacuations
from pumphouse.store.events import Events
from pumphouse.store.ids import IdTable, MigrationIds
from pumphouse.store.inventories import Inventories
from pumphouse.store.journal import JournalTable, UnitJournal
from pumphouse.store.migrations import MigrationRecord, Migrations
from pumphouse.store.operations import Operations
from pumphouse.store.plans import Plans
from pumphouse.store.units import Units
from pumphouse.store.waves import Waves
from pumphouse.store.wishes import Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The store's tables, one attribute for each group. Safe to use from several threads.

    :meth:`guard` is for TaskFlow's tables, which live beside the store's through ``engine``.
    """

    database: Database
    inventories: Inventories
    plans: Plans
    migrations: Migrations
    units: Units
    journal: JournalTable
    ids: IdTable
    events: Events
    claims: ClaimTable
    wishes: Wishes
    evacuations: Evacuations
    waves: Waves
    operations: Operations

    @property
    def engine(self) -> sa.Engine:
        """The engine that may write."""
        return self.database.writer

    def journal_of(self, migration: str, unit: str, *, epoch: int, plan: str = "") -> UnitJournal:
        """The journal for the steps of one unit of the run that carries out a plan, fenced by the epoch.

        Without a plan it is of what belongs to no run: finalising, say.
        """
        return UnitJournal(table=self.journal, migration=migration, plan=plan, unit=unit, epoch=epoch)

    def ids_of(self, migration: MigrationRecord) -> MigrationIds:
        """The id map for the steps of a migration."""
        return MigrationIds(
            table=self.ids,
            source=migration.source,
            destination=migration.destination,
            migration=migration.id,
        )

    def claims_of(self, migration: MigrationRecord) -> MigrationClaims:
        """The claims for the steps of a migration."""
        return MigrationClaims(table=self.claims, destination=migration.destination, migration=migration.id)

    def guard(self) -> AbstractContextManager[None]:
        """Held while tables are made or changed, so that two processes do not do it at once."""
        return schema.guard(self.engine)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url: str) -> Store:
    """The store at this SQLAlchemy URL, made or brought up to date if need be.

    :raises BadConfig: the URL cannot be used.
    :raises CannotOpen: the database cannot be reached, or is none of ours.
    :raises SchemaError: a newer version of pumphouse made it.
    """
    database = open_database(url)
    try:
        schema.upgrade(database.writer)
    except (DatabaseError, TypeError) as error:  # a driver's for an option in the URL that it does not know
        database.close()
        raise cannot_open(database.writer, error) from error
    except BaseException:
        database.close()
        raise
    return Store(
        database=database,
        inventories=Inventories(database),
        plans=Plans(database),
        migrations=Migrations(database),
        units=Units(database),
        journal=JournalTable(database),
        ids=IdTable(database),
        events=Events(database),
        wishes=Wishes(database),
        evacuations=Evacuations(database),
        waves=Waves(database),
        operations=Operations(database),
        claims=ClaimTable(database),
    )
