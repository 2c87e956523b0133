"""Choose for all data the way from cloud to cloud, by what both ends can do.

Stands after the estimate, which says what has data.
"""

from __future__ import annotations

from pumphouse.model import Action
from pumphouse.moving.movers import Between, Offers, choose
from pumphouse.plan.draft import Draft


def apply(draft: Draft) -> None:
    """Name the mover of whatever has data to move."""
    source = Offers.of(draft.source.facts.get("image", {}))
    destination = Offers.of(draft.destination.facts.get("image", {}))
    for node in draft.nodes.values():
        if node.action is Action.CREATE and node.bytes:
            is_open = draft.kind(node.resource.ref).data_is_open(node.resource)
            node.mover = choose(Between(source=source, destination=destination, is_open=is_open)).name
