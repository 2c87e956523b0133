"""The units (flows) of migrations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.errors import UnknownResource
from pumphouse.store.database import Database, retried
from pumphouse.store.models import UnitRow
from pumphouse.store.states import UnitState


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRecord:
    """A unit as it is now. ``flow`` is the id of TaskFlow's flow detail, once there is one."""

    migration: str
    name: str
    kind: str
    state: UnitState = UnitState.PENDING
    flow: str | None = None
    reason: str = ""
    error: Mapping[str, Any] | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


_ENDS = frozenset({UnitState.SUCCEEDED, UnitState.FAILED, UnitState.SKIPPED, UnitState.ROLLED_BACK})


_TABLE: sa.Table = sa.inspect(UnitRow).local_table  # type: ignore[assignment]
_KEY = (_TABLE.c.migration == sa.bindparam("key_migration"), _TABLE.c.name == sa.bindparam("key_name"))
# Made once, and without objects of the mapper: each unit's beginning and end run them.
_SELECT = sa.select(_TABLE).where(*_KEY)
_UPDATE = sa.update(_TABLE).where(*_KEY)


class Units:
    """Units in the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def replace(self, migration: str, units: Iterable[UnitRecord]) -> None:
        """Make these the migration's units, in this order."""
        rows = [
            {
                "migration": migration,
                "position": position,
                "name": unit.name,
                "kind": unit.kind,
                "state": unit.state,
                "flow": unit.flow,
                "reason": unit.reason,
            }
            for position, unit in enumerate(units)
        ]
        with Session(self._database.writer) as session, session.begin():
            session.execute(sa.delete(UnitRow).where(UnitRow.migration == migration))
            if rows:
                session.execute(sa.insert(UnitRow), rows)

    @retried
    def of(self, migration: str) -> tuple[UnitRecord, ...]:
        """A migration's units in their order."""
        query = sa.select(UnitRow).where(UnitRow.migration == migration).order_by(UnitRow.position)
        with Session(self._database.reader) as session:
            return tuple(map(_record, session.scalars(query)))

    @retried
    def get(self, migration: str, name: str) -> UnitRecord:
        """One unit. Raises UnknownResource."""
        with Session(self._database.reader) as session:
            return _record(_row(session, migration, name))

    @retried
    def set_state(
        self,
        migration: str,
        name: str,
        state: UnitState,
        *,
        reason: str = "",
        error: Mapping[str, Any] | None = None,
    ) -> UnitRecord:
        """Change a unit's state. Its times follow: a unit that runs again starts anew."""
        key, now = {"key_migration": migration, "key_name": name}, datetime.now(UTC)
        values: dict[str, Any] = {"state": state, "reason": reason, "error": error}
        values["ended_at"] = now if state in _ENDS else None
        if state is UnitState.RUNNING:
            values["started_at"] = now
        with self._database.writer.begin() as connection:
            if not connection.execute(_UPDATE, {**key, **values}).rowcount:
                raise _unknown(migration, name)
            return _record(connection.execute(_SELECT, key).one())

    @retried
    def set_flow(self, migration: str, name: str, flow: str | None) -> None:
        """Name the flow detail that holds the unit's progress."""
        with Session(self._database.writer) as session, session.begin():
            _row(session, migration, name).flow = flow


def _row(session: Session, migration: str, name: str) -> UnitRow:
    row = session.get(UnitRow, (migration, name))
    if row is None:
        raise _unknown(migration, name)
    return row


def _unknown(migration: str, name: str) -> UnknownResource:
    return UnknownResource(f"migration {migration} has no unit {name!r}")


def _record(row: UnitRow | sa.Row[Any]) -> UnitRecord:
    return UnitRecord(
        migration=row.migration,
        name=row.name,
        kind=row.kind,
        state=UnitState(row.state),
        flow=row.flow,
        reason=row.reason,
        error=row.error,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
