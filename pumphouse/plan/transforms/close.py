"""Add what the selected resources need, and their parts, and draw the edges.

Stands after the selection and before anything is decided, so that every later transform sees the whole plan.
A mapped resource must be on the destination already, and one that is left for people is not made, so nothing
is pulled in for these.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pumphouse.fields import Field
from pumphouse.model import Ref, Resource
from pumphouse.plan.draft import Draft, Node
from pumphouse.resource import Policy, Problem, Severity


def apply(draft: Draft) -> None:
    """Close the selection under references and parts, then link it."""
    parts = _parts(draft)
    todo = sorted(draft.nodes)
    while todo:
        node = draft.nodes[todo.pop()]
        if draft.policy(node) is not Policy.MOVE:
            continue
        found = [(ref, f"needed by {node.resource}") for ref in _needs(draft, node)]
        found += [(ref, f"part of {node.resource}") for ref in sorted(parts[node.resource.ref])]
        for ref, reason in found:
            resource = draft.source.get(ref)
            if resource is not None and ref not in draft.nodes:
                draft.add(resource, reason)
                todo.append(ref)
    for node in list(draft.nodes.values()):
        _link(draft, node)


def _needs(draft: Draft, node: Node) -> Iterator[Ref]:
    kind = draft.kind(node.resource.ref)
    for found in kind.references(node.resource.fields):
        if not found.field.optional:
            yield found.ref
    yield from kind.needs(node.resource, draft.source)


def _parts(draft: Draft) -> dict[Ref, list[Ref]]:
    """What is part of what, over the whole source."""
    parts: dict[Ref, list[Ref]] = defaultdict(list)
    for kind in draft.registry.values():
        if any(field.part_of for field in kind.carried()):
            for resource in draft.source.of_type(kind.name):
                if kind.selectable(resource):
                    for found in kind.references(resource.fields):
                        if found.field.part_of:
                            parts[found.ref].append(resource.ref)
    return parts


def _link(draft: Draft, node: Node) -> None:
    """Draw an edge from everything a node refers to, and say what it refers to that is not there."""
    ref, kind = node.resource.ref, draft.kind(node.resource.ref)
    if draft.policy(node) is not Policy.MOVE:
        return
    for needed in kind.needs(node.resource, draft.source):
        if needed in draft.nodes:
            draft.graph.add_edge(needed, ref)
    for found in kind.references(node.resource.fields):
        if found.ref in draft.nodes:
            draft.graph.add_edge(found.ref, ref)
        elif found.ref not in draft.source and found.ref not in draft.known:
            node.take(_missing(node.resource, found.ref, found.field))
        elif found.field.optional and found.ref not in draft.known:
            node.take(
                Problem(
                    severity=Severity.LOST,
                    field=found.field.name,
                    summary=f"{found.field.name} refers to {found.ref}, which is not part of this plan",
                    next_step="Migrate that as well if it matters.",
                )
            )


def _missing(resource: Resource, ref: Ref, field: Field) -> Problem:
    advice = field.advice or f"Mend or remove {resource} on the source, or leave it out."
    return Problem(
        severity=Severity.LOST if field.optional else Severity.BLOCK,
        field=field.name,
        summary=f"{field.name} refers to {ref}, which the source no longer has",
        next_step="" if field.optional else advice,
    )
