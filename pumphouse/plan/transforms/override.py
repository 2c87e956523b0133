"""Rename and rewrite as the override file says.

Stands after the selection, which speaks of the source's names, and before matching, which must look for the
destination's.
"""

from __future__ import annotations

from pumphouse.plan.draft import Draft


def apply(draft: Draft) -> None:
    """Replace each resource by the one that is wanted."""
    for node in draft.nodes.values():
        node.resource = draft.overrides.apply(draft.kind(node.resource.ref), node.resource)
