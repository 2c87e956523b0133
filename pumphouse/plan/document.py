"""The plan as a document: what is shown, saved, reviewed and applied later."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import networkx as nx

from pumphouse import errors
from pumphouse.compare import fingerprint
from pumphouse.model import Action, Ref, Resource, Scope
from pumphouse.resource import Problem, Severity

FORMAT = "pumphouse-plan"
VERSION = 1
_TOLD = 3
"""How many causes an error names."""
_LONGEST = 160
"""How many characters of a reason it tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedResource:
    """One resource of a plan, what is done with it, and why.

    ``resource`` is as it is wanted, with the source's ids; ``needs`` are the resources that come before it;
    ``before`` holds the destination's values of the fields that an update changes. ``bytes`` of data move
    with it, and it takes about ``seconds``. Of what is ``shared``, another migration may make it first.
    ``mode`` is how a server's root disk gets there, ``mover`` which way data take.
    """

    resource: Resource
    action: Action
    reason: str
    selected: str
    needs: tuple[Ref, ...] = ()
    destination_id: str | None = None
    changed: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    bytes: int = 0
    seconds: float = 0.0
    shared: bool = False
    mode: str = ""
    mover: str = ""

    @property
    def ref(self) -> Ref:
        """The source's reference."""
        return self.resource.ref

    @property
    def signature(self) -> str:
        """What must still be true when the plan is applied: the decision and the wanted fields."""
        return fingerprint(
            [self.action, self.destination_id, sorted(self.changed), dict(self.resource.fields)]
        )

    def to_dict(self) -> dict[str, Any]:
        """The planned resource as JSON."""
        return {
            "resource": self.resource.to_dict(),
            "action": str(self.action),
            "reason": self.reason,
            "selected": self.selected,
            "needs": [str(ref) for ref in self.needs],
            "destination_id": self.destination_id,
            "changed": list(self.changed),
            "before": dict(self.before),
            "problems": [asdict(problem) for problem in self.problems],
            "bytes": self.bytes,
            "seconds": self.seconds,
            "shared": self.shared,
            "mode": self.mode,
            "mover": self.mover,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PlannedResource:
        """The planned resource that ``to_dict`` wrote."""
        return cls(
            resource=Resource.from_dict(data["resource"]),
            action=Action(data["action"]),
            reason=data["reason"],
            selected=data["selected"],
            needs=tuple(Ref.parse(text) for text in data["needs"]),
            destination_id=data["destination_id"],
            changed=tuple(data["changed"]),
            before=dict(data["before"]),
            problems=tuple(
                Problem(**{**problem, "severity": Severity(problem["severity"])})
                for problem in data["problems"]
            ),
            bytes=data["bytes"],
            seconds=data["seconds"],
            shared=data.get("shared", False),
            mode=data.get("mode", ""),
            mover=data.get("mover", ""),
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be done, resource by resource, needed ones first."""

    id: str = ""
    """Given by the store; empty until then."""
    source: str
    destination: str
    scope: Scope
    resources: tuple[PlannedResource, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    floating_ips: str = "keep"
    """What becomes of floating addresses: a :class:`pumphouse.config.FloatingIPs`."""
    disk_mode: str = "image"
    """How servers' root disks travel, unless the overrides say otherwise: a :class:`DiskMode`."""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def by_ref(self) -> Mapping[Ref, PlannedResource]:
        """The resources by reference."""
        return {one.ref: one for one in self.resources}

    @cached_property
    def graph(self) -> nx.DiGraph[Ref]:
        """An edge ``a -> b`` says that ``b`` needs ``a``."""
        graph: nx.DiGraph[Ref] = nx.DiGraph()
        graph.add_nodes_from(one.ref for one in self.resources)
        graph.add_edges_from((need, one.ref) for one in self.resources for need in one.needs)
        return graph

    def generations(self) -> dict[Ref, int]:
        """How far each resource is from those that need nothing: 0 for them, and one more for each need."""
        layers = enumerate(nx.topological_generations(self.graph))
        return {ref: number for number, layer in layers for ref in layer}

    def counts(self) -> dict[Action, int]:
        """How many resources each action has."""
        found = Counter(one.action for one in self.resources)
        return {action: found[action] for action in Action}

    def doing(self, *actions: Action) -> list[PlannedResource]:
        """The resources with one of these actions."""
        return [one for one in self.resources if one.action in actions]

    @property
    def nothing_to_do(self) -> bool:
        """Whether applying it would write nothing."""
        return not self.doing(Action.CREATE, Action.UPDATE, Action.BLOCKED)

    def require_unblocked(self, *, see_all: str = "") -> None:
        """Raise PlanBlocked if anything is blocked: with the first causes, cut short, and how many there are.

        What is blocked only because of what it needs is no cause.

        :param see_all: the command that shows them all.
        """
        blocked = self.doing(Action.BLOCKED)
        if not blocked:
            return
        refs = {one.ref for one in blocked}
        causes = [one for one in blocked if refs.isdisjoint(one.needs)]
        first = "; ".join(f"{one.resource}: {_short(one.reason)}" for one in causes[:_TOLD])
        more = f"; and {len(causes) - _TOLD} more" if len(causes) > _TOLD else ""
        steps = (
            problem.next_step
            for one in causes
            for problem in one.problems
            if problem.severity is Severity.BLOCK and problem.next_step
        )
        advice = next(steps, "")
        if see_all and len(blocked) > 1:
            advice = f"{advice} See all with: {see_all}".lstrip()
        raise errors.PlanBlocked(
            f"{len(blocked)} of {len(self.resources)} resources are blocked: {first}{more}",
            next_step=advice,
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "id": self.id,
            "created_at": self.created_at.isoformat(),
            "source": self.source,
            "destination": self.destination,
            "scope": self.scope.to_dict(),
            "overrides": dict(self.overrides),
            "floating_ips": self.floating_ips,
            "disk_mode": self.disk_mode,
            "resources": [one.to_dict() for one in self.resources],
        }

    @classmethod
    def from_dict(cls, data: Any, *, where: str = "the plan") -> Plan:
        """The plan that ``to_dict`` wrote. Raises BadPlan for anything else."""
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise errors.BadPlan(f"{where} is not a plan of pumphouse")
        if data.get("version") != VERSION:
            raise errors.BadPlan(
                f"{where} has format version {data.get('version')}, this pumphouse reads {VERSION}",
            )
        try:
            return cls(
                id=data["id"],
                created_at=datetime.fromisoformat(data["created_at"]),
                source=data["source"],
                destination=data["destination"],
                scope=Scope.from_dict(data["scope"]),
                overrides=dict(data["overrides"]),
                floating_ips=data.get("floating_ips", cls.floating_ips),
                disk_mode=data.get("disk_mode", cls.disk_mode),
                resources=tuple(PlannedResource.from_dict(one) for one in data["resources"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise errors.BadPlan(f"{where} is damaged: {error!r}") from None

    def save(self, path: Path) -> None:
        """Write the plan as JSON. Raises BadPlan if the file cannot be written."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise errors.BadPlan(
                f"cannot write {path}: {error.strerror}", next_step="Name a place where you may write."
            ) from None

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read a plan that ``save`` wrote. Raises BadPlan."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise errors.BadPlan(f"cannot read {path}: {error.strerror}") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise errors.BadPlan(f"{path} is damaged: {error}") from None
        return cls.from_dict(data, where=str(path))


def _short(reason: str) -> str:
    return reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 1]}…"


def changes(old: Plan, new: Plan) -> list[str]:
    """What has changed from one plan to a fresh one of the same scope, in words; empty if nothing has."""
    found: list[str] = []
    for ref in sorted(old.by_ref.keys() | new.by_ref.keys()):
        before, after = old.by_ref.get(ref), new.by_ref.get(ref)
        if before is None and after is not None:
            # What nothing is done with may come and go.
            if after.action is not Action.SKIP:
                found.append(f"{after.resource} is new: {after.action}")
        elif after is None and before is not None:
            if before.action is not Action.SKIP:
                found.append(f"{before.resource} is gone")
        elif before is not None and after is not None and before.signature != after.signature:
            found.append(f"{after.resource}: {_change(before, after)}")
    return found


def _change(before: PlannedResource, after: PlannedResource) -> str:
    if before.action is not after.action:
        return f"{before.action} has become {after.action} ({after.reason})"
    old, new = before.resource.fields, after.resource.fields
    fields = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return f"{', '.join(fields)} changed" if fields else "the destination's one changed"


def require_fresh(old: Plan, new: Plan) -> None:
    """Raise StalePlan with what has changed."""
    found = changes(old, new)
    if found:
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise errors.StalePlan(
            f"the clouds have changed since plan {old.id} was made: {'; '.join(found[:5])}{more}"
        )


def gathered(plan: Plan, severity: Severity) -> Sequence[tuple[Problem, Sequence[PlannedResource]]]:
    """Each distinct problem of a severity once, with the resources that have it."""
    found: dict[Problem, list[PlannedResource]] = {}
    for one, problem in problems(plan, severity):
        found.setdefault(problem, []).append(one)
    return list(found.items())


def problems(plan: Plan, *severities: Severity) -> Iterable[tuple[PlannedResource, Problem]]:
    """Every problem of these severities (all if none are given), with its resource."""
    for one in plan.resources:
        for problem in one.problems:
            if not severities or problem.severity in severities:
                yield one, problem
