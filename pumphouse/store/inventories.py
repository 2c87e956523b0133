"""Snapshots of what clouds held, and the clouds' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.model import Inventory, Resource
from pumphouse.store.database import Database, retried
from pumphouse.store.models import CloudRow, InventoryRow


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryRecord:
    """A snapshot without what it holds."""

    id: int
    cloud: str
    taken_at: datetime
    counts: Mapping[str, int]


class Inventories:
    """Inventories in the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def save(self, inventory: Inventory, *, keep: int = 5) -> InventoryRecord:
        """Keep a snapshot, and only the newest ``keep`` of its cloud."""
        document = {
            "facts": {name: dict(facts) for name, facts in inventory.facts.items()},
            "resources": [resource.to_dict() for resource in inventory],
        }
        with Session(self._database.writer) as session, session.begin():
            if session.get(CloudRow, inventory.cloud) is None:
                session.add(CloudRow(name=inventory.cloud, first_seen_at=datetime.now(UTC)))
                session.flush()
            row = InventoryRow(
                cloud=inventory.cloud,
                taken_at=inventory.taken_at,
                counts=inventory.counts(),
                document=document,
            )
            session.add(row)
            session.flush()
            old = list(
                session.scalars(_newest(inventory.cloud).with_only_columns(InventoryRow.id).offset(keep))
            )
            session.execute(sa.delete(InventoryRow).where(InventoryRow.id.in_(old)))
            return _record(row)

    @retried
    def latest(self, cloud: str) -> Inventory | None:
        """The newest snapshot of a cloud with all that it holds; None if there is none."""
        with Session(self._database.reader) as session:
            row = session.scalars(_newest(cloud).limit(1)).first()
            if row is None:
                return None
            document, taken_at = row.document, row.taken_at
        resources = map(Resource.from_dict, document["resources"])
        return Inventory(cloud, resources, facts=document["facts"], taken_at=taken_at)

    @retried
    def list(self, cloud: str | None = None) -> tuple[InventoryRecord, ...]:
        """Snapshots, newest first, of one cloud or of all."""
        with Session(self._database.reader) as session:
            return tuple(map(_record, session.scalars(_newest(cloud))))

    @retried
    def clouds(self) -> tuple[str, ...]:
        """The names of all clouds that were ever read, sorted."""
        with Session(self._database.reader) as session:
            return tuple(sorted(session.scalars(sa.select(CloudRow.name))))


def _newest(cloud: str | None) -> sa.Select[InventoryRow]:
    query = sa.select(InventoryRow).order_by(InventoryRow.taken_at.desc(), InventoryRow.id.desc())
    return query if cloud is None else query.where(InventoryRow.cloud == cloud)


def _record(row: InventoryRow) -> InventoryRecord:
    return InventoryRecord(id=row.id, cloud=row.cloud, taken_at=row.taken_at, counts=row.counts)
