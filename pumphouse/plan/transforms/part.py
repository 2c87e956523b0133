"""Tell which resources are parted from those that they belong with, and block what cannot be.

Stands after matching: what an earlier migration has moved is with them already.
"""

from __future__ import annotations

from pumphouse.model import Action, Ref
from pumphouse.plan.draft import Draft
from pumphouse.resource import Policy, Problem, Severity
from pumphouse.text import listed

_MOST = 3
"""How many are named."""


def apply(draft: Draft) -> None:
    """Warn of each that is created without its company; block each without all that hold it."""
    for node in draft.nodes.values():
        if node.action is not Action.CREATE or draft.policy(node) is not Policy.MOVE:
            continue
        kind = draft.kind(node.resource.ref)
        missing = [ref for ref in kind.holders(node.resource) if not _moves(draft, ref)]
        if missing:
            node.take(_parted(draft, missing))
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


def _moves(draft: Draft, ref: Ref) -> bool:
    return ref in draft.nodes and draft.nodes[ref].action is not Action.SKIP


def _parted(draft: Draft, missing: list[Ref]) -> Problem:
    known = ((ref, draft.source.get(ref)) for ref in missing)
    names = listed((one.name if one else ref.id for ref, one in known), most=_MOST)
    return Problem(
        severity=Severity.BLOCK,
        summary=f"it is attached to {names} as well, of which this plan moves nothing",
        next_step="Servers that share a volume move together: name them all, or detach it there.",
    )
