"""What the events so far come to. Pure; the views of progress show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pumphouse.events import Event, MigrationChanged, StepChanged, StepProgressed, UnitChanged
from pumphouse.model import Ref

# TaskFlow's words for an atom.
STARTED: Final = frozenset({"RUNNING", "REVERTING"})
DONE: Final = "SUCCESS"
FAILED: Final = frozenset({"FAILURE", "REVERT_FAILURE"})
REVERTED: Final = "REVERTED"
# Ours for a migration.
ROLLING_BACK: Final = "ROLLING_BACK"


@dataclass(slots=True, kw_only=True)
class Running:
    """A step under way. ``share`` is from 0 to 1, None while nobody has told it."""

    title: str
    doing: str
    since: datetime
    share: float | None = None


@dataclass(kw_only=True)
class Tally:
    """Counts steps and resources.

    :param steps: the names of each type's steps; a resource is done with the last of them.
    :param resources: how many resources will be worked on.
    :param total: how many steps there will be. Both are 0 where that is unknown.
    """

    steps: Mapping[str, Sequence[str]] = field(default_factory=dict)
    resources: int = 0
    total: int = 0
    state: str = ""
    names: dict[str, str] = field(default_factory=dict)
    running: dict[tuple[str, str], Running] = field(default_factory=dict)
    finished: set[tuple[str, str]] = field(default_factory=set)
    complete: set[str] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)
    reverted: set[str] = field(default_factory=set)
    begun: dict[str, datetime] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, MigrationChanged):
            self.state = event.state
        elif isinstance(event, UnitChanged):
            self.begun.setdefault(event.unit, event.at)
        elif isinstance(event, StepChanged):
            self.members.setdefault(event.unit, set()).add(event.resource)
            self._step(event)
        elif isinstance(event, StepProgressed):
            step = self.running.get((event.resource, event.step))
            if step is not None:
                step.share = event.share

    def title(self, resource: str) -> str:
        """The type and name of a resource, by its reference: ``server web-1``."""
        kind, _, identity = resource.partition(":")
        return f"{kind.replace('_', ' ')} {self.names.get(resource) or identity}"

    def unit(self, name: str) -> str:
        """What a person reads for a unit's name, which holds ids: ``server web-1``, ``tenant shop``."""
        if ":" in name:
            return self.title(name)
        group, _, _phase = name.partition(".")
        word, _, identity = group.partition(" ")
        known = self.names.get(f"project:{identity}") if word == "tenant" else None
        return f"{word} {known or identity}".strip()

    def is_complete(self, event: StepChanged) -> bool:
        """Whether the event ends the last step of its resource."""
        steps = self.steps.get(Ref.parse(event.resource).type, ())
        return event.state == DONE and (not steps or event.step == steps[-1])

    def is_taken_back(self, event: StepChanged) -> bool:
        """Whether the event tells that an effect is gone. The last step only looks: it has none."""
        steps = self.steps.get(Ref.parse(event.resource).type, ())
        looks = len(steps) > 1 and event.step == steps[-1]
        return event.state == REVERTED and not looks and not self.is_cleanup(event)

    def is_cleanup(self, event: StepChanged) -> bool:
        """Whether a step is reverted only since what it made was for the time of the migration."""
        last = self.steps.get(Ref.parse(event.resource).type, ("",))[-1]
        return self.state != ROLLING_BACK and event.resource in self.complete and event.step != last

    def _step(self, event: StepChanged) -> None:
        key = (event.resource, event.step)
        self.names[event.resource] = event.name
        if event.state in STARTED:
            doing = event.doing or event.step
            self.running[key] = Running(
                title=self.title(event.resource),
                doing=self._undoing(event) if event.state == "REVERTING" else doing,
                since=event.at,
            )
            return
        self.running.pop(key, None)
        if event.state == DONE:
            self.finished.add(key)
            self.seconds[event.resource] = self.seconds.get(event.resource, 0.0) + (event.seconds or 0.0)
            if self.is_complete(event):
                self.complete.add(event.resource)
        elif event.state == REVERTED and not self.is_cleanup(event):
            self.finished.discard(key)
            self.complete.discard(event.resource)
            self.reverted.add(event.resource)

    def _undoing(self, event: StepChanged) -> str:
        return f"{'cleans up after' if self.is_cleanup(event) else 'takes back'}: {event.step}"
