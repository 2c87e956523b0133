"""Makes the report: what the plan wanted against what the destination has now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pumphouse.compare import same
from pumphouse.events import DataCarried, Event, Noted, StepChanged
from pumphouse.fields import Field, Role
from pumphouse.model import Action, Inventory, Ref, Resource
from pumphouse.plan.copies import Copied, is_old
from pumphouse.plan.document import Plan, PlannedResource
from pumphouse.registry import Registry
from pumphouse.report.model import FieldReport, Outcome, Report, ResourceReport
from pumphouse.resource import Adopt, Policy, ResourceType, Severity

DOWN_FROM = "quiesce"
"""The step that brings a workload to rest on the source."""
DOWN_UNTIL = frozenset({"verify", "health"})
"""The steps after which it is known to work on the destination; the last of them counts."""
_USED = "it has been used or changed on the source since it was copied, so that its copy may be old"


@dataclass(slots=True)
class History:
    """What the events of a migration tell of one resource."""

    seconds: float = 0.0
    down_from: datetime | None = None
    down_until: datetime | None = None
    notes: list[str] = field(default_factory=list)
    carried: DataCarried | None = None

    @property
    def downtime(self) -> float | None:
        """Seconds without service, if it was brought to rest and got through."""
        if self.down_from is None or self.down_until is None:
            return None
        return round((self.down_until - self.down_from).total_seconds(), 3)


def make_report(
    migration: str,
    plan: Plan,
    *,
    source: Inventory,
    destination: Inventory,
    ids: Mapping[Ref, str],
    registry: Registry,
    copied: Mapping[Ref, Copied] | None = None,
    events: Iterable[Event] = (),
    left: Iterable[str] = (),
) -> Report:
    """Compare every resource of a plan with what the destination has. Pure.

    :param ids: the id map, with what was made and what was adopted.
    :param copied: how the source's ones were left by copying: what was used since differs.
    :param events: those of the migration, for times and notes.
    """
    histories = _histories(events)
    copied = copied or {}
    moved = frozenset(one.ref for one in plan.doing(Action.CREATE))
    return Report(
        migration=migration,
        source=plan.source,
        destination=plan.destination,
        made_at=datetime.now(UTC),
        left=tuple(left),
        resources=tuple(
            _left(one)
            if one.action is Action.SKIP
            else _resource(
                one, registry[one.ref.type], source, destination, ids, histories, copied.get(one.ref), moved
            )
            for one in plan.resources
            if one.action is not Action.BLOCKED
        ),
    )


def _left(planned: PlannedResource) -> ResourceReport:
    """What the plan left: by the operator's choice, or as work for people, who are told what to do."""
    told = [f"{one.summary}. {one.next_step}".strip() for one in planned.problems]
    outcome = Outcome.IMPOSSIBLE if told else Outcome.CHANGED
    return ResourceReport(
        ref=planned.ref,
        name=planned.resource.name,
        action=planned.action,
        destination_id=None,
        fields=tuple(
            FieldReport(field="", outcome=outcome, reason=reason) for reason in told or [planned.reason]
        ),
    )


def _histories(events: Iterable[Event]) -> dict[Ref, History]:
    histories: dict[Ref, History] = {}
    for event in events:
        if isinstance(event, Noted):
            histories.setdefault(Ref.parse(event.resource), History()).notes.append(event.text)
        elif isinstance(event, DataCarried):
            histories.setdefault(Ref.parse(event.resource), History()).carried = event
        elif isinstance(event, StepChanged):
            history = histories.setdefault(Ref.parse(event.resource), History())
            history.seconds += event.seconds or 0.0
            if event.step == DOWN_FROM and event.state == "RUNNING":
                history.down_from = event.at
            elif event.step in DOWN_UNTIL and event.state == "SUCCESS":
                history.down_until = event.at
    return histories


