"""Leave out the types that the operator does not want, each with the reason.

Stands after the selection is closed, so that what is left out is seen in the plan, and before anything is
decided about it.
"""

from __future__ import annotations

from pumphouse.model import Action
from pumphouse.plan.draft import Draft


def apply(draft: Draft) -> None:
    """Skip every resource of such a type."""
    for node in draft.nodes.values():
        reason = draft.leave_out.get(node.resource.ref.type)
        if reason is not None:
            node.action, node.reason = Action.SKIP, reason
