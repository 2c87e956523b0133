"""How a migration stands: what each of its resources has come to, what runs, what waits, and for how long.

Pure: made of the plan, the steps and the units as the service tells them. All parts of the page, and the
graph, show this one account.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import networkx as nx

from pumphouse.api.dashboard.states import Progress
from pumphouse.model import Action, Ref
from pumphouse.plan.document import Plan, PlannedResource
from pumphouse.service.steps import PENDING, StepRecord
from pumphouse.store.migrations import MigrationRecord
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
_LEAST_SHARE: Final = 0.03
"""Before so much is done, how long it took says little."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OfType:
    """The resources of one type that are worked on: how many, and how many have come how far."""

    name: str
    total: int
    counts: Mapping[Progress, int]
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Resources that wait for the same: for ``needs``, which are under way or come first themselves."""

    members: Sequence[Member]
    needs: Sequence[Member]


class Situation:
    """The account at ``now``."""

    def __init__(
        self,
        record: MigrationRecord,
        plan: Plan,
        steps: Iterable[StepRecord],
        units: Sequence[UnitRecord],
        *,
        now: datetime,
    ) -> None:
        self.record = record
        self.plan = plan
        self.units = units
        self.now = now
        of: dict[str, list[StepRecord]] = defaultdict(list)
        for step in steps:
            of[step.resource].append(step)
        tell = _Teller({unit.name: unit for unit in units}, record.state)
        self.members = [tell.member(one, of.get(str(one.ref), ())) for one in plan.resources]
        self.by_ref = {one.planned.ref: one for one in self.members}

    @cached_property
    def worked_on(self) -> Sequence[Member]:
        """The resources that the plan creates or updates."""
        return [one for one in self.members if one.planned.action in {Action.CREATE, Action.UPDATE}]

    @cached_property
    def counts(self) -> Counter[Progress]:
        """How many of them have come how far."""
        return Counter(one.progress for one in self.worked_on)

    @cached_property
    def share(self) -> float:
        """From 0 to 1, each resource by how long it is expected to take."""
        weights = [(one.planned.seconds + 0.5, one.share) for one in self.worked_on]
        total = sum(weight for weight, _ in weights)
        return sum(weight * share for weight, share in weights) / total if total else 1.0

    @cached_property
    def types(self) -> Sequence[OfType]:
        """By type, in the order of the plan."""
        of: dict[str, list[Member]] = defaultdict(list)
        for one in self.worked_on:
            of[one.planned.ref.type].append(one)
        return [
            OfType(
                name=name,
                total=len(found),
                counts=Counter(one.progress for one in found),
                share=sum(one.share for one in found) / len(found),
            )
            for name, found in of.items()
        ]

    @cached_property
    def running(self) -> Sequence[Member]:
        """What is under way now; who copies data and who was first come first."""
        found = [one for one in self.worked_on if one.running is not None]
        return sorted(found, key=lambda one: (not one.moves_data, _began(one), one.title))

    @cached_property
    def waiting(self) -> Sequence[Waiting]:
        """What has not begun, for it needs what has not ended; those that wait for the same together."""
        found: dict[tuple[Ref, ...], list[Member]] = defaultdict(list)
        for one in self.worked_on:
            if one.progress is Progress.PENDING:
                needs = tuple(
                    need
                    for need in one.planned.needs
                    if need in self.by_ref
                    and self.by_ref[need].progress in {Progress.PENDING, Progress.RUNNING, Progress.FAILED}
                )
                if needs:
                    found[needs].append(one)
        return [
            Waiting(members=those, needs=[self.by_ref[need] for need in needs])
            for needs, those in found.items()
        ]

    def held_up(self, member: Member) -> int:
        """How many resources wait for this one, directly or not."""
        after = nx.descendants(self.plan.graph, member.planned.ref)
        return sum(1 for ref in after if self.by_ref[ref].progress is Progress.PENDING)

    @cached_property
    def failed_units(self) -> Sequence[UnitRecord]:
        """The units that failed, and after them those that never ran for it."""
        order = (UnitState.FAILED, UnitState.SKIPPED)
        return [unit for state in order for unit in self.units if unit.state is state]

    @cached_property
    def failed_steps(self) -> Sequence[StepRecord]:
        """Steps whose failure stands, and that no unit tells of: what could not be taken back."""
        return [step for one in self.worked_on for step in one.steps if step.state == "REVERT_FAILURE"]

    @cached_property
    def bytes(self) -> tuple[int, int]:
        """How much data has arrived, and how much moves in all."""
        total = sum(one.planned.bytes for one in self.worked_on)
        arrived = 0.0
        for one in self.worked_on:
            if one.progress is Progress.DONE:
                arrived += one.planned.bytes
            elif one.running is not None:
                arrived += one.planned.bytes * (one.running.share or 0)
        return int(arrived), total

    @cached_property
    def seconds_left(self) -> float | None:
        """How long it is expected to take still; None while nobody can tell."""
        if self.record.state is not MigrationState.RUNNING or self.share < _LEAST_SHARE:
            return None
        return self._seconds_at_work() * (1 - self.share) / self.share

    def _seconds_at_work(self) -> float:
        """The time in which any step ran: neither pauses nor what came before the first one."""
        spans = sorted(
            (step.started_at, step.ended_at or self.now)
            for one in self.worked_on
            for step in one.steps
            if step.started_at is not None
        )
        total, until = 0.0, None
        for begin, end in spans:
            if until is None or begin > until:
                total += (end - begin).total_seconds()
                until = end
            elif end > until:
                total += (end - until).total_seconds()
                until = end
        return total

    @property
    def letters(self) -> str:
        """How far each resource has come, a letter each, in the order of the plan."""
        return "".join(one.progress for one in self.members)


def _began(member: Member) -> str:
    begun = member.running.started_at if member.running else None
    return begun.isoformat() if begun else ""


class _Teller:
    """Tells what the steps of a resource come to. Units know best what has failed or was taken back whole."""

    def __init__(self, units: Mapping[str, UnitRecord], state: MigrationState) -> None:
        self._units = units
        self._active = state.active
        self._back = state in _BACK

    def member(self, planned: PlannedResource, steps: Sequence[StepRecord]) -> Member:
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
