"""Say which fields the destination cannot keep, because it lacks a microversion or an extension.

Stands after matching, since what is reused is not written.
"""

from __future__ import annotations

from dataclasses import replace

from pumphouse.fields import Field
from pumphouse.model import Action
from pumphouse.plan.draft import Draft, Node
from pumphouse.resource import Problem, Severity


def apply(draft: Draft) -> None:
    """Drop each such field from what is wanted, and report it as lost."""
    offers = draft.destination.facts.get("cloud", {})
    versions, extensions = offers.get("microversions", {}), offers.get("extensions", ())
    for node in draft.nodes.values():
        if node.action in {Action.CREATE, Action.UPDATE}:
            service = draft.kind(node.resource.ref).service
            for field in draft.kind(node.resource.ref).carried():
                if field.since and _older(versions.get(str(service)), field.since):
                    _drop(node, field, f"the destination's {service} is older than {field.since}")
                elif field.extension and field.extension not in extensions:
                    _drop(node, field, f"the destination's {service} has no extension {field.extension}")


def _drop(node: Node, field: Field, why: str) -> None:
    value = node.resource.fields.get(field.name)
    if value is None:
        return
    fields = {name: one for name, one in node.resource.fields.items() if name != field.name}
    node.resource = replace(node.resource, fields=fields)
    if value != field.default:
        node.take(
            Problem(
                severity=Severity.LOST,
                field=field.name,
                summary=f"{why}: {field.name} is lost",
            )
        )


def _older(newest: str | None, since: str) -> bool:
    if newest is None:
        return False
    return tuple(map(int, newest.split("."))) < tuple(map(int, since.split(".")))
