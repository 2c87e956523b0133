"""Cut circles. Resources hold none but where anybody may set a property to any id: an image's kernel, say.

Stands after the selection is closed, which draws the edges: all that follows goes through the graph in order.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import networkx as nx

from pumphouse.model import Ref
from pumphouse.plan.draft import Draft
from pumphouse.resource import Problem, Severity


def apply(draft: Draft) -> None:
    """Drop the optional references of a circle; what is in one all the same is blocked."""
    for circle in _circles(draft):
        for ref in circle:
            _drop_optional(draft, ref, circle)
    for circle in _circles(draft):
        _block(draft, circle)


def _circles(draft: Draft) -> list[list[Ref]]:
    """What needs itself, alone or by way of others; sorted."""
    found = [circle for circle in nx.strongly_connected_components(draft.graph) if len(circle) > 1]
    around = {ref for circle in found for ref in circle}
    alone = [[ref] for ref in nx.nodes_with_selfloops(draft.graph) if ref not in around]
    return sorted([*map(sorted, found), *alone])


def _drop_optional(draft: Draft, ref: Ref, circle: Collection[Ref]) -> None:
    node, kind = draft.nodes[ref], draft.kind(ref)
    needed = set(kind.needs(node.resource, draft.source))
    dropped: set[str] = set()
    for found in kind.references(node.resource.fields):
        if not found.field.optional:
            needed.add(found.ref)
        elif found.ref in circle and found.field.name not in dropped:
            dropped.add(found.field.name)
            node.take(
                Problem(
                    severity=Severity.LOST,
                    field=found.field.name,
                    summary=f"{found.field.name} refers to {found.ref}, which needs this itself: it is lost",
                )
            )
    if dropped:
        kept = {name: value for name, value in node.resource.fields.items() if name not in dropped}
        node.resource = replace(node.resource, fields=kept)
        draft.graph.remove_edges_from([(other, ref) for other in circle if other not in needed])


def _block(draft: Draft, circle: Collection[Ref]) -> None:
    names = ", ".join(str(draft.nodes[ref].resource) for ref in circle)
    for ref in circle:
        draft.nodes[ref].block(
            Problem(
                severity=Severity.BLOCK,
                summary=f"it needs itself, by way of {names}",
                next_step="Correct what these refer to on the source, or leave them out.",
            )
        )
    draft.graph.remove_edges_from([(one, other) for one in circle for other in circle])
