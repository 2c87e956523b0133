"""The steps of a migration as they are now: those that the plan holds, and what the events tell of each."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pumphouse.events import Event, MigrationChanged, StepChanged, StepProgressed
from pumphouse.flow.tasks import applying
from pumphouse.garbage import kept_from_collecting
from pumphouse.model import Action, Ref
from pumphouse.plan.document import Plan
from pumphouse.registry import Registry
from pumphouse.store.events import Events
from pumphouse.store.states import MigrationState

PENDING: Final = "PENDING"
"""A step that has not begun. All other states are TaskFlow's."""
_BEGUN: Final = frozenset({"RUNNING", "REVERTING"})
_MOST_KEPT: Final = 32
_PAGE: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step of one resource.

    ``share`` is from 0 to 1, while it runs and tells so; ``text`` goes with it. ``seconds`` is what it took.
    """

    resource: str
    name: str
    step: str
    doing: str
    state: str = PENDING
    unit: str = ""
    share: float | None = None
    text: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float | None = None
    error: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """What names it within its migration."""
        return f"{self.resource}/{self.step}"


class Steps:
    """The steps of one migration, in the order of its plan. It takes in events as they come."""

    def __init__(self, plan: Plan, registry: Registry) -> None:
        self.plan_id = plan.id
        self.after = 0
        self._ended = False
        self._names = {str(one.ref): one.resource.name for one in plan.resources}
        self._steps: dict[str, StepRecord] = {}
        for one in plan.doing(Action.CREATE, Action.UPDATE):
            for step in applying(one, registry):
                record = StepRecord(
                    resource=str(one.ref), name=one.resource.name, step=step.name, doing=step.doing
                )
                self._steps[record.key] = record

    def take(self, events: Iterable[Event]) -> None:
        """Take in what has happened."""
        for event in events:
            if isinstance(event, MigrationChanged):
                self._begun_anew(event)
            elif isinstance(event, StepChanged):
                self._changed(event)
            elif isinstance(event, StepProgressed):
                known = self._steps.get(f"{event.resource}/{event.step}")
                if known is not None and known.state in _BEGUN:
                    self._steps[known.key] = replace(known, share=event.share, text=event.text)

    def _begun_anew(self, event: MigrationChanged) -> None:
        """A run that follows the end of another one is a retry: nothing of it has been done yet."""
        state = MigrationState(event.state)
        if state is MigrationState.RUNNING and self._ended:
            self._steps = {
                key: StepRecord(resource=one.resource, name=one.name, step=one.step, doing=one.doing)
                for key, one in self._steps.items()
            }
        self._ended = state.ended

    def _changed(self, event: StepChanged) -> None:
        key = f"{event.resource}/{event.step}"
        known = self._steps.get(key) or StepRecord(
            resource=event.resource, name=event.name, step=event.step, doing=event.doing
        )
        if event.state in _BEGUN:
            fresh = replace(known, started_at=event.at, ended_at=None, seconds=None, error=None)
        else:
            fresh = replace(known, ended_at=event.at, seconds=event.seconds, error=event.error)
        self._steps[key] = replace(fresh, state=event.state, unit=event.unit, share=None, text="")

    def __iter__(self) -> Iterator[StepRecord]:
        return iter(list(self._steps.values()))

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """How many steps are in which state, by the resource's type."""
        found: dict[str, Counter[str]] = {}
        for one in self:
            found.setdefault(Ref.parse(one.resource).type, Counter())[one.state] += 1
        return {name: dict(sorted(states.items())) for name, states in found.items()}


class StepsOfAll:
    """The steps of the migrations that were asked for last: each asking reads only what is new.

    Threads may share it.

    :param plan_of: a migration's plan as it is now, which a retry changes.
    """

    def __init__(
        self, events: Events, registry: Callable[[], Registry], plan_of: Callable[[str], Plan]
    ) -> None:
        self._events = events
        self._registry = registry
        self._plan_of = plan_of
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Steps] = OrderedDict()

    def of(self, migration: str, plan_id: str) -> Sequence[StepRecord]:
        """The steps of a migration, by the order of its plan."""
        with self._lock:
            return list(self._current(migration, plan_id))

    def counts(self, migration: str, plan_id: str) -> Mapping[str, Mapping[str, int]]:
        """How many are in which state, by the resource's type."""
        with self._lock:
            return self._current(migration, plan_id).counts()

    def _current(self, migration: str, plan_id: str) -> Steps:
        steps = self._kept.get(migration)
        if steps is None or steps.plan_id != plan_id:
            steps = self._kept[migration] = Steps(self._plan_of(migration), self._registry())
        self._kept.move_to_end(migration)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        with kept_from_collecting():
            while page := self._events.read(after=steps.after, migration=migration, limit=_PAGE):
                steps.take(one.event() for one in page)
                steps.after = page[-1].seq
        return steps
