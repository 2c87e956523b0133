"""What each resource of a migration has come to, as its steps and its unit tell. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pumphouse.api.dashboard.states import Progress
from pumphouse.model import Action
from pumphouse.plan.document import PlannedResource
from pumphouse.service.steps import PENDING, StepRecord
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.units import UnitRecord

_BY_ACTION: Final = {
    Action.REUSE: Progress.REUSED,
    Action.SKIP: Progress.SKIPPED,
    Action.BLOCKED: Progress.BLOCKED,
}
_BACK: Final = frozenset(
    {MigrationState.ROLLING_BACK, MigrationState.ROLLED_BACK, MigrationState.ROLLBACK_INCOMPLETE}
)
_ENDS: Final = {UnitState.FAILED: Progress.FAILED, UnitState.ROLLED_BACK: Progress.UNDONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One resource of the migration: what is planned, its steps, and how far it has come.

    ``share`` is from 0 to 1, of its steps; ``running`` is the step under way.
    """

    planned: PlannedResource
    progress: Progress
    share: float
    steps: Sequence[StepRecord]
    running: StepRecord | None

    @property
    def title(self) -> str:
        """The type and name."""
        return (
            f"{self.planned.ref.type.replace('_', ' ')} {self.planned.resource.name or self.planned.ref.id}"
        )

    @property
    def moves_data(self) -> bool:
        """Whether the step under way tells how far it is, of data whose size is known."""
        step = self.running
        return step is not None and bool(step.share) and self.planned.bytes > 0

    def rate(self, now: datetime) -> float | None:
        """Bytes per second of the data that it copies now."""
        step = self.running
        if step is None or not step.share or not self.planned.bytes or step.started_at is None:
            return None
        return self.planned.bytes * step.share / max((now - step.started_at).total_seconds(), 0.1)


class Teller:
    """Tells what the steps of a resource come to. Units know best what has failed or was taken back whole."""

    def __init__(self, units: Mapping[str, UnitRecord], state: MigrationState) -> None:
        self._units = units
        self._active = state.active
        self._back = state in _BACK

    def member(self, planned: PlannedResource, steps: Sequence[StepRecord]) -> Member:
        """A resource of the migration."""
        progress = _BY_ACTION.get(planned.action) or self._progress(planned, steps)
        running = None
        if self._active:
            running = next((step for step in steps if step.state in {"RUNNING", "REVERTING"}), None)
        return Member(
            planned=planned, progress=progress, share=_share(steps, progress), steps=steps, running=running
        )

    def _progress(self, planned: PlannedResource, steps: Sequence[StepRecord]) -> Progress:
        found = {step.state for step in steps}
        unit = next((self._units[step.unit] for step in steps if step.unit in self._units), None)
        if not steps:
            return Progress.DONE
        if "REVERTING" in found and self._active:
            # At the end of a run, what was only for the time of it is removed: that takes nothing back.
            return Progress.UNDOING if self._back or steps[-1].state != "SUCCESS" else Progress.DONE
        if "REVERT_FAILURE" in found:
            return Progress.FAILED
        ended = _ENDS.get(unit.state) if unit is not None else None
        if self._back:
            undone = "REVERTED" in found or ended is Progress.UNDONE or found == {PENDING}
            return Progress.UNDONE if undone else Progress.DONE
        if unit is not None and ended is Progress.FAILED:
            others = error_of(unit).get("resource") not in {None, "", str(planned.resource)}
            return Progress.UNDONE if others else Progress.FAILED
        return ended or self._of_steps(steps, begun=unit is not None and unit.state is UnitState.RUNNING)

    def _of_steps(self, steps: Sequence[StepRecord], *, begun: bool) -> Progress:
        if steps[-1].state == "SUCCESS":
            return Progress.DONE
        found = {step.state for step in steps}
        runs = "RUNNING" in found or (begun and "SUCCESS" in found)
        return Progress.RUNNING if self._active and runs else Progress.PENDING


def _share(steps: Sequence[StepRecord], progress: Progress) -> float:
    if progress is Progress.DONE:
        return 1.0
    if progress in {Progress.UNDONE, Progress.FAILED} or not steps:
        return 0.0
    done = sum(1.0 if step.state == "SUCCESS" else (step.share or 0.0) for step in steps)
    return min(done / len(steps), 1.0)


def error_of(unit: UnitRecord) -> Mapping[str, Any]:
    """A unit's error as the error tree tells it; of an older one only its reason."""
    return unit.error or {"message": unit.reason}
