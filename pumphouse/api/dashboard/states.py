"""How states look: a word, an icon and a tone each, so that colour is never the only sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pumphouse.model import Action
from pumphouse.report.model import Outcome
from pumphouse.service.moves import MoveState
from pumphouse.store.evacuations import EvacuationState
from pumphouse.store.states import MigrationState, OperationState, UnitState
from pumphouse.store.waves import WaveState


@dataclass(frozen=True, slots=True)
class Look:
    """A word for people, the name of an icon, and a tone: what the style sheet gives a colour."""

    word: str
    icon: str
    tone: str


class Progress(StrEnum):
    """How far one resource of a migration has come. The value is its letter on the wire."""

    DONE = "d"
    RUNNING = "r"
    PENDING = "p"
    FAILED = "f"
    UNDOING = "u"
    UNDONE = "b"
    REUSED = "e"
    SKIPPED = "s"
    BLOCKED = "x"


MIGRATIONS: Final[Mapping[MigrationState, Look]] = {
    MigrationState.PLANNED: Look("planned", "circle", "quiet"),
    MigrationState.RUNNING: Look("running", "play", "busy"),
    MigrationState.PAUSED: Look("paused", "pause", "care"),
    MigrationState.CANCELLING: Look("being cancelled", "back", "busy"),
    MigrationState.SUCCEEDED: Look("succeeded", "check", "good"),
    MigrationState.PARTIAL: Look("partly done", "half", "care"),
    MigrationState.FAILED: Look("failed", "cross", "bad"),
    MigrationState.CANCELLED: Look("cancelled", "stop", "quiet"),
    MigrationState.ROLLING_BACK: Look("rolling back", "back", "busy"),
    MigrationState.ROLLED_BACK: Look("rolled back", "back", "quiet"),
    MigrationState.ROLLBACK_INCOMPLETE: Look("not wholly rolled back", "warning", "bad"),
}
OPERATIONS: Final[Mapping[OperationState, Look]] = {
    OperationState.WAITING: Look("waiting", "clock", "quiet"),
    OperationState.RUNNING: Look("under way", "play", "busy"),
    OperationState.DONE: Look("done", "check", "good"),
    OperationState.FAILED: Look("failed", "cross", "bad"),
}
WAVES: Final[Mapping[WaveState, Look]] = {
    WaveState.PLANNED: Look("planned", "circle", "quiet"),
    WaveState.RUNNING: Look("running", "play", "busy"),
    WaveState.PAUSED: Look("waits", "pause", "care"),
    WaveState.SUCCEEDED: Look("succeeded", "check", "good"),
    WaveState.PARTIAL: Look("partly done", "half", "care"),
    WaveState.ROLLING_BACK: Look("rolling back", "back", "busy"),
    WaveState.ROLLED_BACK: Look("rolled back", "back", "quiet"),
    WaveState.ROLLBACK_INCOMPLETE: Look("not wholly rolled back", "warning", "bad"),
}
EVACUATIONS: Final[Mapping[EvacuationState, Look]] = {
    EvacuationState.RUNNING: Look("being emptied", "play", "busy"),
    EvacuationState.DONE: Look("empty", "check", "good"),
    EvacuationState.FAILED: Look("not empty", "warning", "bad"),
    EvacuationState.STOPPED: Look("stopped", "stop", "care"),
}
MOVES: Final[Mapping[MoveState, Look]] = {
    MoveState.WAITING: Look("waiting", "circle", "quiet"),
    MoveState.MOVING: Look("moving", "play", "busy"),
    MoveState.CONFIRMING: Look("being confirmed", "play", "busy"),
    MoveState.MOVED: Look("moved", "check", "good"),
    MoveState.GONE: Look("gone", "dash", "plain"),
    MoveState.LATE: Look("late", "clock", "care"),
    MoveState.STAYS: Look("stays", "block", "bad"),
}
UNITS: Final[Mapping[UnitState, Look]] = {
    UnitState.PENDING: Look("waiting", "circle", "quiet"),
    UnitState.RUNNING: Look("running", "play", "busy"),
    UnitState.SUCCEEDED: Look("done", "check", "good"),
    UnitState.FAILED: Look("failed", "cross", "bad"),
    UnitState.SKIPPED: Look("not begun", "dash", "care"),
    UnitState.ROLLED_BACK: Look("taken back", "back", "quiet"),
}
RESOURCES: Final[Mapping[Progress, Look]] = {
    Progress.DONE: Look("done", "check", "good"),
    Progress.RUNNING: Look("running", "play", "busy"),
    Progress.PENDING: Look("waiting", "circle", "quiet"),
    Progress.FAILED: Look("failed", "cross", "bad"),
    Progress.UNDOING: Look("being taken back", "back", "busy"),
    Progress.UNDONE: Look("taken back", "back", "quiet"),
    Progress.REUSED: Look("there already", "equal", "plain"),
    Progress.SKIPPED: Look("left out", "dash", "plain"),
    Progress.BLOCKED: Look("blocked", "block", "bad"),
}
ACTIONS: Final[Mapping[Action, Look]] = {
    Action.CREATE: Look("create", "plus", "good"),
    Action.UPDATE: Look("update", "up", "busy"),
    Action.REUSE: Look("reuse", "equal", "plain"),
    Action.SKIP: Look("skip", "dash", "quiet"),
    Action.BLOCKED: Look("blocked", "block", "bad"),
}
OUTCOMES: Final[Mapping[Outcome, Look]] = {
    Outcome.KEPT: Look("kept", "check", "good"),
    Outcome.CHANGED: Look("changed", "up", "busy"),
    Outcome.IMPOSSIBLE: Look("impossible", "block", "care"),
    Outcome.DIFFERS: Look("differs", "warning", "bad"),
    Outcome.MISSING: Look("missing", "cross", "bad"),
}
