"""Find two resources of the source that would become one on the destination.

Stands after matching, which says what each becomes. Mapped resources may well share one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pumphouse.model import Action
from pumphouse.plan.draft import Draft, Node
from pumphouse.resource import Adopt, Policy, Problem, Severity


def apply(draft: Draft) -> None:
    """Block all resources that would collide."""
    becoming: dict[Any, list[Node]] = defaultdict(list)
    for node in draft.nodes.values():
        # What is left out becomes nothing.
        if draft.policy(node) is Policy.MOVE and node.action is not Action.SKIP:
            target = _target(draft, node)
            if target is not None:
                becoming[node.resource.ref.type, target].append(node)
    for nodes in becoming.values():
        if len(nodes) > 1:
            for node in nodes:
                others = ", ".join(sorted(str(one.resource) for one in nodes if one is not node))
                node.block(
                    Problem(
                        severity=Severity.BLOCK,
                        summary=f"it would become the same on the destination as {others}",
                        next_step="Give each a name of its own in an override file, or leave one out.",
                    )
                )


def _target(draft: Draft, node: Node) -> Any:
    """What tells the destination's resource from all others; None where several may be alike."""
    if node.destination is not None:
        return node.destination.ref.id
    kind = draft.kind(node.resource.ref)
    here = draft.source.get(node.resource.ref)
    renamed = here is not None and kind.identity(here.fields) != kind.identity(node.resource.fields)
    if node.action is Action.BLOCKED or not (kind.adopt is Adopt.ALWAYS or renamed):
        return None
    return kind.identity(kind.resolve(node.resource.fields, draft.symbol))
