"""Which destination id stands for a source's resource, between two clouds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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


_TABLE: sa.Table = sa.inspect(IdRow).local_table  # type: ignore[assignment]
_KEY = ("source", "destination", "type", "source_id")
# Made once, and without objects of the mapper: every step of a migration runs them.
_SELECT = sa.select(_TABLE).where(*(_TABLE.c[name] == sa.bindparam(name) for name in _KEY))
_INSERT = sa.insert(_TABLE)
_UPDATE = sa.update(_TABLE).where(*(_TABLE.c[name] == sa.bindparam(f"key_{name}") for name in _KEY))


class IdTable:
    """The id maps of all pairs of clouds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def get(self, source: str, destination: str, ref: Ref) -> IdRecord | None:
        """What stands for a resource; None if nothing does."""
        key = {"source": source, "destination": destination, "type": ref.type, "source_id": ref.id}
        with self._database.reader.connect() as connection:
            row = connection.execute(_SELECT, key).first()
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
        key = {"source": source, "destination": destination, "type": ref.type, "source_id": ref.id}
        pair = {"destination_id": destination_id, "migration": migration, "made": made}
        with self._database.writer.begin() as connection:
            if connection.execute(_SELECT, key).first() is None:
                connection.execute(_INSERT, {**key, **pair})
            else:
                which = {f"key_{name}": value for name, value in key.items()}
                connection.execute(_UPDATE, {**which, **pair})

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


def _record(row: IdRow | sa.Row[Any]) -> IdRecord:
    return IdRecord(
        ref=Ref(row.type, row.source_id),
        destination_id=row.destination_id,
        migration=row.migration,
        made=row.made,
    )
