"""Let each type say what cannot be moved, or what is lost, seen from the source alone.

Stands after matching: what the destination has already is not moved again, whatever has become of it.
"""

from __future__ import annotations

from pumphouse.model import Action
from pumphouse.plan.draft import Draft
from pumphouse.resource import Policy


def apply(draft: Draft) -> None:
    """Ask the type of every resource that is to be created."""
    for node in draft.nodes.values():
        if node.action is Action.CREATE and draft.policy(node) is Policy.MOVE:
            for problem in draft.kind(node.resource.ref).refuse(node.resource, draft.source):
                node.take(problem)
