"""What was asked for and takes more than a moment, kept until it is done, and what it came to.

Whichever process comes first takes an operation. One whose process has died can be taken again: it only reads
clouds before its end, or goes on from what the store says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.errors import Fenced, KeyReused
from pumphouse.events import OperationEnded
from pumphouse.store.database import Database, retried
from pumphouse.store.events import append_in
from pumphouse.store.migrations import RequestKey
from pumphouse.store.models import OperationRow, WaveRow
from pumphouse.store.names import find_id, following, new_id
from pumphouse.store.owner import Owner
from pumphouse.store.states import OperationState
from pumphouse.store.taking import give, let_go, owner_of

KEPT = timedelta(days=30)
"""How long it is remembered what was asked for, after it has ended."""
_S = OperationState
_OPEN = (_S.WAITING, _S.RUNNING)


class OperationKind(StrEnum):
    """What can be asked for."""

    REFRESH = "refresh"
    """Read a cloud as a whole."""
    PLAN = "plan"
    """Read both clouds and make a plan."""
    MIGRATE = "migrate"
    """Make a plan, or see that one still holds, and begin to carry it out."""
    FINALIZABLE = "finalizable"
    """See what of a migration could be removed for good."""
    FINALIZE = "finalize"
    """Remove for good what was seen."""
    PLAN_WAVE = "plan_wave"
    """Plan the groups of a wave."""
    RUN_WAVE = "run_wave"
    """Carry out what is left of a wave."""
    ROLLBACK_WAVE = "rollback_wave"
    """Take all groups of a wave back."""
    EVACUATE = "evacuate"
    """Empty a hypervisor inside its cloud."""

    @property
    def long(self) -> bool:
        """Whether it takes hours or days, and not minutes."""
        return self in {OperationKind.RUN_WAVE, OperationKind.ROLLBACK_WAVE, OperationKind.EVACUATE}

    @property
    def only_reads(self) -> bool:
        """Whether it writes to no cloud. A migration that begins is at work by itself."""
        return self is not OperationKind.FINALIZE and not self.long


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord:
    """An operation as it is now.

    ``progress`` tells what was read: by cloud, by type, how many. ``attempts`` counts the processes that
    have begun it. ``cloud`` and the other ids are what it is about and has made. ``left`` is what of it could
    not be done, in words. ``error`` is the error tree's JSON.
    """

    id: str
    kind: OperationKind
    state: OperationState
    asked_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    owner: Owner | None
    heartbeat_at: datetime | None
    attempts: int
    progress: Mapping[str, Mapping[str, int]]
    cloud: str | None
    plan_id: str | None
    migration_id: str | None
    wave_id: str | None
    evacuation_id: str | None
    left: tuple[str, ...]
    error: Mapping[str, Any] | None

    def at_work(self, now: datetime) -> bool:
        """Whether a living process is at it."""
        return self.owner is not None and self.owner.alive(heartbeat_at=self.heartbeat_at, now=now)


class Operations:
    """The operations of the store. An id may be given as :func:`pumphouse.store.names.find_id` says."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def make(
        self,
        kind: OperationKind,
        asked: Mapping[str, Any],
        *,
        asked_by: str,
        cloud: str | None = None,
        migration_id: str | None = None,
        wave_id: str | None = None,
        key: RequestKey | None = None,
    ) -> OperationRecord:
        """A new one, WAITING; or the one that the same request has made before.

        :param asked: what is wanted, as JSON without secrets.
        :param cloud: the cloud that it is about. While it is about to be read nobody else need ask for that.
        :param migration_id: the migration that it is about.
        :param wave_id: the wave that it is about. There is one at a time.
        :raises KeyReused: another request with the same key has made one.
        """
        with Session(self._database.writer) as session, session.begin():
            now = datetime.now(UTC)
            _forget(session, now)
            known = _same(session, kind, cloud, wave_id) if key is None else _of_key(session, key)
            if known is not None:
                return _record(known)
            row = OperationRow(
                id=new_id("o"),
                kind=kind,
                state=_S.WAITING,
                asked=dict(asked),
                asked_by=asked_by[:255],
                created_at=now,
                cloud=cloud,
                migration_id=migration_id,
                wave_id=wave_id,
                request_key=key.key if key else None,
                request_digest=key.digest if key else None,
            )
            session.add(row)
            session.flush()
            return _record(row)

    @retried
    def of_key(self, key: RequestKey) -> OperationRecord | None:
        """The one that the same request has made before, if any. Raises KeyReused."""
        with Session(self._database.reader) as session:
            row = _of_key(session, key)
            return None if row is None else _record(row)

    @retried
    def get(self, id: str) -> OperationRecord:
        """One. Raises UnknownMigration or AmbiguousName."""
        with Session(self._database.reader) as session:
            return _record(_find(session, id))

    @retried
    def asked(self, id: str) -> dict[str, Any]:
        """What was asked for. Raises as :meth:`get` does."""
        with Session(self._database.reader) as session:
            asked: dict[str, Any] = _find(session, id).asked
            return asked

    @retried
    def found(self, id: str) -> Any:
        """What it has found, as JSON; None if there is nothing. Raises as :meth:`get` does."""
        with Session(self._database.reader) as session:
            return _find(session, id).found

    @retried
    def newest(self, kind: OperationKind, migration_id: str) -> OperationRecord | None:
        """The last one of a kind about a migration that is done."""
        query = (
            sa.select(OperationRow)
            .where(
                OperationRow.kind == kind,
                OperationRow.migration_id == migration_id,
                OperationRow.state == _S.DONE,
            )
            .order_by(OperationRow.ended_at.desc(), OperationRow.id)
            .limit(1)
        )
        with Session(self._database.reader) as session:
            row = session.scalars(query).first()
            return None if row is None else _record(row)

    @retried
    def list(
        self, *, state: OperationState | None = None, limit: int | None = None, marker: str | None = None
    ) -> tuple[OperationRecord, ...]:
        """Operations, newest first; those that come after the one whose id is ``marker``.

        Raises UnknownMigration for a marker that is none's.
        """
        query = sa.select(OperationRow).order_by(OperationRow.created_at.desc(), OperationRow.id).limit(limit)
        if state is not None:
            query = query.where(OperationRow.state == state)
        with Session(self._database.reader) as session:
            if marker is not None:
                query = query.where(following(OperationRow, _find(session, marker)))
            return tuple(map(_record, session.scalars(query)))

    @retried
    def open(self) -> tuple[OperationRecord, ...]:
        """Those that have not ended, oldest first."""
        query = (
            sa.select(OperationRow)
            .where(OperationRow.state.in_(_OPEN))
            .order_by(OperationRow.created_at, OperationRow.id)
        )
        with Session(self._database.reader) as session:
            return tuple(map(_record, session.scalars(query)))

    # -- the process at work

    @retried
    def take(self, id: str, owner: Owner) -> OperationRecord | None:
        """Make ``owner`` the process that is at it; None if it has ended, or a living one has it."""
        with Session(self._database.writer) as session, session.begin():
            row = _locked(session, id)
            now = datetime.now(UTC)
            if row is None or row.state not in _OPEN or _record(row).at_work(now):
                return None
            row.state, row.started_at, row.progress = _S.RUNNING, now, {}
            give(row, owner, now)
            row.attempts += 1
            return _record(row)

    @retried
    def tell(self, id: str, owner: Owner, progress: Mapping[str, Mapping[str, int]]) -> None:
        """Say that the process still runs, and what it has read. Raises Fenced.

        Due every few seconds, well within :data:`pumphouse.store.owner.FRESH`.
        """
        with Session(self._database.writer) as session, session.begin():
            row = _own(session, id, owner)
            row.heartbeat_at = datetime.now(UTC)
            row.progress = _plain(progress)

    @retried
    def begun(self, id: str, owner: Owner, *, evacuation_id: str) -> None:
        """Write which evacuation it has begun, before its end. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            _own(session, id, owner).evacuation_id = evacuation_id

    @retried
    def give_back(self, id: str, owner: Owner) -> None:
        """Let another process do it: this one ends. Raises Fenced."""
        with Session(self._database.writer) as session, session.begin():
            row = _own(session, id, owner)
            row.state, row.progress, row.attempts = _S.WAITING, {}, row.attempts - 1
            let_go(row)

    @retried
    def end(
        self,
        id: str,
        owner: Owner,
        *,
        progress: Mapping[str, Mapping[str, int]],
        plan_id: str | None = None,
        migration_id: str | None = None,
        wave_id: str | None = None,
        found: Any = None,
        left: Sequence[str] = (),
        error: Mapping[str, Any] | None = None,
    ) -> OperationRecord:
        """It is done, or with an error it has failed; and the event that tells so. Raises Fenced.

        :param found: what it was to find, as JSON without secrets.
        :param left: what of it could not be done, in words.
        """
        with Session(self._database.writer) as session, session.begin():
            row = _own(session, id, owner)
            row.state = _S.DONE if error is None else _S.FAILED
            row.ended_at = datetime.now(UTC)
            row.progress = _plain(progress)
            row.plan_id, row.migration_id, row.wave_id = plan_id, migration_id, wave_id
            row.found, row.left = found, list(left)
            row.error = None if error is None else dict(error)
            let_go(row)
            event = OperationEnded(
                migration=migration_id or "",
                operation=row.id,
                asked=row.kind,
                who=row.asked_by,
                cloud=row.cloud or "",
                plan=plan_id or "",
                wave=wave_id or "",
                evacuation=row.evacuation_id or "",
                left=row.left,
                error=row.error,
            )
            session.flush()
            append_in(session, [event])
            return _record(row)


def _find(session: Session, id: str) -> OperationRow:
    newest = OperationRow.created_at.desc()
    return session.get_one(
        OperationRow, find_id(session, id, column=OperationRow.id, newest=newest, what="operation")
    )


def _locked(session: Session, id: str) -> OperationRow | None:
    return session.get(OperationRow, id, with_for_update=True, populate_existing=True)


def _own(session: Session, id: str, owner: Owner) -> OperationRow:
    row = _locked(session, id)
    found = None if row is None or row.state != _S.RUNNING else owner_of(row)
    if row is None or found is None or not found.same(owner):
        raise Fenced(f"operation {id} is no longer this process's")
    return row


def _of_key(session: Session, key: RequestKey) -> OperationRow | None:
    row = session.scalars(sa.select(OperationRow).where(OperationRow.request_key == key.key)).first()
    if row is not None and row.request_digest != key.digest:
        raise KeyReused(f"another request with this key has made operation {row.id}")
    return row


def _same(
    session: Session, kind: OperationKind, cloud: str | None, wave_id: str | None
) -> OperationRow | None:
    """The one that is about to read the same cloud, or is at work on the same wave."""
    query = sa.select(OperationRow).where(OperationRow.state.in_(_OPEN)).order_by(OperationRow.created_at)
    if wave_id is not None:
        session.get_one(WaveRow, wave_id, with_for_update=True)  # two cannot pass here at once
        return session.scalars(query.where(OperationRow.wave_id == wave_id)).first()
    if kind is OperationKind.REFRESH:
        return session.scalars(query.where(OperationRow.kind == kind, OperationRow.cloud == cloud)).first()
    return None


def _forget(session: Session, now: datetime) -> None:
    """Those that ended long ago; but for what began migrations, which must never be begun twice."""
    begun = sa.and_(OperationRow.kind == OperationKind.MIGRATE, OperationRow.migration_id.is_not(None))
    old = sa.and_(OperationRow.ended_at < now - KEPT, sa.not_(begun))
    session.execute(sa.delete(OperationRow).where(old))


def _plain(progress: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {cloud: dict(counts) for cloud, counts in progress.items()}


def _record(row: OperationRow) -> OperationRecord:
    return OperationRecord(
        id=row.id,
        kind=OperationKind(row.kind),
        state=OperationState(row.state),
        asked_by=row.asked_by,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        owner=owner_of(row),
        heartbeat_at=row.heartbeat_at,
        attempts=row.attempts,
        progress=row.progress,
        cloud=row.cloud,
        plan_id=row.plan_id,
        migration_id=row.migration_id,
        wave_id=row.wave_id,
        evacuation_id=row.evacuation_id,
        left=tuple(row.left or ()),
        error=row.error,
    )
