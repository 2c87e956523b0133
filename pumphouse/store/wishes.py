"""What operators want of migrations, kept until it is done: a process that dies in the middle loses nothing.

A wish is fulfilled by whichever supervisor comes first. It ends with the migration, with a pause that was
asked for, and when somebody takes the migration into their own hands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.errors import MigrationBusy, WrongState
from pumphouse.store.database import Database, retried
from pumphouse.store.migrations import (
    MigrationRecord,
    find_row,
    locked_row,
    record_of,
    refuse_if_finalized,
    refuse_if_prepared,
)
from pumphouse.store.models import MigrationRow
from pumphouse.store.states import MigrationState


class Wish(StrEnum):
    """What a supervisor shall do with a migration."""

    RUN = "run"
    """Carry it out, or go on with it, with its cancel or its roll-back."""
    RETRY = "retry"
    CUTOVER = "cutover"
    CANCEL = "cancel"
    ROLLBACK = "rollback"
    VERIFY = "verify"


_S = MigrationState
_BEGUN = frozenset({_S.RUNNING, _S.PAUSED})
_RUN_ENDS = frozenset({_S.PARTIAL, _S.FAILED, _S.CANCELLED, _S.SUCCEEDED})

ALLOWED: Mapping[Wish, frozenset[MigrationState]] = {
    Wish.RUN: _BEGUN | {_S.PLANNED, _S.CANCELLING, _S.ROLLING_BACK},
    Wish.RETRY: _RUN_ENDS | {_S.ROLLED_BACK},
    Wish.CUTOVER: frozenset({_S.PAUSED}),
    Wish.CANCEL: _BEGUN | {_S.CANCELLING},
    Wish.ROLLBACK: _BEGUN
    | _RUN_ENDS
    | {_S.CANCELLING, _S.ROLLING_BACK, _S.ROLLBACK_INCOMPLETE, _S.ROLLED_BACK},
    Wish.VERIFY: _RUN_ENDS | {_S.PAUSED, _S.ROLLED_BACK, _S.ROLLBACK_INCOMPLETE},
}
"""In which states each may be wished for, while nobody is at work."""
_NOUNS = {
    Wish.RUN: "resume",
    Wish.RETRY: "retry",
    Wish.CUTOVER: "cutover",
    Wish.CANCEL: "cancel",
    Wish.ROLLBACK: "roll-back",
    Wish.VERIFY: "verification",
}


class Wishes:
    """The wishes of all migrations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def make(self, id: str, what: Wish, *, jobs: int | None = None) -> MigrationRecord:
        """Want something of a migration. The same wish again changes nothing.

        :param jobs: how many steps run at the same time from now on; None is as before.
        :raises WrongState: its state does not allow that.
        :raises MigrationBusy: a living process is at work on it, or something else is wanted of it.
        """
        with Session(self._database.writer) as session, session.begin():
            row = locked_row(session, find_row(session, id).id)
            record = record_of(row)
            if record.wanted == what:
                return record
            if record.wanted is not None:
                raise MigrationBusy(
                    f"migration {row.id} waits for another request: {record.wanted}",
                    next_step="Wait until that has begun, or pause it.",
                )
            # One that has stopped will be let go of in a moment; the supervisor waits for that.
            stopped = record.state.ended or record.state is MigrationState.PAUSED
            if not stopped and record.at_work(datetime.now(UTC)):
                raise MigrationBusy(
                    f"migration {row.id} is {row.state}, and {record.owner} is at work on it",
                    next_step="Pause it first, or wait until it ends.",
                )
            if what is Wish.ROLLBACK:
                refuse_if_finalized(row)
            if what is Wish.RUN:
                refuse_if_prepared(record)
            if record.state not in ALLOWED[what]:
                raise WrongState(
                    f"migration {row.id} is {row.state}, which allows no {_NOUNS[what]}",
                    next_step=f"See it with: pumphouse migration show {row.id}",
                )
            row.wanted, row.wanted_at = what, datetime.now(UTC)
            if jobs is not None:
                row.options = {**row.options, "jobs": jobs}
            # What an earlier process was asked for, and did, is no answer to this.
            row.request = None
            return record_of(row)

    @retried
    def open(self) -> tuple[MigrationRecord, ...]:
        """The migrations of which something is wanted, oldest wish first."""
        query = (
            sa.select(MigrationRow)
            .where(MigrationRow.wanted.is_not(None))
            .order_by(MigrationRow.wanted_at, MigrationRow.id)
        )
        with Session(self._database.reader) as session:
            return tuple(map(record_of, session.scalars(query)))

    @retried
    def drop(self, id: str, *, made_at: datetime | None = None) -> MigrationRecord:
        """Want nothing of a migration any longer, nor ask anything of who was at it.

        :param made_at: only if the wish is still the one that was made then.
        """
        with Session(self._database.writer) as session, session.begin():
            row = locked_row(session, find_row(session, id).id)
            if made_at is None or row.wanted_at == made_at:
                row.wanted = row.wanted_at = row.request = None
            return record_of(row)
