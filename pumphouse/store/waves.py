"""Waves: groups that migrate in an order, each as a migration of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.errors import MigrationBusy
from pumphouse.store.database import Database, retried
from pumphouse.store.models import WaveRow
from pumphouse.store.names import find_id, following, new_id
from pumphouse.store.owner import Owner
from pumphouse.store.taking import give, let_go, living_owner, owner_of, require_epoch


class WaveState(StrEnum):
    """How far a wave has come."""

    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    """It waits for somebody's word, or too much has failed."""
    SUCCEEDED = "SUCCEEDED"
    PARTIAL = "PARTIAL"
    ROLLING_BACK = "ROLLING_BACK"
    """From its first group on, also where it was stopped: there is no way forwards from here."""
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_INCOMPLETE = "ROLLBACK_INCOMPLETE"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return self not in {
            WaveState.PLANNED,
            WaveState.RUNNING,
            WaveState.PAUSED,
            WaveState.ROLLING_BACK,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group: what it moves, when it may begin, its plan, and its migration once it has begun.

    ``start`` is a time (ISO 8601, UTC), ``ask`` for somebody's word, or empty. ``allowed`` says that the word
    was given, ``failed`` why it could not begin.
    """

    name: str
    kind: str
    names: tuple[str, ...]
    start: str = ""
    plan_id: str
    migration_id: str = ""
    allowed: bool = False
    failed: str = ""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Group:
        """The group that the store keeps."""
        return cls(**{**data, "names": tuple(data["names"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRecord:
    """A wave as it is now. ``stop_at`` is a share of servers, from 0 to 1; None stops at any failure."""

    id: str
    name: str
    state: WaveState
    source: str
    destination: str
    servers_at_once: int | None
    stop_at: float | None
    groups: tuple[Group, ...]
    pausing: bool
    """Whether somebody has asked for a pause."""
    reason: str
    created_at: datetime
    ended_at: datetime | None
    owner: Owner | None
    heartbeat_at: datetime | None
    epoch: int
    """How many processes have taken it. Each fences all earlier ones."""

    def at_work(self, now: datetime) -> bool:
        """Whether a living process is at work on it."""
        return self.owner is not None and self.owner.alive(heartbeat_at=self.heartbeat_at, now=now)


class Waves:
    """Waves in the store. An id may be given as :func:`pumphouse.store.names.find_id` says."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def create(
        self,
        *,
        name: str,
        source: str,
        destination: str,
        servers_at_once: int | None,
        stop_at: float | None,
        groups: Sequence[Group],
    ) -> WaveRecord:
        """A new wave, PLANNED."""
        with Session(self._database.writer) as session, session.begin():
            row = WaveRow(
                id=new_id("w"),
                name=name[:255],
                state=WaveState.PLANNED,
                source=source,
                destination=destination,
                servers_at_once=servers_at_once,
                stop_at=stop_at,
                groups=[asdict(one) for one in groups],
                reason="",
                created_at=datetime.now(UTC),
            )
            session.add(row)
            session.flush()
            return _record(row)

    @retried
    def get(self, id: str) -> WaveRecord:
        """A wave. Raises UnknownMigration or AmbiguousName."""
        with Session(self._database.reader) as session:
            return _record(_find(session, id))

    @retried
    def list(self, *, limit: int | None = None, marker: str | None = None) -> tuple[WaveRecord, ...]:
        """Waves, newest first; those that come after the one whose id is ``marker``."""
        query = sa.select(WaveRow).order_by(WaveRow.created_at.desc(), WaveRow.id).limit(limit)
        with Session(self._database.reader) as session:
            if marker is not None:
                query = query.where(following(WaveRow, _find(session, marker)))
            return tuple(map(_record, session.scalars(query)))

    @retried
    def take(self, id: str, owner: Owner) -> WaveRecord:
        """Make a process the one that is at it. Raises MigrationBusy when a living one is."""
        with Session(self._database.writer) as session, session.begin():
            row = _locked(session, _find(session, id).id)
            now = datetime.now(UTC)
            if other := living_owner(row, now):
                raise MigrationBusy(
                    f"wave {row.id} is already at work: {other} has it", next_step="Wait until it ends."
                )
            give(row, owner, now)
            return _record(row)

    @retried
    def heartbeat(self, id: str, epoch: int) -> None:
        """Say that the process still runs. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            _locked(session, id, epoch).heartbeat_at = datetime.now(UTC)

    @retried
    def release(self, id: str, epoch: int) -> None:
        """Let go of it. Does nothing when another process has it already."""
        with Session(self._database.writer) as session, session.begin():
            row = _locked(session, id)
            if row.epoch == epoch:
                let_go(row)
                row.pausing = False

    @retried
    def pause(self, id: str) -> WaveRecord:
        """Ask whoever is at it, or will be, to pause."""
        with Session(self._database.writer) as session, session.begin():
            row = _locked(session, _find(session, id).id)
            row.pausing = True
            return _record(row)

    @retried
    def change(self, id: str, *, state: WaveState, reason: str = "", epoch: int | None = None) -> WaveRecord:
        """Write its state.

        :param epoch: of :meth:`take`, where the process at work changes it.
        :raises Fenced: another process has taken it over.
        """
        with Session(self._database.writer) as session, session.begin():
            row = _locked(session, id, epoch)
            row.state, row.reason = state, reason
            row.ended_at = datetime.now(UTC) if state.ended else None
            return _record(row)

    @retried
    def set_group(self, id: str, number: int, *, epoch: int, **changes: Any) -> Group:
        """Write what has changed of one of its groups. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            return _set_group(_locked(session, id, epoch), number, changes)

    @retried
    def allow(self, id: str, waiting: Callable[[Group], str]) -> None:
        """Give the word to the group for which it waits, if there is one, and forget a pause nobody heard.

        :param waiting: the reason of a wave that waits for a group.
        """
        with Session(self._database.writer) as session, session.begin():
            row = _locked(session, _find(session, id).id)
            if living_owner(row, datetime.now(UTC)) is None:
                row.pausing = False
            for number, group in enumerate(_record(row).groups):
                if row.state == WaveState.PAUSED and row.reason == waiting(group):
                    _set_group(row, number, {"allowed": True})


def _find(session: Session, id: str) -> WaveRow:
    found = find_id(session, id, column=WaveRow.id, newest=WaveRow.created_at.desc(), what="wave")
    return session.get_one(WaveRow, found)


def _locked(session: Session, id: str, epoch: int | None = None) -> WaveRow:
    row = session.get_one(WaveRow, id, with_for_update=True, populate_existing=True)
    require_epoch(row, epoch, what="wave")
    return row


def _set_group(row: WaveRow, number: int, changes: Mapping[str, Any]) -> Group:
    group = replace(Group.of(row.groups[number]), **changes)
    row.groups = [asdict(group) if here == number else one for here, one in enumerate(row.groups)]
    return group


def _record(row: WaveRow) -> WaveRecord:
    return WaveRecord(
        id=row.id,
        name=row.name,
        state=WaveState(row.state),
        source=row.source,
        destination=row.destination,
        servers_at_once=row.servers_at_once,
        stop_at=row.stop_at,
        groups=tuple(map(Group.of, row.groups)),
        pausing=row.pausing,
        reason=row.reason,
        created_at=row.created_at,
        ended_at=row.ended_at,
        owner=owner_of(row),
        heartbeat_at=row.heartbeat_at,
        epoch=row.epoch,
    )
