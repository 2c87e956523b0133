"""Choose for all data the way from cloud to cloud, by what both ends can do.

Stands after the estimate, which says what has data.
"""

from __future__ import annotations

from pumphouse.model import Action
from pumphouse.moving.movers import Between, Offers, asked, choose
from pumphouse.plan.draft import Draft
from pumphouse.resource import Problem, Severity


def apply(draft: Draft) -> None:
    """Name the mover of whatever has data to move."""
    source, destination = Offers.of(draft.source.facts), Offers.of(draft.destination.facts)
    for node in draft.nodes.values():
        if node.action is not Action.CREATE:
            continue
        kind = draft.kind(node.resource.ref)
        between = Between(source=source, destination=destination, is_open=kind.data_is_open(node.resource))
        way = kind.way(node.resource)
        if way:
            node.mover = way
            why = asked(way, between)
            if why:
                node.block(Problem(severity=Severity.BLOCK, summary=why, next_step="Let it be copied."))
        elif node.bytes:
            node.mover = choose(between).name
