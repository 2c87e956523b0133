"""Find quotas that would not suffice, before anything is written, and set them before what they are for.

Stands after the checks, since what is blocked is not counted. The limit is the one that the plan sets, else
the destination's; what the destination's project uses already counts against it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from pumphouse.model import Action, Ref
from pumphouse.plan.draft import Draft, Node
from pumphouse.resource import Problem, Severity

UNLIMITED = -1


def apply(draft: Draft) -> None:
    """Block a project's quota where what is created exceeds it; else it comes before what consumes it."""
    needed: dict[str, Counter[str]] = defaultdict(Counter)
    for node in draft.nodes.values():
        project = node.resource.project_id
        if node.action is Action.CREATE and project:
            consumed = draft.kind(node.resource.ref).consumes(node.resource, draft.source)
            needed[project].update(consumed)
            quota = draft.nodes.get(Ref("quota", project))
            if consumed and quota is not None and quota.action in {Action.CREATE, Action.UPDATE}:
                draft.graph.add_edge(quota.resource.ref, node.resource.ref)
    for node in list(draft.nodes.values()):
        if node.resource.ref.type == "quota" and node.resource.project_id in needed:
            _check(draft, node, needed[node.resource.project_id])
            del needed[node.resource.project_id]
    for project_id, counts in needed.items():
        _check_project(draft, draft.nodes.get(Ref("project", project_id)), counts)


def _check(draft: Draft, node: Node, needed: Counter[str]) -> None:
    """A project whose quota is in the plan."""
    writes = node.action in {Action.CREATE, Action.UPDATE}
    there = node.destination
    limits = dict(_flat(there.fields if there else draft.destination.facts.get("quota", {})))
    if writes:
        limits.update(_flat(node.resource.fields))
    used = dict(_flat(there.facts.get("used", {}))) if there else {}
    _compare(node, needed, limits, used)


def _check_project(draft: Draft, node: Node | None, needed: Counter[str]) -> None:
    """A project whose quota is not: what the destination says of it, or its defaults."""
    if node is None:
        return
    there = node.destination
    quota = next(
        (one for one in draft.destination.of_type("quota") if there and one.project_id == there.ref.id), None
    )
    limits = dict(_flat(quota.fields if quota else draft.destination.facts.get("quota", {})))
    used = dict(_flat(quota.facts.get("used", {}))) if quota else {}
    _compare(node, needed, limits, used)


def _compare(node: Node, needed: Counter[str], limits: Mapping[str, int], used: Mapping[str, int]) -> None:
    for name, count in sorted(needed.items()):
        limit = limits.get(name, UNLIMITED)
        taken = used.get(name, 0)
        if limit != UNLIMITED and taken + count > limit:
            node.block(
                Problem(
                    severity=Severity.BLOCK,
                    summary=f"quota {name} is {limit}, {taken} are used and {count} more are needed",
                    next_step="Raise that quota on the destination, or on the source before planning again.",
                )
            )


def _flat(limits: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """``{"compute": {"cores": 4}}`` as ``compute.cores``, 4."""
    for service, values in limits.items():
        if isinstance(values, Mapping):
            for name, value in values.items():
                if isinstance(value, int):
                    yield f"{service}.{name}", value
