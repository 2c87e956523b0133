"""What migrations do to clouds: written before it is done, and again when it is known what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from pumphouse.context import JournalEntry, JournalState
from pumphouse.model import Ref, Side
from pumphouse.plan.copies import Copied
from pumphouse.plan.sharing import HalfMade
from pumphouse.steps import LEFT_AT, USE, USED_BY, Create
from pumphouse.store.database import Database, retried
from pumphouse.store.migrations import check_epoch, check_fence, is_running, locked_row
from pumphouse.store.models import JournalRow, MigrationRow, UnitRow
from pumphouse.store.names import PREPARE
from pumphouse.store.states import MigrationState, UnitState

_OPEN = (JournalState.INTENT, JournalState.MADE, JournalState.LEFT)
"""What a cloud still holds, or may hold."""


_NOT_MADE = frozenset({"adopted", "before"})
"""What the detail of a creation has when it found the resource, or changed it."""


_AT_ONCE = 500
"""How many ids a query names; databases take only so many parameters."""


_TABLE: sa.Table = sa.inspect(JournalRow).local_table  # type: ignore[assignment]
# Made once, and without objects of the mapper: every step of a migration runs them.
_KEY = ("migration", "plan", "type", "source_id", "step", "side")
_OPEN_OF_STEP = (
    sa.select(_TABLE)
    .where(*(_TABLE.c[name] == sa.bindparam(name) for name in _KEY), _TABLE.c.state.in_(_OPEN))
    .order_by(_TABLE.c.id.desc())
)
_INSERT = sa.insert(_TABLE)
_SET_STATE = sa.update(_TABLE).where(_TABLE.c.id == sa.bindparam("key"))


class JournalTable:
    """The journals of all migrations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def intend(
        self,
        migration: str,
        unit: str,
        ref: Ref,
        step: str,
        side: Side,
        *,
        epoch: int,
        plan: str = "",
        detail: Mapping[str, Any] | None = None,
        temporary: bool = False,
    ) -> JournalEntry:
        """Write that a step is about to change a cloud; the open entry, if an earlier attempt wrote it.

        :param plan: the one that is carried out. What was done for an earlier one has entries of its own.
        :param epoch: what ``Migrations.take`` answered.
        :raises Fenced: another process has taken the migration over; nothing must be written to a cloud.
        """
        now = datetime.now(UTC)
        with self._database.writer.begin() as connection:
            # The lock on the migration also keeps two attempts from writing the entry twice.
            check_fence(connection, migration, epoch)
            key = {
                "migration": migration,
                "plan": plan,
                "type": ref.type,
                "source_id": ref.id,
                "step": step,
                "side": side,
            }
            row = connection.execute(_OPEN_OF_STEP, key).first()
            if row is not None:
                entry = _entry(row, repeated=True)
                if entry.state is not JournalState.LEFT:
                    return entry
                again = replace(entry, state=JournalState.MADE if row.made_id else JournalState.INTENT)
                connection.execute(_SET_STATE, {"key": row.id, "state": again.state, "changed_at": now})
                return again
            kept = dict(detail or {})
            more = {"unit": unit, "state": JournalState.INTENT, "detail": kept, "temporary": temporary}
            made = connection.execute(_INSERT, {**key, **more, "at": now, "changed_at": now})
            return JournalEntry(
                id=made.inserted_primary_key[0],  # type: ignore[index]
                plan=plan,
                unit=unit,
                ref=ref,
                step=step,
                side=side,
                state=JournalState.INTENT,
                detail=kept,
                temporary=temporary,
            )

    @retried
    def check_fence(self, migration: str, *, epoch: int) -> None:
        """Raise Fenced when another process has taken the migration over; it waits for nobody to find out."""
        with self._database.reader.connect() as connection:
            check_epoch(connection, migration, epoch)

    @retried
    def made(self, entry_id: int, made_id: str, *, detail: Mapping[str, Any] | None = None) -> None:
        """Write the id of what was made (and other detail, if given).

        Not fenced: it is a fact, which whoever has the migration now needs.
        """
        values = {"state": JournalState.MADE, "made_id": made_id, "changed_at": datetime.now(UTC)}
        if detail is not None:
            values["detail"] = dict(detail)
        self._set(entry_id, values)

    @retried
    def removed(self, entry_id: int) -> None:
        """Write that it is gone, or undone."""
        self._set(entry_id, {"state": JournalState.REMOVED, "changed_at": datetime.now(UTC)})

    @retried
    def left(self, entry_id: int, reason: str) -> None:
        """Write that it could not be removed; the reason is in the detail, under ``left``."""
        with Session(self._database.writer) as session, session.begin():
            row = _change(session, entry_id, JournalState.LEFT)
            row.detail = {**row.detail, "left": reason}

    @retried
    def use(self, migration: str, used: Mapping[Ref, str], *, epoch: int, plan: str = "") -> None:
        """Write that a migration relies on these resources of the destination, as far as others made them.

        :raises Fenced: another process has taken the migration over.
        """
        now = datetime.now(UTC)
        with Session(self._database.writer) as session, session.begin():
            check_fence(session.connection(), migration, epoch)
            theirs = _made_by_others(session, migration, used)
            mine = _of(migration, ref=None, step=USE).with_only_columns(JournalRow.type, JournalRow.source_id)
            told = {Ref(*row) for row in session.execute(mine)}
            session.add_all(
                JournalRow(
                    migration=migration,
                    plan=plan,
                    unit=USE,
                    type=ref.type,
                    source_id=ref.id,
                    step=USE,
                    side=Side.DESTINATION,
                    state=JournalState.MADE,
                    made_id=made_id,
                    detail={},
                    temporary=False,
                    at=now,
                    changed_at=now,
                )
                for ref, made_id in used.items()
                if (ref.type, made_id) in theirs and ref not in told
            )

    @retried
    def hand_over(self, entry_id: int) -> str | None:
        """Give what an entry says was made to another migration that relies on it, the oldest of them.

        The entry is removed then, and the other migration has it as if it had made the resource. None, and
        nothing changed, if no other relies on it.
        """
        with Session(self._database.writer) as session, session.begin():
            mine = session.get_one(JournalRow, entry_id)
            query = _of_others(session, mine.migration, USE)
            query = query.where(JournalRow.type == mine.type, JournalRow.made_id == mine.made_id)
            for use in session.scalars(query.order_by(JournalRow.id)).all():
                if _relies(session, use.migration) and _still(session, use, USE):
                    # An update of it would be undone by its removal.
                    ref = Ref(use.type, use.source_id)
                    for row in session.scalars(_of(use.migration, ref=ref, step=mine.step)).all():
                        _change(session, row.id, JournalState.REMOVED)
                    use.step, use.detail = mine.step, dict(mine.detail)
                    _change(session, mine.id, JournalState.REMOVED)
                    return use.migration
        return None

    @retried
    def open_entries(
        self,
        migration: str,
        *,
        plan: str | None = None,
        unit: str | None = None,
        ref: Ref | None = None,
        step: str | None = None,
        temporary: bool | None = None,
        newest_first: bool = True,
    ) -> list[JournalEntry]:
        """What the clouds still hold, or may hold, of a migration: intended, made or left."""
        query = _of(migration, ref=ref, step=step)
        if plan is not None:
            query = query.where(JournalRow.plan == plan)
        if unit is not None:
            query = query.where(JournalRow.unit == unit)
        if temporary is not None:
            query = query.where(JournalRow.temporary == temporary)
        with Session(self._database.reader) as session:
            rows = session.scalars(query.order_by(JournalRow.id.desc() if newest_first else JournalRow.id))
            return list(map(_entry, rows))

    @retried
    def half_made(self, source: str, destination: str) -> dict[Ref, HalfMade]:
        """What migrations between two clouds have begun to create and not finished, and which ones.

        Of a unit that has not succeeded, or left by one that could not be taken back.
        """
        # The units that are kept are those of the last plan.
        unit = sa.and_(
            UnitRow.migration == JournalRow.migration,
            UnitRow.name == JournalRow.unit,
            JournalRow.plan == MigrationRow.plan_id,
        )
        query = (
            sa.select(JournalRow, MigrationRow)
            .join(MigrationRow, MigrationRow.id == JournalRow.migration)
            .outerjoin(UnitRow, unit)
            .where(
                MigrationRow.source == source,
                MigrationRow.destination == destination,
                JournalRow.step == Create.name,
                JournalRow.state.in_(_OPEN),
                # Of earlier runs only what they could not take back is unfinished.
                sa.or_(JournalRow.state == JournalState.LEFT, UnitRow.state != UnitState.SUCCEEDED),
            )
            .order_by(JournalRow.id)
        )
        now = datetime.now(UTC)
        with Session(self._database.reader) as session:
            return {
                Ref(row.type, row.source_id): HalfMade(migration.id, is_running(migration, now))
                for row, migration in session.execute(query)
            }

    @retried
    def copied(self, source: str, destination: str) -> dict[Ref, Copied]:
        """The newest copies of data that migrations between two clouds have made, by what they are of."""
        query = (
            sa.select(
                JournalRow.type,
                JournalRow.source_id,
                JournalRow.made_id,
                JournalRow.detail,
                MigrationRow.options,
            )
            .join(MigrationRow, MigrationRow.id == JournalRow.migration)
            .where(
                MigrationRow.source == source,
                MigrationRow.destination == destination,
                JournalRow.step == Create.name,
                JournalRow.state.in_(_OPEN),
                JournalRow.made_id.is_not(None),
                # Few have it, of all that was made.
                sa.cast(JournalRow.detail, sa.String).contains(f'"{USED_BY}"'),
            )
            .order_by(JournalRow.id)
        )
        with Session(self._database.reader) as session:
            return {
                Ref(type_, id): Copied(
                    made_id=made_id,
                    left_at=str(detail[LEFT_AT] or ""),
                    used_by=frozenset(map(Ref.parse, detail[USED_BY])),
                    waits=bool(options.get(PREPARE)),
                )
                for type_, id, made_id, detail, options in session.execute(query)
                if USED_BY in detail
            }

    @retried
    def held(self, source: str, step: str) -> dict[Ref, str]:
        """Which migration away from a cloud has not undone a step, by reference."""
        query = (
            sa.select(JournalRow.type, JournalRow.source_id, JournalRow.migration)
            .join(MigrationRow, MigrationRow.id == JournalRow.migration)
            .where(MigrationRow.source == source, JournalRow.step == step, JournalRow.state.in_(_OPEN))
            .order_by(JournalRow.id)
        )
        with Session(self._database.reader) as session:
            return {Ref(type_, id): migration for type_, id, migration in session.execute(query)}

    @retried
    def on(self, cloud: str, step: str) -> list[JournalEntry]:
        """What a step of whichever migration has done to a cloud, and not undone."""
        whole = sa.or_(
            sa.and_(MigrationRow.source == cloud, JournalRow.side == Side.SOURCE),
            sa.and_(MigrationRow.destination == cloud, JournalRow.side == Side.DESTINATION),
        )
        query = (
            sa.select(JournalRow)
            .join(MigrationRow, MigrationRow.id == JournalRow.migration)
            .where(whole, JournalRow.step == step, JournalRow.state.in_(_OPEN))
            .order_by(JournalRow.id)
        )
        with Session(self._database.reader) as session:
            return list(map(_entry, session.scalars(query)))

    @retried
    def entries(self, migration: str) -> list[JournalEntry]:
        """All that a migration wrote, oldest first."""
        query = sa.select(JournalRow).where(JournalRow.migration == migration).order_by(JournalRow.id)
        with Session(self._database.reader) as session:
            return list(map(_entry, session.scalars(query)))

    def _set(self, entry_id: int, values: Mapping[str, Any]) -> None:
        with self._database.writer.begin() as connection:
            if not connection.execute(_SET_STATE, {"key": entry_id, **values}).rowcount:
                raise NoResultFound(f"the journal has no entry {entry_id}")

    def find(self, migration: str, ref: Ref, step: str) -> JournalEntry | None:
        """The newest open entry of a step; None if there is none."""
        return next(iter(self.open_entries(migration, ref=ref, step=step)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitJournal:
    """The journal as the steps of one unit of a run see it: :class:`pumphouse.context.Journal`."""

    table: JournalTable
    migration: str
    plan: str
    unit: str
    epoch: int

    def intend(
        self,
        ref: Ref,
        step: str,
        side: Side,
        *,
        detail: Mapping[str, Any] | None = None,
        temporary: bool = False,
    ) -> JournalEntry:
        return self.table.intend(
            self.migration,
            self.unit,
            ref,
            step,
            side,
            epoch=self.epoch,
            plan=self.plan,
            detail=detail,
            temporary=temporary,
        )

    def made(
        self, entry: JournalEntry, made_id: str, *, detail: Mapping[str, Any] | None = None
    ) -> JournalEntry:
        self.table.made(entry.id, made_id, detail=detail)
        told = entry.detail if detail is None else dict(detail)
        return replace(entry, state=JournalState.MADE, made_id=made_id, detail=told)

    def removed(self, entry: JournalEntry) -> None:
        self.table.removed(entry.id)

    def left(self, entry: JournalEntry, reason: str) -> None:
        self.table.left(entry.id, reason)

    def check_fence(self) -> None:
        self.table.check_fence(self.migration, epoch=self.epoch)

    def open_entries(self, ref: Ref, step: str) -> list[JournalEntry]:
        return self.table.open_entries(self.migration, plan=self.plan, ref=ref, step=step)

    def of_other_runs(self, ref: Ref, step: str) -> list[JournalEntry]:
        found = self.table.open_entries(self.migration, ref=ref, step=step, newest_first=False)
        return [entry for entry in found if entry.plan != self.plan]

    def use(self, used: Mapping[Ref, str]) -> None:
        self.table.use(self.migration, used, epoch=self.epoch, plan=self.plan)

    def hand_over(self, entry: JournalEntry) -> str | None:
        return self.table.hand_over(entry.id)


def _of(migration: str, *, ref: Ref | None, step: str | None) -> sa.Select[JournalRow]:
    query = sa.select(JournalRow).where(JournalRow.migration == migration, JournalRow.state.in_(_OPEN))
    if ref is not None:
        query = query.where(JournalRow.type == ref.type, JournalRow.source_id == ref.id)
    return query if step is None else query.where(JournalRow.step == step)


def _of_others(session: Session, migration: str, step: str) -> sa.Select[JournalRow]:
    """The open entries of a step that other migrations to the same destination wrote."""
    destination = session.get_one(MigrationRow, migration).destination
    return (
        sa.select(JournalRow)
        .join(MigrationRow, MigrationRow.id == JournalRow.migration)
        .where(
            JournalRow.step == step,
            JournalRow.state.in_(_OPEN),
            JournalRow.made_id.is_not(None),
            JournalRow.migration != migration,
            MigrationRow.destination == destination,
        )
    )


def _made_by_others(session: Session, migration: str, used: Mapping[Ref, str]) -> set[tuple[str, str]]:
    """The types and ids of those of the destination's resources that other migrations made."""
    by_type: dict[str, list[str]] = defaultdict(list)
    for ref, made_id in used.items():
        by_type[ref.type].append(made_id)
    query = _of_others(session, migration, Create.name)
    found: set[tuple[str, str]] = set()
    for type_, ids in by_type.items():
        for start in range(0, len(ids), _AT_ONCE):
            some = query.where(
                JournalRow.type == type_, JournalRow.made_id.in_(ids[start : start + _AT_ONCE])
            )
            rows = session.execute(some.with_only_columns(JournalRow.made_id, JournalRow.detail))
            found |= {(type_, made_id) for made_id, detail in rows if not detail.keys() & _NOT_MADE}
    return found


def _relies(session: Session, migration: str) -> bool:
    """Whether a migration still has, or may yet make, what needs the things that it uses.

    It is locked: a roll-back of it either has begun, or will find what it is given.
    """
    state = MigrationState(locked_row(session, migration).state)
    if state in {MigrationState.RUNNING, MigrationState.PAUSED}:
        return True
    if state is MigrationState.ROLLING_BACK:
        return False
    held = _of(migration, ref=None, step=None).where(JournalRow.step != USE).limit(1)
    return session.scalars(held).first() is not None


def _still(session: Session, row: JournalRow, step: str) -> bool:
    """Whether an entry that was read before a lock was had is still open, and of this step."""
    session.refresh(row)
    return row.step == step and row.state in _OPEN


def _change(session: Session, entry_id: int, state: JournalState) -> JournalRow:
    row = session.get_one(JournalRow, entry_id)
    row.state, row.changed_at = state, datetime.now(UTC)
    return row


def _entry(row: JournalRow | sa.Row[Any], *, repeated: bool = False) -> JournalEntry:
    return JournalEntry(
        id=row.id,
        plan=row.plan,
        unit=row.unit,
        ref=Ref(row.type, row.source_id),
        step=row.step,
        side=Side(row.side),
        state=JournalState(row.state),
        made_id=row.made_id,
        detail=row.detail,
        temporary=row.temporary,
        repeated=repeated,
    )
