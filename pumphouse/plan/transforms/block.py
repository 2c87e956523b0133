"""Block what needs something blocked.

Stands after everything that can block, so that one pass in order is enough.
"""

from __future__ import annotations

from pumphouse.model import Action
from pumphouse.plan.draft import Draft
from pumphouse.resource import Problem, Severity


def apply(draft: Draft) -> None:
    """Hand blocks on along the edges."""
    for node in draft.in_order():
        if node.action is Action.BLOCKED:
            for ref in draft.graph.successors(node.resource.ref):
                later = draft.nodes[ref]
                if later.action in {Action.CREATE, Action.UPDATE}:
                    later.block(
                        Problem(
                            severity=Severity.BLOCK,
                            summary=f"it needs {node.resource}, which is blocked",
                            next_step="Resolve that first.",
                        )
                    )
