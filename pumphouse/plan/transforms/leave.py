"""Leave out what the operator does not want, and what is work for people, each with the reason.

Stands after the selection is closed, so that what is left out is seen in the plan, and before anything is
decided about it.
"""

from __future__ import annotations

from pumphouse.inventory.scope import from_outside
from pumphouse.model import Action
from pumphouse.plan.draft import Draft
from pumphouse.resource import Policy


def apply(draft: Draft) -> None:
    """Skip every resource of a type that the options leave out, and every one that its type leaves.

    So is shown what reaches into the tenants from outside, unless it is planned.
    """
    for node in draft.nodes.values():
        kind = draft.kind(node.resource.ref)
        reason = draft.leave_out.get(kind.name)
        if kind.policy(node.resource) is Policy.LEAVE:
            node.problems.extend(kind.refuse(node.resource, draft.source))
            reason = "; ".join(problem.summary for problem in node.problems)
        if reason is not None:
            node.action, node.reason = Action.SKIP, reason
    outside = from_outside(draft.scope, draft.source, draft.registry)
    for ref, problem in outside.items():
        resource = draft.source.get(ref)
        if resource is not None and ref not in draft.nodes:
            node = draft.add(resource, "takes effect in the tenants")
            node.problems.append(problem)
            node.action, node.reason = Action.SKIP, problem.summary
