"""Migrations: their state, and the one process that is at work on each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.errors import KeyReused, MigrationBusy, WrongState
from pumphouse.store.database import Database, retried
from pumphouse.store.models import ClaimRow, MigrationRow, PlanRow
from pumphouse.store.names import EARLIER_PLANS, FINALIZED, PREPARE, PREPARED, find_id, following, new_id
from pumphouse.store.owner import Owner
from pumphouse.store.states import ALLOWED, FINALIZABLE, MigrationState
from pumphouse.store.taking import give, let_go, living_owner, owner_of, require_epoch


class Request(StrEnum):
    """What an operator asks of the process that is at work."""

    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRecord:
    """A migration as it is now.

    ``subjects`` names what it moves (projects' ids, say). ``epoch`` counts the processes that have taken
    it; ``owner`` is the one that has it, alive or not.
    """

    id: str
    name: str
    state: MigrationState
    plan_id: str
    source: str
    destination: str
    subjects: tuple[str, ...]
    options: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    run_started_at: datetime | None
    """When the run that it is in, or the last one, began: a retry or a roll-back is one of its own."""
    ended_at: datetime | None
    owner: Owner | None
    heartbeat_at: datetime | None
    epoch: int
    request: Request | None
    wanted: str | None
    """What a supervisor shall do with it: a :class:`pumphouse.store.wishes.Wish`."""
    wanted_at: datetime | None
    reason: str
    summary: Mapping[str, Any] | None

    @property
    def finalized(self) -> bool:
        """Whether something of it was finalised, so that it cannot be taken back."""
        return FINALIZED in self.options

    @property
    def took(self) -> float | None:
        """The seconds of the last run, pauses included; None before its end."""
        if self.run_started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.run_started_at).total_seconds()

    @property
    def prepared(self) -> bool:
        """Whether all that needs no downtime is done, and it waits for its cutover."""
        begun = self.state is MigrationState.PAUSED and bool(self.options.get(PREPARE))
        return begun and PREPARED in self.options

    def at_work(self, now: datetime) -> bool:
        """Whether a living process is at work on it."""
        return self.owner is not None and self.owner.alive(heartbeat_at=self.heartbeat_at, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """What tells a request that is sent again from a new one: its key, and the digest of what it asks."""

    key: str
    digest: str


class Migrations:
    """Migrations in the store. An id may be given as :func:`pumphouse.store.names.find_id` says."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def create(
        self,
        *,
        name: str,
        plan_id: str,
        source: str,
        destination: str,
        subjects: Collection[str] = (),
        options: Mapping[str, Any] | None = None,
        wanted: str | None = None,
        key: RequestKey | None = None,
    ) -> MigrationRecord:
        """A new migration, PLANNED; or the one that the same request has made before.

        :param wanted: what a supervisor shall do with it.
        :raises KeyReused: another request with the same key has made one.
        """
        with Session(self._database.writer) as session, session.begin():
            known = None if key is None else _of_key(session, key)
            if known is not None:
                return record_of(known)
            now = datetime.now(UTC)
            row = MigrationRow(
                id=new_id("m"),
                name=name[:255],
                state=MigrationState.PLANNED,
                plan_id=plan_id,
                source=source,
                destination=destination,
                subjects=sorted(subjects),
                options=dict(options or {}),
                created_at=now,
                wanted=wanted,
                wanted_at=now if wanted else None,
                request_key=key.key if key else None,
                request_digest=key.digest if key else None,
            )
            session.add(row)
            session.flush()
            return record_of(row)

    @retried
    def of_key(self, key: RequestKey) -> MigrationRecord | None:
        """The migration that the same request has made before, if any. Raises KeyReused."""
        with Session(self._database.reader) as session:
            row = _of_key(session, key)
            return None if row is None else record_of(row)

    @retried
    def get(self, id: str) -> MigrationRecord:
        """The migration. Raises UnknownMigration or AmbiguousName."""
        with Session(self._database.reader) as session:
            return record_of(find_row(session, id))

    @retried
    def list(
        self,
        *,
        state: MigrationState | Collection[MigrationState] | None = None,
        source: str | None = None,
        destination: str | None = None,
        text: str = "",
        tenants: Collection[str] | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> tuple[MigrationRecord, ...]:
        """Migrations, newest first, of all states or of these, between all clouds or these.

        :param text: only those with this in their name or their id.
        :param tenants: only those that move one of these, known by name or by the source's id.
        :param marker: only those that come after the one with this id.
        :raises UnknownMigration: the marker is no migration's.
        """
        query = sa.select(MigrationRow).order_by(MigrationRow.created_at.desc(), MigrationRow.id).limit(limit)
        if state is not None:
            wanted = [state] if isinstance(state, MigrationState) else list(state)
            query = query.where(MigrationRow.state.in_(wanted))
        if source is not None:
            query = query.where(MigrationRow.source == source)
        if destination is not None:
            query = query.where(MigrationRow.destination == destination)
        if text:
            name, id = (one.icontains(text, autoescape=True) for one in (MigrationRow.name, MigrationRow.id))
            query = query.where(name | id)
        if tenants is not None:
            query = query.join(PlanRow, PlanRow.id == MigrationRow.plan_id).where(_moves(tenants))
        with Session(self._database.reader) as session:
            if marker is not None:
                query = query.where(following(MigrationRow, find_row(session, marker)))
            return tuple(map(record_of, session.scalars(query)))

    @retried
    def counts(self) -> dict[str, int]:
        """How many migrations are in which state."""
        query = sa.select(MigrationRow.state, sa.func.count()).group_by(MigrationRow.state)
        with Session(self._database.reader) as session:
            return {row[0]: row[1] for row in session.execute(query)}

    @retried
    def set_state(
        self,
        id: str,
        state: MigrationState,
        *,
        expect: Collection[MigrationState] | None = None,
        epoch: int | None = None,
        reason: str = "",
    ) -> MigrationRecord:
        """Change the state, where that is allowed; the same state again only changes the reason.

        With its end all its claims are given up.

        :param expect: refuse when it is in none of these states.
        :param epoch: what :meth:`take` answered, where the process at work changes it.
        :raises WrongState: from its state this one cannot follow.
        :raises Fenced: another process has taken the migration over.
        """
        with Session(self._database.writer) as session, session.begin():
            row = locked_row(session, find_row(session, id).id)
            _check_epoch(row, epoch)
            if expect is not None and row.state not in expect:
                raise _cannot_become(row, state)
            _enter(row, state, by_process=epoch is not None)
            row.reason = reason
            if state.ended:
                session.execute(sa.delete(ClaimRow).where(ClaimRow.migration == row.id))
            return record_of(row)

    @retried
    def set_plan(
        self,
        id: str,
        plan_id: str,
        *,
        epoch: int,
        options: Mapping[str, Any] | None = None,
        fulfils: bool = False,
    ) -> MigrationRecord:
        """Run again with another plan of the same scope: a retry, or a cutover.

        All at once: a process that dies has either not begun, or left what a resume goes on with.

        :param options: those that change with it.
        :param fulfils: as for :meth:`take`.
        :raises WrongState: it cannot run from its state, or something else has been wanted of it since it was
            taken.
        :raises Fenced: another process has taken the migration over.
        """
        with Session(self._database.writer) as session, session.begin():
            row = locked_row(session, find_row(session, id).id)
            _check_epoch(row, epoch)
            if row.wanted is not None and not fulfils:
                raise WrongState(
                    f"migration {row.id}: somebody has asked for another thing meanwhile: {row.wanted}",
                    next_step=f"Watch it with: pumphouse migration watch {row.id}",
                )
            _enter(row, MigrationState.RUNNING, by_process=True)
            row.reason = ""
            plans = [row.plan_id, *row.options.get(EARLIER_PLANS, ())]
            row.options = {**row.options, **(options or {}), EARLIER_PLANS: plans}
            row.plan_id = plan_id
            return record_of(row)

    @retried
    def set_prepared(self, id: str, *, epoch: int) -> MigrationRecord:
        """Write that all of it that needs no downtime is done, until it goes on. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            row = locked_row(session, find_row(session, id).id)
            _check_epoch(row, epoch)
            row.options = {**row.options, PREPARED: True}
            return record_of(row)

    @retried
    def finalize(self, id: str, *, epoch: int) -> MigrationRecord:
        """Write that it cannot be taken back from now on.

        :raises WrongState: it has not succeeded, wholly or in part.
        :raises Fenced: another process has taken the migration over.
        """
        with Session(self._database.writer) as session, session.begin():
            row = locked_row(session, find_row(session, id).id)
            _check_epoch(row, epoch)
            require_finalizable(row.id, MigrationState(row.state))
            row.options = {FINALIZED: datetime.now(UTC).isoformat(), **row.options}
            return record_of(row)

    # -- the process at work

    @retried
    def take(self, id: str, owner: Owner, *, fulfils: bool = False) -> int:
        """Make ``owner`` the one process at work on it; the epoch that fences all earlier ones.

        A request that was left over is dropped.

        :param fulfils: whether it does what is wanted of the migration. If not, nothing is wanted any longer:
            somebody has taken it into their own hands.
        :raises WrongState: what it was to fulfil is not wanted any longer.
        :raises MigrationBusy: a living process has it, or is at work on another migration of the same
            subjects between the same clouds; or it is new, and such another one has not ended.
        """
        with Session(self._database.writer) as session, session.begin():
            found = find_row(session, id)
            # All between these clouds, in one order: two processes cannot pass this check at once.
            between = session.scalars(
                sa.select(MigrationRow)
                .where(MigrationRow.source == found.source, MigrationRow.destination == found.destination)
                .order_by(MigrationRow.id)
                .with_for_update()
                .execution_options(populate_existing=True)
            ).all()
            now = datetime.now(UTC)
            for other in between:
                _refuse_if_busy(other, found, now)
                _refuse_if_unfinished(other, found)
            give(found, owner, now)
            found.request = None
            if not fulfils:
                found.wanted = found.wanted_at = None
            elif found.wanted is None:
                raise WrongState(f"migration {found.id}: nothing is wanted of it any longer")
            return found.epoch

    @retried
    def heartbeat(self, id: str, epoch: int) -> Request | None:
        """Say that the process still runs; what it is asked to do. Raises Fenced.

        Due every few seconds, well within :data:`pumphouse.store.owner.FRESH`.
        """
        with Session(self._database.writer) as session, session.begin():
            row = locked_row(session, id)
            _check_epoch(row, epoch)
            row.heartbeat_at = datetime.now(UTC)
            return _request(row)

    @retried
    def release(self, id: str, epoch: int) -> None:
        """Let go of it. Does nothing when another process has it already."""
        with Session(self._database.writer) as session, session.begin():
            row = locked_row(session, id)
            if row.epoch == epoch:
                let_go(row)

    @retried
    def request(self, id: str, what: Request) -> MigrationRecord:
        """Ask the process at work to pause or cancel.

        :raises WrongState: the migration has ended. A retry that has not begun may be paused.
        """
        with Session(self._database.writer) as session, session.begin():
            row = locked_row(session, find_row(session, id).id)
            begins = what is Request.PAUSE and row.wanted is not None
            if MigrationState(row.state).ended and not begins:
                raise WrongState(
                    f"migration {row.id} has ended already: it is {row.state}", next_step=_look(row.id)
                )
            row.request = what
            return record_of(row)

    @retried
    def requested(self, id: str) -> Request | None:
        """What the process at work is asked to do."""
        with Session(self._database.reader) as session:
            return _request(find_row(session, id))

    # -- what it came to

    @retried
    def set_summary(self, id: str, summary: Mapping[str, Any]) -> None:
        """Keep small JSON that lists and shows want: counts, times, bytes."""
        with Session(self._database.writer) as session, session.begin():
            locked_row(session, id).summary = dict(summary)

    @retried
    def set_report(self, id: str, report: Mapping[str, Any]) -> None:
        """Keep the report's JSON."""
        with Session(self._database.writer) as session, session.begin():
            locked_row(session, id).report = dict(report)

    @retried
    def report(self, id: str) -> dict[str, Any] | None:
        """The report's JSON; None before there is one."""
        with Session(self._database.reader) as session:
            report: dict[str, Any] | None = find_row(session, id).report
            return report


def _moves(tenants: Collection[str]) -> sa.ColumnElement[bool]:
    """Whether one of these words is among a migration's subjects, or the names that its plan was made for."""
    words = {json.dumps(one, ensure_ascii=plain) for one in tenants for plain in (True, False)}
    columns = (sa.cast(MigrationRow.subjects, sa.Text), sa.cast(PlanRow.scope, sa.Text))
    return sa.or_(
        sa.false(), *(one.contains(word, autoescape=True) for one in columns for word in sorted(words))
    )


def _of_key(session: Session, key: RequestKey) -> MigrationRow | None:
    row = session.scalars(sa.select(MigrationRow).where(MigrationRow.request_key == key.key)).first()
    if row is not None and row.request_digest != key.digest:
        raise KeyReused(f"another request with this key has made migration {row.id}")
    return row


_TABLE: sa.Table = sa.inspect(MigrationRow).local_table  # type: ignore[assignment]
_EPOCH = sa.select(
    *(_TABLE.c[name] for name in ("id", "epoch", "owner_host", "owner_pid", "owner_started"))
).where(_TABLE.c.id == sa.bindparam("id"))
_FENCE = _EPOCH.with_for_update()


def check_fence(connection: sa.Connection, id: str, epoch: int) -> None:
    """Lock the migration until the transaction ends. Raises Fenced unless ``epoch`` is still its own."""
    _check_epoch(connection.execute(_FENCE, {"id": id}).one(), epoch)


def check_epoch(connection: sa.Connection, id: str, epoch: int) -> None:
    """As :func:`check_fence`, for this moment only: nothing is locked."""
    _check_epoch(connection.execute(_EPOCH, {"id": id}).one(), epoch)


def find_row(session: Session, id: str) -> MigrationRow:
    """A migration's row. Raises UnknownMigration or AmbiguousName."""
    newest = MigrationRow.created_at.desc()
    found = find_id(session, id, column=MigrationRow.id, newest=newest, what="migration")
    return session.get_one(MigrationRow, found)


def locked_row(session: Session, id: str) -> MigrationRow:
    """A migration's row, locked until the transaction ends."""
    return session.get_one(MigrationRow, id, with_for_update=True, populate_existing=True)


def _check_epoch(row: MigrationRow | sa.Row[Any], epoch: int | None) -> None:
    require_epoch(row, epoch, what="migration")


def _enter(row: MigrationRow, state: MigrationState, *, by_process: bool) -> None:
    """Change the state, and what follows from it. Raises WrongState where that is not allowed."""
    if state is MigrationState.ROLLING_BACK:
        refuse_if_finalized(row)
    now = MigrationState(row.state)
    if now is not state:
        if state not in ALLOWED[now]:
            raise _cannot_become(row, state)
        if state.active and (row.started_at is None or now.ended):
            row.run_started_at = datetime.now(UTC)
            row.started_at = row.started_at or row.run_started_at
        row.ended_at = datetime.now(UTC) if state.ended else None
    if state.active:
        row.options = {name: value for name, value in row.options.items() if name != PREPARED}
    row.state = state
    if state.ended or state is MigrationState.PAUSED:
        row.wanted = _still_wanted(row, state, by_process=by_process)
        row.wanted_at = row.wanted_at if row.wanted else None
        row.request = None  # it has been done, or can be no longer


def _cannot_become(row: MigrationRow, state: MigrationState) -> WrongState:
    return WrongState(
        f"migration {row.id} is {row.state}, and cannot become {state}",
        next_step=_look(row.id),
    )


def _look(id: str) -> str:
    return f"See it with: pumphouse migration show {id}"


def _still_wanted(row: MigrationRow, state: MigrationState, *, by_process: bool) -> str | None:
    """What is still wanted of a migration that has stopped.

    A pause that nobody asked for is the end of a process, and another one goes on, unless all is done that
    comes before the cutover. Had it been asked to cancel just then, that is what the other one does.
    """
    if state.ended or not by_process or row.request == Request.PAUSE:
        return None
    return row.wanted and (row.request or (None if PREPARED in row.options else row.wanted))


def is_running(row: MigrationRow, now: datetime) -> bool:
    """Whether a process is carrying a migration out, or ends that in order."""
    ending = MigrationState(row.state) in {MigrationState.RUNNING, MigrationState.CANCELLING}
    return ending and living_owner(row, now) is not None


def _refuse_if_busy(other: MigrationRow, wanted: MigrationRow, now: datetime) -> None:
    owner = living_owner(other, now)
    if owner is None:
        return
    if other.id == wanted.id:
        raise MigrationBusy(
            f"migration {other.id} is already at work: {owner} has it",
            next_step=f"Watch it with: pumphouse migration watch {other.id}",
        )
    shared = sorted(set(other.subjects) & set(wanted.subjects))
    if shared:
        raise MigrationBusy(
            f"migration {other.id} is at work on the same between {other.source} and {other.destination}: "
            f"{', '.join(shared)}",
            next_step=f"Wait until it ends, or pause it with: pumphouse migration pause {other.id}",
        )


def _refuse_if_unfinished(other: MigrationRow, wanted: MigrationRow) -> None:
    """To begin anew what another one is in the middle of would make it twice when that one goes on."""
    state = MigrationState(other.state)
    begun = state.active or state is MigrationState.PAUSED
    shared = sorted(set(other.subjects) & set(wanted.subjects))
    if other.id != wanted.id and shared and begun and wanted.state == MigrationState.PLANNED:
        raise MigrationBusy(
            f"migration {other.id} of the same ({', '.join(shared)}) has not ended: it is {state}",
            next_step=f"Go on with: pumphouse migration resume {other.id}; or take it back with: "
            f"pumphouse migration rollback {other.id}",
        )


def require_finalizable(id: str, state: MigrationState) -> None:
    """Raise WrongState unless a migration in this state can be finalised."""
    if state not in FINALIZABLE:
        raise WrongState(
            f"migration {id} is {state}: only what succeeded can be finalised",
            next_step=_look(id),
        )


def refuse_if_prepared(record: MigrationRecord) -> None:
    """Raise WrongState for a migration of which all is done that comes before its cutover."""
    if record.prepared:
        raise WrongState(
            f"migration {record.id} is prepared, and waits for its cutover",
            next_step=f"Move the servers with: pumphouse migration cutover {record.id}",
        )


def refuse_if_finalized(row: MigrationRow) -> None:
    """Raise WrongState for a migration that cannot be taken back any longer."""
    if FINALIZED in row.options:
        raise WrongState(
            f"migration {row.id} was finalised ({row.options[FINALIZED][:19]}Z), so it cannot be rolled back",
            next_step="What was removed then is not there any longer; see it with: "
            f"pumphouse migration events {row.id}",
        )


def _request(row: MigrationRow) -> Request | None:
    return Request(row.request) if row.request else None


def record_of(row: MigrationRow) -> MigrationRecord:
    """What a row says."""
    return MigrationRecord(
        id=row.id,
        name=row.name,
        state=MigrationState(row.state),
        plan_id=row.plan_id,
        source=row.source,
        destination=row.destination,
        subjects=tuple(row.subjects),
        options=row.options,
        created_at=row.created_at,
        started_at=row.started_at,
        run_started_at=row.run_started_at or row.started_at,
        ended_at=row.ended_at,
        owner=owner_of(row),
        heartbeat_at=row.heartbeat_at,
        epoch=row.epoch,
        request=_request(row),
        wanted=row.wanted,
        wanted_at=row.wanted_at,
        reason=row.reason,
        summary=row.summary,
    )
