"""Divides what a plan does into units: one flow each, undone as a whole when it fails.

Meta-resources share flows with their like (:class:`~pumphouse.resource.Grouping`), a hundred at most, since
TaskFlow's cost grows with the square of a flow. A server, a volume, an image has a flow of its own, together
with what is made for it alone, so that one that fails leaves the others done. Such a flow is never cut: the
server's disks are copied while it rests, and only within a flow do they know when it does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx

from pumphouse.model import Action, Ref
from pumphouse.plan.document import Plan
from pumphouse.registry import Registry
from pumphouse.resource import Grouping

LARGEST = 100
"""How many resources a flow holds at most, unless it is a server's."""

SHARED = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The resources of one flow, needed ones first. The name is the same whenever the plan is compiled."""

    name: str
    label: str
    refs: tuple[Ref, ...]


def divide(plan: Plan, registry: Registry) -> tuple[dict[str, Unit], nx.DiGraph[str]]:
    """The units by name, and their graph: an edge ``a -> b`` says that ``b`` needs ``a``."""
    doing = [one.ref for one in plan.doing(Action.CREATE, Action.UPDATE)]
    graph = plan.graph.subgraph(doing)
    keys = _keys(plan, registry, doing, graph)
    members: dict[str, list[Ref]] = defaultdict(list)
    for ref, (key, phase) in _phases(doing, graph, keys).items():
        members[key if ":" in key else f"{key}.{phase}"].append(ref)
    units: dict[str, Unit] = {}
    for key, refs in members.items():
        largest = len(refs) if ":" in key else LARGEST
        for number, start in enumerate(range(0, len(refs), largest), 1):
            chunk = tuple(refs[start : start + largest])
            name = key if len(refs) <= largest else f"{key}.{number}"
            units[name] = Unit(name=name, label=_label(plan, key), refs=chunk)
    unit_of = {ref: unit.name for unit in units.values() for ref in unit.refs}
    order: nx.DiGraph[str] = nx.DiGraph()
    order.add_nodes_from(units)
    order.add_edges_from(
        (unit_of[need], unit_of[ref]) for need, ref in graph.edges if unit_of[need] != unit_of[ref]
    )
    return units, order


def _keys(plan: Plan, registry: Registry, doing: Iterable[Ref], graph: nx.DiGraph[Ref]) -> dict[Ref, str]:
    """Which group each resource is in. A key with a colon is the reference of one that is alone."""
    keys: dict[Ref, str] = {}
    attached: list[Ref] = []
    joined: nx.utils.UnionFind[str] = nx.utils.UnionFind()
    for ref in doing:
        grouping = registry[ref.type].grouping
        if grouping is Grouping.ALONE:
            keys[ref] = str(ref)
        elif grouping is Grouping.ATTACHED:
            attached.append(ref)
        else:
            keys[ref] = _owner(plan, ref)
    for ref in attached:
        near = {keys[one] for one in graph.successors(ref) if ":" in keys.get(one, "")}
        near = near or {keys[one] for one in graph.predecessors(ref) if _attaches(registry, keys, one)}
        if registry[ref.type].workload:
            keys[ref] = min(near, default=str(ref))
            joined.union(*near)
        else:
            keys[ref] = near.pop() if len({joined[one] for one in near}) == 1 else _owner(plan, ref)
    # Servers that share a volume are one unit, under the first one's name.
    names = {key: min(group) for group in joined.to_sets() for key in group}
    return {ref: names.get(key, key) for ref, key in keys.items()}


def _attaches(registry: Registry, keys: dict[Ref, str], ref: Ref) -> bool:
    """Whether what needs this may follow it: an address follows its port, but nothing follows an image."""
    return ":" in keys.get(ref, "") and registry[ref.type].grouping is Grouping.ATTACHED


def _owner(plan: Plan, ref: Ref) -> str:
    project = ref.id if ref.type == "project" else plan.by_ref[ref].resource.project_id
    return f"tenant {project}" if project else SHARED


def _phases(doing: Iterable[Ref], graph: nx.DiGraph[Ref], keys: dict[Ref, str]) -> dict[Ref, tuple[str, int]]:
    """Split each group where the way between two of its members leads through another group.

    Otherwise two groups could need each other: a flavor needs the project that may use it, and the
    project's server needs the flavor.
    """
    phases: dict[Ref, int] = {}
    for ref in doing:  # the plan's order: needed ones first
        phases[ref] = max(
            (phases[need] + (keys[need] != keys[ref]) for need in graph.predecessors(ref)), default=0
        )
    return {ref: (keys[ref], phase) for ref, phase in phases.items()}


def _label(plan: Plan, key: str) -> str:
    """What a person reads for a unit: ``server web-1``, ``tenant shop``, ``shared``."""
    group, _, _phase = key.rpartition(".")
    if ":" in key:
        resource = plan.by_ref[Ref.parse(key)].resource
        return f"{resource.ref.type} {resource.name}"
    if group.startswith("tenant "):
        owner = plan.by_ref.get(Ref("project", group.removeprefix("tenant ")))
        return f"tenant {owner.resource.name}" if owner else group
    return group
