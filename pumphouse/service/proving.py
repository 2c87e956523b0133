"""Both sides of a plan as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pumphouse.clouds.cloud import Cloud
from pumphouse.inventory.collect import complete
from pumphouse.model import Inventory, Ref
from pumphouse.plan import overrides
from pumphouse.plan.document import Plan
from pumphouse.service import reading

if TYPE_CHECKING:
    from pumphouse.service.app import Pumphouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What a plan wanted, and what both clouds hold now. ``ids`` is the id map."""

    plan: Plan
    here: Inventory
    there: Inventory
    ids: Mapping[Ref, str]


def read_sides(
    app: Pumphouse, plan: Plan, source: Cloud, destination: Cloud, progress: reading.Progress
) -> Sides:
    """Read both clouds as far as a plan goes. Raises CloudError."""
    here, there = reading.read_both(
        source,
        destination,
        app.registry,
        scope=plan.scope,
        overrides=overrides.parse(plan.overrides, app.registry, where="the plan"),
        progress=progress,
    )
    known = app.store.ids.all(plan.source, plan.destination)
    ids = {ref: record.destination_id for ref, record in known.items()}
    counterparts = ((one.ref, ids.get(one.ref) or one.destination_id) for one in plan.resources)
    complete(source, app.registry, here, plan.by_ref)
    complete(destination, app.registry, there, [ref._replace(id=one) for ref, one in counterparts if one])
    return Sides(plan=plan, here=here, there=there, ids=ids)
