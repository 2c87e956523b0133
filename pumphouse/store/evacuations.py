"""Hypervisors that are being emptied: which servers move how, and who disabled the compute service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.errors import MigrationBusy, WrongState
from pumphouse.store.database import Database, retried
from pumphouse.store.models import EvacuationRow
from pumphouse.store.names import find_id, following, new_id
from pumphouse.store.owner import Owner
from pumphouse.store.taking import give, let_go, owner_of, require_epoch


class EvacuationState(StrEnum):
    """How far it has come."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    """The host is empty, and its compute service is disabled."""
    FAILED = "FAILED"
    """Some servers stay, and the compute service is as it was before."""
    STOPPED = "STOPPED"
    """As FAILED, because somebody asked for it."""

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return self is not EvacuationState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationRecord:
    """One evacuation. ``disabled`` says that it disabled the compute service; ``servers`` is by their ids.

    ``stopping`` says that somebody has asked it to stop.
    """

    id: str
    cloud: str
    host: str
    state: EvacuationState
    service: str
    disabled: bool
    servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stopping: bool
    reason: str
    created_at: datetime
    ended_at: datetime | None
    owner: Owner | None
    heartbeat_at: datetime | None
    epoch: int
    """What fences the process that has begun it from those before."""

    def at_work(self, now: datetime) -> bool:
        """Whether a living process is at it."""
        return self.owner is not None and self.owner.alive(heartbeat_at=self.heartbeat_at, now=now)


class Evacuations:
    """Evacuations in the store. An id may be given as :func:`pumphouse.store.names.find_id` says."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def begin(
        self,
        cloud: str,
        host: str,
        owner: Owner,
        *,
        service: str,
        disabled: bool,
        unfinished: Collection[str] = (),
    ) -> EvacuationRecord:
        """A new evacuation of a host; or the one that a process had begun which has died, as it left it.

        :param unfinished: states of servers that a new one takes over from the last one that has ended.
        :raises MigrationBusy: a living process is at it.
        """
        now = datetime.now(UTC)
        query = (
            sa.select(EvacuationRow)
            .where(
                EvacuationRow.cloud == cloud,
                EvacuationRow.host == host,
                EvacuationRow.running.is_(True),
            )
            .with_for_update()
        )
        with Session(self._database.writer) as session, session.begin():
            row = session.scalars(query).first()
            if row is None:
                last = session.scalars(_newest_first(cloud, host)).first()
                servers = last.servers if last else {}
                row = EvacuationRow(
                    id=new_id("e"),
                    cloud=cloud,
                    host=host,
                    state=EvacuationState.RUNNING,
                    running=True,
                    epoch=0,
                    service=service,
                    disabled=disabled,
                    servers={id: one for id, one in servers.items() if one["state"] in unfinished},
                    reason="",
                    created_at=now,
                )
                session.add(row)
            else:
                require_free(_record(row), now)
            give(row, owner, now)
            session.flush()
            return _record(row)

    @retried
    def heartbeat(self, id: str, epoch: int) -> None:
        """Say that the process still runs. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            _own(session, id, epoch).heartbeat_at = datetime.now(UTC)

    @retried
    def release(self, id: str, epoch: int) -> None:
        """Let another process go on with it. Does nothing when one has it already."""
        with Session(self._database.writer) as session, session.begin():
            row = session.get_one(EvacuationRow, id, with_for_update=True)
            if row.epoch == epoch:
                let_go(row)

    @retried
    def stop(self, id: str) -> EvacuationRecord:
        """Ask the process that is at it to stop, or the next one. Raises WrongState once it has ended."""
        with Session(self._database.writer) as session, session.begin():
            row = session.get_one(
                EvacuationRow, _find(session, id).id, with_for_update=True, populate_existing=True
            )
            if row.state != EvacuationState.RUNNING:
                raise WrongState(f"evacuation {row.id} is {row.state}", next_step="There is nothing to stop.")
            row.stopping = True
            return _record(row)

    @retried
    def get(self, id: str) -> EvacuationRecord:
        """An evacuation. Raises UnknownMigration or AmbiguousName."""
        with Session(self._database.reader) as session:
            return _record(_find(session, id))

    @retried
    def list(
        self, *, cloud: str | None = None, limit: int | None = None, marker: str | None = None
    ) -> tuple[EvacuationRecord, ...]:
        """Evacuations, newest first; those that come after the one whose id is ``marker``."""
        newest = EvacuationRow.created_at.desc()
        query = sa.select(EvacuationRow).order_by(newest, EvacuationRow.id).limit(limit)
        if cloud is not None:
            query = query.where(EvacuationRow.cloud == cloud)
        with Session(self._database.reader) as session:
            if marker is not None:
                query = query.where(following(EvacuationRow, _find(session, marker)))
            return tuple(map(_record, session.scalars(query)))

    @retried
    def keep(self, id: str, servers: Mapping[str, Mapping[str, Any]], *, epoch: int) -> EvacuationRecord:
        """Write how the servers stand. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            row = _own(session, id, epoch)
            row.servers = {key: dict(one) for key, one in servers.items()}
            return _record(row)

    @retried
    def end(self, id: str, state: EvacuationState, *, epoch: int, reason: str = "") -> EvacuationRecord:
        """Write how it ended. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            row = _own(session, id, epoch)
            row.state, row.reason, row.ended_at = state, reason, datetime.now(UTC)
            row.running = None
            let_go(row)
            return _record(row)

    @retried
    def last(self, cloud: str, host: str) -> EvacuationRecord | None:
        """The newest one of a host, if there is one: no other can be unfinished."""
        with Session(self._database.reader) as session:
            row = session.scalars(_newest_first(cloud, host)).first()
            return None if row is None else _record(row)


def _newest_first(cloud: str, host: str) -> sa.Select[EvacuationRow]:
    return (
        sa.select(EvacuationRow)
        .where(EvacuationRow.cloud == cloud, EvacuationRow.host == host)
        .order_by(EvacuationRow.created_at.desc(), EvacuationRow.id)
        .limit(1)
    )


def _own(session: Session, id: str, epoch: int) -> EvacuationRow:
    row = session.get_one(EvacuationRow, id, with_for_update=True)
    require_epoch(row, epoch, what="evacuation")
    return row


def require_free(record: EvacuationRecord, now: datetime) -> None:
    """Raise MigrationBusy while a living process is at it."""
    if record.at_work(now):
        raise MigrationBusy(
            f"host {record.host!r} of {record.cloud} is being evacuated already: {record.owner} is at it",
            next_step="Wait until that has ended.",
        )


def _find(session: Session, id: str) -> EvacuationRow:
    newest = EvacuationRow.created_at.desc()
    found = find_id(session, id, column=EvacuationRow.id, newest=newest, what="evacuation")
    return session.get_one(EvacuationRow, found)


def _record(row: EvacuationRow) -> EvacuationRecord:
    return EvacuationRecord(
        id=row.id,
        cloud=row.cloud,
        host=row.host,
        state=EvacuationState(row.state),
        service=row.service,
        disabled=row.disabled,
        servers=row.servers,
        stopping=row.stopping,
        reason=row.reason,
        created_at=row.created_at,
        ended_at=row.ended_at,
        owner=owner_of(row),
        heartbeat_at=row.heartbeat_at,
        epoch=row.epoch,
    )
