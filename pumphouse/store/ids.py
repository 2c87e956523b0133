"""Which destination id stands for a source's resource, between two clouds."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.model import Ref
from pumphouse.store.database import Database, retried
from pumphouse.store.models import IdRow


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRecord:
    """One pair of ids. ``migration`` is the one that wrote it, ``made`` whether it made the resource."""

    ref: Ref
    destination_id: str
    migration: str
    made: bool


class IdTable:
    """The id maps of all pairs of clouds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def get(self, source: str, destination: str, ref: Ref) -> IdRecord | None:
        """What stands for a resource; None if nothing does."""
        with Session(self._database.reader) as session:
            row = session.get(IdRow, (source, destination, ref.type, ref.id))
            return None if row is None else _record(row)

    @retried
    def all(self, source: str, destination: str) -> dict[Ref, IdRecord]:
        """The whole map between two clouds."""
        query = (
            sa.select(IdRow)
            .where(IdRow.source == source, IdRow.destination == destination)
            .order_by(IdRow.type, IdRow.source_id)
        )
        with Session(self._database.reader) as session:
            return {record.ref: record for record in map(_record, session.scalars(query))}

    @retried
    def stands(self, source: str, destination: str, type_name: str, destination_id: str) -> bool:
        """Whether this id of the destination stands for anything of a type on the source."""
        query = sa.select(IdRow.source_id).where(
            IdRow.source == source,
            IdRow.destination == destination,
            IdRow.type == type_name,
            IdRow.destination_id == destination_id,
        )
        with Session(self._database.reader) as session:
            return session.scalars(query).first() is not None

    @retried
    def put(
        self, source: str, destination: str, ref: Ref, destination_id: str, *, migration: str, made: bool
    ) -> None:
        """Write a pair of ids, in place of an earlier one."""
        with Session(self._database.writer) as session, session.begin():
            session.merge(
                IdRow(
                    source=source,
                    destination=destination,
                    type=ref.type,
                    source_id=ref.id,
                    destination_id=destination_id,
                    migration=migration,
                    made=made,
                )
            )

    @retried
    def remove(self, source: str, destination: str, ref: Ref) -> None:
        """Forget a pair of ids; fine if there is none."""
        with Session(self._database.writer) as session, session.begin():
            session.execute(
                sa.delete(IdRow).where(
                    IdRow.source == source,
                    IdRow.destination == destination,
                    IdRow.type == ref.type,
                    IdRow.source_id == ref.id,
                )
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationIds:
    """The id map as the steps of one migration see it: :class:`pumphouse.context.IdMap`.

    What has been found is remembered: a step asks for the ids of all that it refers to. What has not is
    asked for again, since another migration may be making it.
    """

    table: IdTable
    source: str
    destination: str
    migration: str
    _known: dict[Ref, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def get(self, ref: Ref) -> str | None:
        known = self._known.get(ref)
        if known is None:
            found = self.table.get(self.source, self.destination, ref)
            if found is None:
                return None
            known = self._known[ref] = found.destination_id
        return known

    def put(self, ref: Ref, destination_id: str, *, made: bool) -> None:
        self.table.put(
            self.source, self.destination, ref, destination_id, migration=self.migration, made=made
        )
        self._known[ref] = destination_id

    def remove(self, ref: Ref) -> None:
        self._known.pop(ref, None)
        self.table.remove(self.source, self.destination, ref)


def _record(row: IdRow) -> IdRecord:
    return IdRecord(
        ref=Ref(row.type, row.source_id),
        destination_id=row.destination_id,
        migration=row.migration,
        made=row.made,
    )
