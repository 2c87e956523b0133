"""Let each type say what cannot be moved, or what is lost, seen from the source alone.

Stands before matching, since it needs nothing of the destination.
"""

from __future__ import annotations

from pumphouse.plan.draft import Draft
from pumphouse.resource import Policy


def apply(draft: Draft) -> None:
    """Ask every moved resource's type."""
    for node in draft.nodes.values():
        if draft.policy(node) is Policy.MOVE:
            for problem in draft.kind(node.resource.ref).refuse(node.resource, draft.source):
                node.take(problem)
