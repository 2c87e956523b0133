"""What a plan comes to when all goes well, without any cloud: the destination's inventory afterwards."""

from __future__ import annotations

from dataclasses import replace

from inventories import REGISTRY

from pumphouse.model import Action, Inventory, Ref, Resource
from pumphouse.plan.document import Plan, PlannedResource

UNMARKED = frozenset(
    {"user", "group", "role", "role_assignment", "quota", "flavor", "keypair", "server_group"}
    | {"address_scope", "security_group_rule"}
)
"""Types whose services keep no marker."""


def carry_out(plan: Plan, destination: Inventory) -> tuple[Inventory, dict[Ref, str]]:
    """The destination with all that the plan creates and updates, and the id map."""
    there = {one.ref: one for one in destination}
    ids: dict[Ref, str] = {}
    for one in plan.resources:
        if one.action in {Action.SKIP, Action.BLOCKED}:
            continue
        ids[one.ref] = one.destination_id or f"new-{one.ref.id}"
        ref = Ref(one.ref.type, ids[one.ref])
        if one.action is Action.CREATE:
            there[ref] = _made(one, ref, ids)
        elif one.action is Action.UPDATE:
            fields = REGISTRY[one.ref.type].resolve(one.resource.fields, ids.get)
            changed = {name: fields[name] for name in one.changed}
            there[ref] = replace(there[ref], fields={**there[ref].fields, **changed})
    return Inventory(destination.cloud, there.values(), facts=destination.facts), ids


def _made(planned: PlannedResource, ref: Ref, ids: dict[Ref, str]) -> Resource:
    wanted, kind = planned.resource, REGISTRY[planned.ref.type]
    project = ids.get(Ref("project", wanted.project_id or ""))
    return replace(
        wanted,
        ref=ref,
        project_id=project,
        fields=kind.resolve(wanted.fields, ids.get),
        made_from=None if ref.type in UNMARKED else planned.ref.id,
    )
