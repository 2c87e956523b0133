"""Block what was copied before and used on the source since: to reuse its copy would lose what was written.

Stands after matching, which finds the copy.
"""

from __future__ import annotations

from pumphouse.model import Action, Ref
from pumphouse.plan.copies import is_old, is_vouched
from pumphouse.plan.draft import Draft
from pumphouse.resource import Problem, Severity


def apply(draft: Draft) -> None:
    """Look at every copy that would be reused, or changed."""

    def moves(ref: Ref) -> bool:
        return ref in draft.nodes and draft.nodes[ref].action is Action.CREATE

    for node in draft.nodes.values():
        there = node.destination
        if there is None or node.action not in {Action.REUSE, Action.UPDATE}:
            continue
        ref = node.resource.ref
        copied, kind = draft.copied.get(ref), draft.kind(ref)
        changed = kind.touched(node.resource)
        if is_old(copied, node.resource, there, kind, moves=moves):
            node.block(
                Problem(
                    severity=Severity.BLOCK,
                    summary="it has been used or changed since it was copied, so that its copy may be old",
                    next_step=f"Remove the copy, {ref.type} {there.ref.id}, on {draft.destination.cloud}, if "
                    "it is not what counts by now, and do this again: it is copied anew. If nothing was "
                    f"written since, say so in an override rule for it: set: {{copied_until: '{changed}'}}.",
                )
            )
        elif copied is not None and copied.left_at != changed and is_vouched(node.resource, kind):
            summary = f"it was changed at {changed}; a rule says that nothing was written since it was copied"
            node.take(Problem(severity=Severity.WARNING, summary=summary))
