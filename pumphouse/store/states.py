"""The states of migrations and units, and the changes of state that are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class OperationState(StrEnum):
    """How far something that was asked for has come."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return self in {OperationState.DONE, OperationState.FAILED}


class UnitState(StrEnum):
    """How far a unit (one flow) has come."""

    PENDING = "PENDING"
    """Not begun, or suspended in the middle; it runs when the migration is resumed."""
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    """It failed and was reverted; or it could not be taken back as a whole."""
    SKIPPED = "SKIPPED"
    """It never ran, for something that it needs failed."""
    ROLLED_BACK = "ROLLED_BACK"
    """It had succeeded, or begun, and was taken back."""


class MigrationState(StrEnum):
    """How far a migration has come."""

    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    """What its run did in units that had not ended is being taken back. There is no way on from here."""
    SUCCEEDED = "SUCCEEDED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_INCOMPLETE = "ROLLBACK_INCOMPLETE"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return self in _ENDED

    @property
    def active(self) -> bool:
        """Whether a process is, or should be, at work on it."""
        return self in {MigrationState.RUNNING, MigrationState.CANCELLING, MigrationState.ROLLING_BACK}


_RUN_ENDS = frozenset(
    {
        MigrationState.SUCCEEDED,
        MigrationState.PARTIAL,
        MigrationState.FAILED,
        MigrationState.CANCELLED,
    }
)
_ENDED = _RUN_ENDS | {MigrationState.ROLLED_BACK, MigrationState.ROLLBACK_INCOMPLETE}
FINALIZABLE = frozenset({MigrationState.SUCCEEDED, MigrationState.PARTIAL})
"""Those in which what a migration leaves may be removed for good."""
_AGAIN = frozenset({MigrationState.RUNNING, MigrationState.ROLLING_BACK})

ALLOWED: Mapping[MigrationState, frozenset[MigrationState]] = {
    MigrationState.PLANNED: frozenset({MigrationState.RUNNING, MigrationState.CANCELLED}),
    MigrationState.RUNNING: _RUN_ENDS
    | {MigrationState.PAUSED, MigrationState.CANCELLING, MigrationState.ROLLING_BACK},
    MigrationState.PAUSED: _AGAIN | {MigrationState.CANCELLING},
    MigrationState.CANCELLING: frozenset({MigrationState.CANCELLED, MigrationState.ROLLING_BACK}),
    MigrationState.SUCCEEDED: _AGAIN,
    MigrationState.PARTIAL: _AGAIN,
    MigrationState.FAILED: _AGAIN,
    MigrationState.CANCELLED: _AGAIN,
    MigrationState.ROLLING_BACK: frozenset(
        {MigrationState.ROLLED_BACK, MigrationState.ROLLBACK_INCOMPLETE, MigrationState.PAUSED}
    ),
    MigrationState.ROLLED_BACK: _AGAIN,
    MigrationState.ROLLBACK_INCOMPLETE: _AGAIN,
}
"""From each state to those that may follow. The same state again is always allowed, and changes nothing."""
