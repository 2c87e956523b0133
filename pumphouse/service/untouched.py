"""Whether copies that a migration has made are old by now: what it copied may have been used since.

Data of what is in use are copied while it rests, and it moves with them. Data of what nobody uses, such as a
detached volume, are copied long before a migration has ended: before its cutover, or before a retry. The
journal knows how the source was left by the copying.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI
from pumphouse.context import JournalEntry
from pumphouse.model import Action
from pumphouse.plan.document import Plan
from pumphouse.registry import Registry
from pumphouse.steps import LEFT_AT, Create


def require_untouched(
    plan: Plan,
    entries: Iterable[JournalEntry],
    *,
    carried_out: Callable[[str], Plan],
    registry: Registry,
    destination: CloudAPI | None = None,
) -> None:
    """Raise StalePlan if data that the plan does not copy again may have changed since they were copied.

    :param entries: of the migration's journal, those that are open.
    :param carried_out: gives the migration's plan, of this id, that an entry names.
    :param destination: where copies that are in use are taken for what counts by now; None if none may be.
    """
    copied = {
        (one.ref, one.made_id): one for one in entries if one.step == Create.name and LEFT_AT in one.detail
    }
    for one in plan.doing(Action.REUSE, Action.UPDATE):
        entry = copied.get((one.ref, one.destination_id))
        if entry is None:
            continue
        kind, then = registry[one.ref.type], carried_out(entry.plan).by_ref[one.ref].resource
        if then.facts.get("attachments") or kind.touched(one.resource) == str(entry.detail[LEFT_AT] or ""):
            continue
        if destination is not None:
            there = kind.show(destination, str(one.destination_id), project_id=None)
            if there is not None and there.facts.get("attachments"):
                continue
        raise errors.StalePlan(
            "it has been used or changed since it was copied, so that its copy may be old",
            resource=str(one.resource),
            next_step=f"Remove the copy, {one.ref.type} {one.destination_id}, on {plan.destination}, and do "
            "this again: it is copied anew.",
        )
