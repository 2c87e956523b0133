"""Hypervisors that are being emptied: which servers move how, and who disabled the compute service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.errors import MigrationBusy
from pumphouse.store.database import Database, retried
from pumphouse.store.models import EvacuationRow
from pumphouse.store.names import new_id
from pumphouse.store.owner import Owner
from pumphouse.store.taking import give, let_go, living_owner, require_epoch


class EvacuationState(StrEnum):
    """How far it has come."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    """The host is empty, and its compute service is disabled."""
    FAILED = "FAILED"
    """Some servers stay, and the compute service is as it was before."""
    STOPPED = "STOPPED"
    """As FAILED, because somebody asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvacuationRecord:
    """One evacuation. ``disabled`` says that it disabled the compute service; ``servers`` is by their ids."""

    id: str
    cloud: str
    host: str
    state: EvacuationState
    service: str
    disabled: bool
    servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reason: str
    created_at: datetime
    ended_at: datetime | None
    epoch: int
    """What fences the process that has begun it from those before."""


class Evacuations:
    """Evacuations in the store."""

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
            elif other := living_owner(row, now):
                raise MigrationBusy(
                    f"host {host!r} of {cloud} is being evacuated already: {other} is at it",
                    next_step="Wait until that has ended.",
                )
            give(row, owner, now)
            session.flush()
            return _record(row)

    @retried
    def heartbeat(self, id: str, epoch: int) -> None:
        """Say that the process still runs. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            _own(session, id, epoch).heartbeat_at = datetime.now(UTC)

    @retried
    def keep(self, id: str, servers: Mapping[str, Mapping[str, Any]], *, epoch: int) -> None:
        """Write how the servers stand. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            _own(session, id, epoch).servers = {key: dict(one) for key, one in servers.items()}

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


def _record(row: EvacuationRow) -> EvacuationRecord:
    return EvacuationRecord(
        id=row.id,
        cloud=row.cloud,
        host=row.host,
        state=EvacuationState(row.state),
        service=row.service,
        disabled=row.disabled,
        servers=row.servers,
        reason=row.reason,
        created_at=row.created_at,
        ended_at=row.ended_at,
        epoch=row.epoch,
    )
