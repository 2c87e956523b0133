"""Put what the scope names into the plan. First, since everything else grows from it."""

from __future__ import annotations

from pumphouse.inventory.scope import roots
from pumphouse.plan.draft import Draft


def apply(draft: Draft) -> None:
    """Add the scope's own resources. Raises UnknownResource and AmbiguousName."""
    for ref, reason in roots(draft.scope, draft.source, draft.registry).items():
        resource = draft.source.get(ref)
        if resource is not None:
            draft.add(resource, reason)