def _resource(
    planned: PlannedResource,
    kind: ResourceType,
    source: Inventory,
    destination: Inventory,
    ids: Mapping[Ref, str],
    histories: Mapping[Ref, History],
    copied: Copied | None,
    moved: Collection[Ref],
) -> ResourceReport:
    identity = ids.get(planned.ref) or planned.destination_id
    there = destination.get(planned.ref._replace(id=identity)) if identity else None
    here = source.get(planned.ref)
    if here is not None:
        here = kind.like(here, planned.resource)
    history = histories.get(planned.ref, History())
    fields = (
        (FieldReport(field="", outcome=Outcome.MISSING, reason="it is not on the destination"),)
        if there is None
        else tuple(_fields(planned, kind, here, there, ids))
    )
    if here and there and is_old(copied, here, there, kind, moves=moved.__contains__):
        fields = (FieldReport(field="", outcome=Outcome.DIFFERS, reason=_USED), *fields)
    return ResourceReport(
        ref=planned.ref,
        name=planned.resource.name,
        action=planned.action,
        destination_id=identity if there is not None else None,
        fields=fields,
        bytes=history.carried.bytes if history.carried else planned.bytes,
        data=_data(kind, planned.resource, there, history.carried),
        seconds=round(history.seconds, 3) or None,
        downtime=history.downtime,
        notes=tuple(history.notes),
        mode=planned.mode,
        mover=history.carried.mover if history.carried else "",
    )


def _fields(
    planned: PlannedResource,
    kind: ResourceType,
    here: Resource | None,
    there: Resource,
    ids: Mapping[Ref, str],
) -> Iterator[FieldReport]:
    if kind.policy(planned.resource) is Policy.MAP:
        yield FieldReport(field="", outcome=Outcome.KEPT, reason=planned.reason)
        return
    broken = kind.unfinished(there)
    if broken:
        yield FieldReport(field="", outcome=Outcome.DIFFERS, reason=broken)
    want = kind.resolve(planned.resource.fields, ids.get)
    lost = {one.field: one.summary for one in planned.problems if one.severity is Severity.LOST}
    for one in kind.carried():
        if one.name in want:
            yield _field(one, planned, kind, want[one.name], here, there, lost.pop(one.name, None))
    for name, reason in lost.items():
        yield FieldReport(field=name, outcome=Outcome.IMPOSSIBLE, reason=reason)


def _field(
    one: Field,
    planned: PlannedResource,
    kind: ResourceType,
    want: Any,
    here: Resource | None,
    there: Resource,
    lost: str | None,
) -> FieldReport:
    """One field: lost, not to be told, the same, changed on purpose, or different."""
    name = one.name
    values = {"source": planned.resource.fields[name], "destination": there.fields.get(name)}
    if one.role is Role.SECRET:
        values = {"source": "(secret)", "destination": "(secret)"}
    if name not in there.fields:
        reason = lost or "the destination does not tell it"
        return FieldReport(field=name, outcome=Outcome.IMPOSSIBLE, **values, reason=reason)
    if same(one, want, there.fields[name]):
        original = here.fields.get(name, values["source"]) if here is not None else values["source"]
        if one.role is not Role.SECRET and original != planned.resource.fields[name]:
            values["source"] = original
            reason = "as the override file says"
            return FieldReport(field=name, outcome=Outcome.CHANGED, **values, reason=reason)
        if lost is not None:
            return FieldReport(field=name, outcome=Outcome.IMPOSSIBLE, **values, reason=lost)
        return FieldReport(field=name, outcome=Outcome.KEPT, **values)
    if lost is not None:
        return FieldReport(field=name, outcome=Outcome.IMPOSSIBLE, **values, reason=lost)
    why = kind.may_change(one, planned.resource, there)
    if not why and planned.action is Action.REUSE and kind.adopt is Adopt.ALWAYS:
        why = "the destination had one of that name, which is used as it is"
    if not why and planned.action is not Action.CREATE and one.fixed:
        why = "it cannot be changed in place"
    outcome = Outcome.CHANGED if why else Outcome.DIFFERS
    return FieldReport(field=name, outcome=outcome, **values, reason=why)


def _data(
    kind: ResourceType, wanted: Resource, there: Resource | None, carried: DataCarried | None
) -> str | None:
    """The digest of the data, where both clouds tell the same, or told it when they arrived."""
    if there is None:
        return None
    digest = kind.data(wanted)
    if digest is None:
        return carried.digest if carried else None
    return digest if kind.data(there) == digest else None
