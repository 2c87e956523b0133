"""What was moved when, and what of it the source has changed since, by tenant."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pumphouse.compare import differences
from pumphouse.model import ScopeKind
from pumphouse.plan import overrides
from pumphouse.plan.document import Plan
from pumphouse.registry import Registry
from pumphouse.resource import Severity
from pumphouse.service.snapshots import Snapshot
from pumphouse.store.migrations import MigrationRecord, Migrations
from pumphouse.store.states import MigrationState

_MOVED: Final = frozenset({MigrationState.SUCCEEDED, MigrationState.PARTIAL})
_MOST_KEPT: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What the source has otherwise than when a tenant was moved: references, by what became of them."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    gone: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.added or self.gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The newest migration that moved a tenant, or tries to.

    ``changes`` is None where nobody can tell: it was not moved, or the source was not read since.
    """

    migration: str
    destination: str
    state: MigrationState
    ended_at: datetime | None
    changes: Changes | None


class History:
    """What was moved from each cloud. Threads may share it.

    :param plan_of: a migration's plan.
    """

    def __init__(
        self, migrations: Migrations, registry: Callable[[], Registry], plan_of: Callable[[str], Plan]
    ) -> None:
        self._migrations = migrations
        self._registry = registry
        self._plan_of = plan_of
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, str, datetime], Changes] = OrderedDict()

    def of(self, snapshot: Snapshot, tenants: Sequence[str]) -> Mapping[str, Moved]:
        """What is known of these tenants (ids) of a cloud, by their ids."""
        wanted, newest = set(tenants), dict[str, MigrationRecord]()
        for record in self._migrations.list(source=snapshot.cloud):
            if record.state not in {MigrationState.PLANNED, MigrationState.CANCELLED}:
                for tenant in wanted & set(record.subjects):
                    newest.setdefault(tenant, record)
        return {tenant: self._moved(snapshot, tenant, record) for tenant, record in newest.items()}

    def _moved(self, snapshot: Snapshot, tenant: str, record: MigrationRecord) -> Moved:
        told = record.state in _MOVED and record.ended_at is not None and record.ended_at <= snapshot.read_at
        return Moved(
            migration=record.id,
            destination=record.destination,
            state=record.state,
            ended_at=record.ended_at,
            changes=self._changes(snapshot, tenant, record) if told else None,
        )

    def _changes(self, snapshot: Snapshot, tenant: str, record: MigrationRecord) -> Changes:
        key = (tenant, record.id, record.plan_id, snapshot.read_at)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = changes(self._plan_of(record.id), snapshot, tenant, self._registry())
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


def changes(plan: Plan, snapshot: Snapshot, tenant: str, registry: Registry) -> Changes:
    """What of a tenant is otherwise than the plan found it. Pure.

    What the plan lost on the way, and what no list tells, is not compared.
    """
    wanted = overrides.parse(plan.overrides, registry, where="the plan")
    here = {one.ref: one for one in snapshot.of_tenant(tenant)}
    changed: list[str] = []
    for ref, resource in here.items():
        planned = plan.by_ref.get(ref)
        if planned is not None and ref.type in registry:
            kind = registry[ref.type]
            lost = {one.field for one in planned.problems if one.severity is Severity.LOST}
            now = wanted.apply(kind, kind.like(resource, planned.resource))
            found = differences(kind, planned.resource.fields, now.fields)
            # A list tells less of some than the plan knows: what it tells must be among that.
            partly = kind.partly_listed(resource)
            if any(one.field not in lost and not (partly and _within(one.have, one.want)) for one in found):
                changed.append(str(ref))
    whole = plan.scope.kind is ScopeKind.TENANT
    gone = (
        str(one.ref)
        for one in plan.resources
        if one.resource.project_id == tenant
        and one.ref not in here
        and not registry[one.ref.type].is_part(one.resource)
    )
    added = (
        str(one.ref)
        for one in here.values()
        if whole and one.ref not in plan.by_ref and registry[one.ref.type].selectable(one)
    )
    return Changes(changed=tuple(sorted(changed)), added=tuple(sorted(added)), gone=tuple(sorted(gone)))


def _within(listed: Any, known: Any) -> bool:
    """Whether everything that is listed is known."""
    if isinstance(listed, Mapping) and isinstance(known, Mapping):
        return all(name in known and _within(one, known[name]) for name, one in listed.items())
    if isinstance(listed, list) and isinstance(known, list):
        return all(any(_within(one, other) for other in known) for one in listed)
    return bool(listed == known)
