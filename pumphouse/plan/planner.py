"""Makes a plan: runs the transforms over a draft and writes down what they decided."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import networkx as nx

from pumphouse.garbage import kept_from_collecting
from pumphouse.model import Action, Inventory, Ref, Scope
from pumphouse.plan.copies import Copied
from pumphouse.plan.document import Plan, PlannedResource
from pumphouse.plan.draft import Draft, Node
from pumphouse.plan.overrides import Overrides
from pumphouse.plan.sharing import HalfMade
from pumphouse.plan.transforms import DECIDING, GATHERING
from pumphouse.registry import Registry

Complete = Callable[[Inventory, Collection[Ref]], None]
"""Puts into an inventory what no list tells of some of its resources."""


@kept_from_collecting()
def make_plan(
    scope: Scope,
    *,
    source: Inventory,
    destination: Inventory,
    registry: Registry,
    overrides: Overrides | None = None,
    known: Mapping[Ref, str] | None = None,
    adopted: Collection[Ref] = (),
    half_made: Mapping[Ref, HalfMade] | None = None,
    copied: Mapping[Ref, Copied] | None = None,
    leave_out: Mapping[str, str] | None = None,
    choices: Mapping[str, str] | None = None,
    complete: Complete | None = None,
) -> Plan:
    """Decide what to do for a scope. Pure but for ``complete``: reads only the inventories.

    :param known: the id map of earlier migrations between these clouds.
    :param adopted: what of it was on the destination before: it is others', and not changed.
    :param half_made: what migrations have begun to make and not finished, and which ones.
    :param copied: how the source's ones were left when earlier migrations copied them.
    :param leave_out: types of which nothing is moved, each with the reason.
    :param choices: what the operator chooses, by name, where the override file chooses nothing else.
    :param complete: asked once for each inventory that tells only a part of what is planned.
    :raises pumphouse.errors.UnknownResource: the scope names what the source does not have.
    :raises pumphouse.errors.AmbiguousName: the scope names several things.
    """
    draft = Draft(
        scope=scope,
        source=source,
        destination=destination,
        registry=registry,
        overrides=overrides or Overrides(),
        known=known or {},
        adopted=adopted,
        half_made=half_made or {},
        copied=copied or {},
        leave_out=leave_out or {},
        choices=choices or {},
    )
    _gather(draft)
    if complete is not None and _completed(draft, complete):
        draft = replace(draft, nodes={}, graph=nx.DiGraph())
        _gather(draft)
    for decide in DECIDING:
        decide(draft)
    return Plan(
        source=source.cloud,
        destination=destination.cloud,
        scope=scope,
        overrides=draft.overrides.to_dict(),
        resources=tuple(_planned(draft, node) for node in draft.in_order()),
    )


def _gather(draft: Draft) -> None:
    for gather in GATHERING:
        gather(draft)


def _completed(draft: Draft, complete: Complete) -> bool:
    """Whether anything had to be completed."""
    there = {node.destination.ref for node in draft.nodes.values() if node.destination is not None}
    asked = False
    for inventory, refs in ((draft.source, draft.nodes.keys()), (draft.destination, there)):
        found = ((ref, inventory.get(ref)) for ref in refs)
        partly = [ref for ref, one in found if one is not None and draft.kind(ref).partly_listed(one)]
        if partly:
            complete(inventory, partly)
            asked = True
    return asked


def _planned(draft: Draft, node: Node) -> PlannedResource:
    there = node.destination
    return PlannedResource(
        resource=node.resource,
        action=node.action,
        reason=node.reason,
        selected=node.selected,
        needs=tuple(sorted(draft.graph.predecessors(node.resource.ref))),
        destination_id=there.ref.id if there else None,
        changed=node.changed,
        before={name: there.fields.get(name) for name in node.changed}
        if there and node.action is Action.UPDATE
        else {},
        problems=tuple(node.problems),
        bytes=node.bytes,
        seconds=node.seconds,
        shared=draft.shared(node),
        mover=node.mover,
        mode=draft.kind(node.resource.ref).mode(node.resource),
    )
