"""A plan in the making: what the transforms work on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import networkx as nx

from pumphouse.model import Action, Inventory, Ref, Resource, Scope
from pumphouse.plan.copies import Copied
from pumphouse.plan.overrides import Overrides
from pumphouse.plan.sharing import HalfMade, is_shared, own_projects
from pumphouse.registry import Registry
from pumphouse.resource import Policy, Problem, ResourceType, Severity, Want


@dataclass(slots=True, kw_only=True)
class Node:
    """One resource of the draft: as the source has it, as it is wanted, and what was decided."""

    resource: Resource
    selected: str
    """Why it is in the plan."""
    action: Action = Action.CREATE
    reason: str = ""
    destination: Resource | None = None
    ours: bool = False
    """Whether the destination's one was made from this resource."""
    changed: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    bytes: int = 0
    seconds: float = 0.0
    mover: str = ""

    def block(self, problem: Problem) -> None:
        """Mark it blocked, keeping the first reason."""
        self.problems.append(problem)
        if self.action is not Action.BLOCKED:
            self.action, self.reason = Action.BLOCKED, problem.summary

    def take(self, problem: Problem) -> None:
        """Keep a problem of any severity."""
        if problem.severity is Severity.BLOCK:
            self.block(problem)
        else:
            self.problems.append(problem)


@dataclass(kw_only=True)
class Draft:
    """What planning knows: both inventories, the choices, and the graph so far.

    An edge ``a -> b`` says that ``b`` needs ``a``. ``known`` is the id map of earlier migrations, and
    ``adopted`` what of it they used rather than made; ``half_made`` tells which migration has begun to make
    something and not finished; ``copied`` tells how earlier ones left what they copied; ``leave_out`` says
    for a type why none of it is moved.
    """

    scope: Scope
    source: Inventory
    destination: Inventory
    registry: Registry
    overrides: Overrides
    known: Mapping[Ref, str] = field(default_factory=dict)
    adopted: Collection[Ref] = ()
    half_made: Mapping[Ref, HalfMade] = field(default_factory=dict)
    copied: Mapping[Ref, Copied] = field(default_factory=dict)
    leave_out: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    """What the operator chooses for all resources for which the override file chooses nothing else."""
    nodes: dict[Ref, Node] = field(default_factory=dict)
    graph: nx.DiGraph[Ref] = field(default_factory=nx.DiGraph)

    def add(self, resource: Resource, selected: str) -> Node:
        """Put a resource into the plan, once."""
        node = self.nodes.get(resource.ref)
        if node is None:
            kind = self.kind(resource.ref)
            if kind.choices:
                resource = kind.choose(resource, {**self.choices, **self.overrides.chosen(kind, resource)})
            node = self.nodes[resource.ref] = Node(resource=resource, selected=selected)
            self.graph.add_node(resource.ref)
            for part in kind.parts(resource, self.source):
                self.add(part, f"part of {resource}")
        return node

    def kind(self, ref: Ref) -> ResourceType:
        """The type of a reference."""
        return self.registry[ref.type]

    @cached_property
    def own_projects(self) -> set[str]:
        """The projects that are moved. To be asked for once all nodes are there."""
        return own_projects(self.nodes.values())

    def shared(self, node: Node) -> bool:
        """Whether migrations of other projects may need it too."""
        return is_shared(self.kind(node.resource.ref), node.resource, self.own_projects)

    def policy(self, node: Node) -> Policy:
        """Whether a node is moved or mapped."""
        return self.kind(node.resource.ref).policy(node.resource)

    def in_order(self) -> Iterator[Node]:
        """All nodes, what is needed before what needs it; by type and id where the graph leaves it open."""
        rank = self.registry.rank
        order = nx.lexicographical_topological_sort(self.graph, key=lambda ref: (rank[ref.type], ref.id))
        return (self.nodes[ref] for ref in order)

    def lookup(self, ref: Ref) -> str | None:
        """The destination's id of a node that is there already, else None."""
        node = self.nodes.get(ref)
        if node is not None:
            return node.destination.ref.id if node.destination else None
        return self.known.get(ref)

    def symbol(self, ref: Ref) -> str | None:
        """As :meth:`lookup`; what the plan is to create has a symbol, which equals no id."""
        found = self.lookup(ref)
        return f"new {ref}" if found is None and ref in self.nodes else found

    def want(self, node: Node) -> Want:
        """A node as it shall be, with the ids that are known by now."""
        resource = node.resource
        kind = self.kind(resource.ref)
        project = resource.project_id
        return Want(
            source=resource,
            fields=kind.resolve(resource.fields, self.lookup),
            project_id=self.lookup(Ref("project", project)) if project else None,
            secrets={},
        )
