"""Which migration makes a resource that several need at once, so that it is made once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.model import Ref
from pumphouse.store.database import Database, retried
from pumphouse.store.models import ClaimRow, MigrationRow
from pumphouse.store.states import MigrationState


class ClaimTable:
    """The claims on all destinations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def claim(self, destination: str, ref: Ref, migration: str) -> str:
        """Claim a resource; the migration that has the claim now: this one, or the one that came first.

        The claim of a migration that has ended passes to the next that asks.
        """
        now = datetime.now(UTC)
        with Session(self._database.writer) as session, session.begin():
            query = sa.select(ClaimRow).where(*_is(destination, ref)).with_for_update()
            row = session.scalars(query).first()
            if row is None:
                key = {"destination": destination, "type": ref.type, "source_id": ref.id}
                session.add(ClaimRow(**key, migration=migration, at=now))
            elif row.migration != migration and _ended(session, row.migration):
                row.migration, row.at = migration, now
            else:
                return row.migration
        return migration

    @retried
    def release(self, destination: str, ref: Ref, migration: str) -> None:
        """Give a claim up; fine if it is another's."""
        with Session(self._database.writer) as session, session.begin():
            session.execute(
                sa.delete(ClaimRow).where(*_is(destination, ref), ClaimRow.migration == migration)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationClaims:
    """The claims as the steps of one migration see them: :class:`pumphouse.context.Claims`."""

    table: ClaimTable
    destination: str
    migration: str

    def claim(self, ref: Ref) -> str | None:
        """None when the claim is this migration's; else the one that has it."""
        holder = self.table.claim(self.destination, ref, self.migration)
        return None if holder == self.migration else holder

    def release(self, ref: Ref) -> None:
        """Give it up, so that others go on."""
        self.table.release(self.destination, ref, self.migration)


def _is(destination: str, ref: Ref) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        ClaimRow.destination == destination,
        ClaimRow.type == ref.type,
        ClaimRow.source_id == ref.id,
    )


def _ended(session: Session, migration: str) -> bool:
    state = session.scalar(sa.select(MigrationRow.state).where(MigrationRow.id == migration))
    return state is None or MigrationState(state).ended
