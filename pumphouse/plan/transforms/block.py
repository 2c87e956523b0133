"""Block what needs something blocked, and what is held by something blocked.

Stands after everything that can block.
"""

from __future__ import annotations

from pumphouse.model import Action
from pumphouse.plan.draft import Draft, Node
from pumphouse.resource import Problem, Severity

_TO_DO = frozenset({Action.CREATE, Action.UPDATE})


def apply(draft: Draft) -> None:
    """Hand blocks on along the edges, and to what others share; each of these may lead to more."""
    _along_the_edges(draft)
    while _what_is_shared(draft):
        _along_the_edges(draft)


def _along_the_edges(draft: Draft) -> None:
    for node in draft.in_order():
        if node.action is Action.BLOCKED:
            for ref in draft.graph.successors(node.resource.ref):
                later = draft.nodes[ref]
                if later.action in _TO_DO:
                    later.block(
                        Problem(
                            severity=Severity.BLOCK,
                            summary=f"it needs {node.resource}, which is blocked",
                            next_step="Resolve that first.",
                        )
                    )


def _what_is_shared(draft: Draft) -> bool:
    """Block what one of its holders stays behind with; whether there was any."""
    found = [(node, holder) for node in draft.nodes.values() for holder in _staying(draft, node)[:1]]
    for node, holder in found:
        node.block(
            Problem(
                severity=Severity.BLOCK,
                summary=f"{holder.resource} uses it as well, which is blocked",
                next_step="Resolve that first: servers that share a volume move together.",
            )
        )
    return bool(found)


def _staying(draft: Draft, node: Node) -> list[Node]:
    if node.action not in _TO_DO:
        return []
    holders = draft.kind(node.resource.ref).holders(node.resource)
    nodes = (draft.nodes.get(ref) for ref in holders)
    return [one for one in nodes if one is not None and one.action is Action.BLOCKED]
