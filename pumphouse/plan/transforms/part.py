"""Tell which resources are parted from those that they belong with.

Stands after matching: what an earlier migration has moved is with them already.
"""

from __future__ import annotations

from pumphouse.model import Action
from pumphouse.plan.draft import Draft
from pumphouse.resource import Policy, Problem, Severity
from pumphouse.text import listed

_MOST = 3
"""How many are named."""


def apply(draft: Draft) -> None:
    """Warn of each that is created without its company."""
    for node in draft.nodes.values():
        if node.action is not Action.CREATE or draft.policy(node) is not Policy.MOVE:
            continue
        kind = draft.kind(node.resource.ref)
        apart = [
            one
            for one in kind.company(node.resource, draft.source)
            if one.ref not in draft.nodes and one.ref not in draft.known
        ]
        if apart:
            names = listed((one.name or one.ref.id for one in apart), most=_MOST)
            node.take(
                Problem(
                    severity=Severity.WARNING,
                    summary=f"it shares a server group with {names}, of which this plan moves nothing",
                    next_step="Name them together, if the destination shall place them by the group's rule.",
                )
            )
