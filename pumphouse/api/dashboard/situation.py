"""How a migration stands: what runs, what waits, and for how long.

Pure: made of the plan, the steps and the units as the service tells them. All parts of the page, and the
graph, show this one account.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

import networkx as nx

from pumphouse.api.dashboard.members import Member, Teller
from pumphouse.api.dashboard.states import Progress
from pumphouse.model import Action, Ref
from pumphouse.plan.document import Plan
from pumphouse.service.steps import StepRecord
from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.units import UnitRecord

_LEAST_SHARE: Final = 0.03
"""Before so much is done, how long it took says little."""


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
        tell = Teller({unit.name: unit for unit in units}, record.state)
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
