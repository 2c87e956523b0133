"""One change of a source, as somebody makes it after a migration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
from hypothesis import strategies as st

from inventories.world import REGISTRY
from pumphouse.fields import Field, Role
from pumphouse.model import Action, Inventory, Ref, Resource
from pumphouse.plan.document import Plan

NOTHING = object()
"""There is no other value for this field."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A field of a resource that has another value now, and the source with it."""

    ref: Ref
    field: str
    source: Inventory


@st.composite
def changes(draw: Any, source: Inventory, plan: Plan, *, fixed: bool = False) -> Change | None:
    """A changed field of something that the plan creates; None if nothing in it can be changed.

    :param fixed: one that cannot be changed in place, rather than one that can.
    """
    possible = [
        (one.ref, field, value)
        for one in plan.doing(Action.CREATE)
        for field in REGISTRY[one.ref.type].carried()
        if field.role is Role.COPY and not field.key and field.fixed is fixed
        if field.name in one.resource.fields
        if (value := _another(field, one.resource.fields[field.name], one.ref, plan)) is not NOTHING
        # The destination's may differ in it: nobody could tell that from a change.
        if not REGISTRY[one.ref.type].may_change(field, _with(one.resource, field, value), one.resource)
    ]
    if not possible:
        return None
    # By type first: the few types of many fields or many resources would have all the changes.
    kind = draw(st.sampled_from(sorted({ref.type for ref, _, _ in possible})))
    ref, field, value = draw(st.sampled_from([one for one in possible if one[0].type == kind]))
    return Change(
        ref=ref,
        field=field.name,
        source=Inventory(
            source.cloud,
            (_with(one, field, value) if one.ref == ref else one for one in source),
            facts=source.facts,
        ),
    )


def _with(resource: Resource, field: Field, value: Any) -> Resource:
    return replace(resource, fields={**resource.fields, field.name: value})


def _another(field: Field, value: Any, ref: Ref, plan: Plan) -> Any:
    """Another value of a field, or NOTHING. What refers to others goes on referring to what is planned."""
    if "" in field.refs:
        return _another_ref(field, value, ref, plan)
    if field.refs or (isinstance(value, list) and any(isinstance(one, Mapping) for one in value)):
        # Of entries that name others, one fewer; where more do not count, there is no other value.
        return value[1:] if isinstance(value, list) and value and not field.at_least else NOTHING
    another: Any = "something"
    match value:
        case bool():
            another = not value
        case int() | float():
            another = value + 1
        case str():
            another = f"{value} changed"
        case list():
            another = [*value, "one more"]
        case Mapping():
            another = {**value, "one more": 1}
    return another


def _another_ref(field: Field, value: Any, ref: Ref, plan: Plan) -> Any:
    """One more, or another one, of what is planned and does not need this itself."""
    later = nx.descendants(plan.graph, ref) | {ref}
    have = value if isinstance(value, list) else [value]
    others = [
        one.ref.id
        for one in plan.doing(Action.CREATE)
        if one.ref.type == field.refs[""] and one.ref not in later and one.ref.id not in have
    ]
    if isinstance(value, list):
        return [*value, others[0]] if others else NOTHING
    if others:
        return others[0]
    return NOTHING if value is None else None
