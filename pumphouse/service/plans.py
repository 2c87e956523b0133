"""Plans in and out of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pumphouse.garbage import kept_from_collecting
from pumphouse.plan.document import Plan
from pumphouse.plan.sharing import own_projects
from pumphouse.store.opening import Store


def save_plan(store: Store, plan: Plan) -> Plan:
    """Keep a plan; the same with the id that the store gave it."""
    record = store.plans.create(
        source=plan.source,
        destination=plan.destination,
        scope=plan.scope.to_dict(),
        document=plan.to_dict(),
    )
    return replace(plan, id=record.id)


def load_plan(store: Store, plan_id: str) -> Plan:
    """A plan of the store. Raises UnknownMigration."""
    with kept_from_collecting():
        return replace(Plan.from_dict(store.plans.document(plan_id)), id=plan_id)


def subjects(plan: Plan) -> list[str]:
    """What a migration moves, of which no two at once may: its projects, by the source's ids."""
    owners = own_projects(plan.resources)
    return sorted(one.ref.id for one in plan.resources if one.ref.type == "project" and one.ref.id in owners)


def merge(plans: Sequence[Plan]) -> Plan:
    """The newest plan, with what only older ones of the same migration knew: a roll-back needs all of it."""
    newest, *older = plans
    missing = {one.ref: one for plan in reversed(older) for one in plan.resources}
    extra = tuple(one for ref, one in missing.items() if ref not in newest.by_ref)
    return replace(newest, resources=(*newest.resources, *extra)) if extra else newest
