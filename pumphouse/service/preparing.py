"""What a prepared migration must find untouched at its cutover.

Data of what is in use are copied while it rests. Data of what nobody uses, such as a detached volume, are
copied when the migration is prepared; if it is used in between, its copy is old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI
from pumphouse.model import Action
from pumphouse.plan.document import Plan, PlannedResource
from pumphouse.registry import Registry
from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.names import PREPARE
from pumphouse.store.states import MigrationState

WAITS = "it is prepared, and waits for its cutover"
"""The reason of a migration that has been prepared."""


def require_prepared(record: MigrationRecord) -> None:
    """Raise WrongState for a migration that does not wait for a cutover, or is on the way there."""
    if record.state is MigrationState.PAUSED and record.options.get(PREPARE):
        return
    raise errors.WrongState(
        f"migration {record.id} is {record.state}, and not prepared",
        next_step=f"Go on with: pumphouse migration resume {record.id}"
        if record.state is MigrationState.PAUSED
        else f"See it with: pumphouse migration show {record.id}",
    )


def read_touched(prepared: Iterable[PlannedResource], source: CloudAPI, registry: Registry) -> dict[str, str]:
    """By reference, what changes whenever the data of these resources may have."""
    found: dict[str, str] = {}
    for one in prepared:
        kind = registry[one.ref.type]
        if kind.touched(one.resource):
            here = kind.show(source, one.ref.id, project_id=one.resource.project_id)
            if here is not None:
                found[str(one.ref)] = kind.touched(here)
    return found


def require_untouched(plan: Plan, touched: Mapping[str, str], registry: Registry) -> None:
    """Raise StalePlan if data that the plan does not copy again may have changed since they were prepared."""
    for one in plan.resources:
        known = touched.get(str(one.ref))
        if known is None or one.action is Action.CREATE:
            continue
        if registry[one.ref.type].touched(one.resource) != known:
            raise errors.StalePlan(
                "it has been used or changed since it was prepared, so that its copy may be old",
                resource=str(one.resource),
                next_step=f"Remove the copy, {one.ref.type} {one.destination_id}, on {plan.destination}, and "
                "cut over again: it is copied anew.",
            )
