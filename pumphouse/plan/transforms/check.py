"""Let each type look at the destination for what stands in the way: addresses, types, limits.

Stands after matching, which gives the ids that a type needs to look.
"""

from __future__ import annotations

from pumphouse.model import Action
from pumphouse.plan.draft import Draft


def apply(draft: Draft) -> None:
    """Ask the type of every resource that will be written."""
    for node in draft.nodes.values():
        if node.action in {Action.CREATE, Action.UPDATE}:
            kind = draft.kind(node.resource.ref)
            exists = node.action is Action.UPDATE
            for problem in kind.check(draft.want(node), draft.destination, exists=exists):
                node.take(problem)
