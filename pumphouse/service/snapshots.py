"""What clouds held when they were last read: kept unpacked, for listings that come in pages."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from pumphouse import errors
from pumphouse.inventory.scope import tenants
from pumphouse.model import Inventory, Resource, Scope, ScopeKind
from pumphouse.registry import Registry
from pumphouse.store.inventories import Inventories


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRecord:
    """A cloud of clouds.yaml, and when it was last read as a whole. ``counts`` is by type."""

    name: str
    read_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A project of a cloud, and how many resources of each type belong to it."""

    id: str
    name: str
    domain_id: str | None
    enabled: bool
    description: str
    counts: Mapping[str, int]


class Snapshot:
    """A cloud as it was when it was read, in a fixed order: by type, needed ones first, then by name."""

    def __init__(self, inventory: Inventory, registry: Registry) -> None:
        self.cloud = inventory.cloud
        self.read_at = inventory.taken_at
        self._inventory = inventory
        self._registry = registry

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many of each type."""
        return self._inventory.counts()

    @cached_property
    def resources(self) -> Sequence[Resource]:
        """All of them."""
        rank = self._registry.rank
        known = (one for one in self._inventory if one.ref.type in rank)
        return sorted(known, key=lambda one: (rank[one.ref.type], one.name, one.ref.id))

    @cached_property
    def tenants(self) -> Sequence[Tenant]:
        """The projects, by name."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for owner, owned in self._owned.items():
            counts[owner].update(one.ref.type for one in owned if one.ref.type != "project")
        return sorted(
            (
                Tenant(
                    id=one.ref.id,
                    name=one.name,
                    domain_id=one.fields.get("domain_id"),
                    enabled=one.fields.get("enabled") is not False,
                    description=one.fields.get("description") or "",
                    counts=dict(sorted(counts[one.ref.id].items())),
                )
                for one in self._inventory.of_type("project")
            ),
            key=lambda tenant: (tenant.name, tenant.id),
        )

    def select(self, *, types: Collection[str], tenant: str | None, text: str) -> Sequence[Resource]:
        """Those of these types (all if none are given), of this tenant, with this text in their name or id.

        :param tenant: its id, its name, or domain and name.
        :raises pumphouse.errors.UnknownResource: there is no such type or tenant.
        :raises pumphouse.errors.AmbiguousName: several tenants have this name.
        """
        unknown = sorted(set(types) - set(self._registry))
        if unknown:
            raise errors.UnknownResource(
                f"there is no resource type {', '.join(map(repr, unknown))}",
                next_step=f"Known are: {', '.join(sorted(self._registry))}.",
            )
        found = self.resources if tenant is None else self._of_tenant(tenant)
        wanted = text.casefold()
        return [
            one
            for one in found
            if (not types or one.ref.type in types)
            and (not wanted or wanted in one.name.casefold() or wanted in one.ref.id.casefold())
        ]

    def of_tenant(self, tenant: str) -> Sequence[Resource]:
        """What belongs to a tenant, by its id."""
        return self._owned.get(tenant, [])

    def _of_tenant(self, tenant: str) -> Sequence[Resource]:
        scope = Scope(kind=ScopeKind.TENANT, names=(tenant,))
        (project,) = tenants(scope, self._inventory)
        return self._owned[project.ref.id]

    @cached_property
    def _owned(self) -> Mapping[str, list[Resource]]:
        """The resources of each project, in their order."""
        owned: dict[str, list[Resource]] = defaultdict(list)
        for one in self.resources:
            for owner in set(self._registry[one.ref.type].tenants(one, self._inventory)):
                owned[owner].append(one)
        return owned


class Snapshots:
    """The newest snapshot of each cloud. Threads may share it."""

    def __init__(self, inventories: Inventories, registry: Callable[[], Registry]) -> None:
        self._inventories = inventories
        self._registry = registry
        self._lock = threading.Lock()
        self._reading: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._kept: dict[str, tuple[int, Snapshot]] = {}

    def records(self, names: Collection[str]) -> list[CloudRecord]:
        """These clouds, and when each was last read."""
        newest = {one.cloud: one for one in reversed(self._inventories.list())}
        return [
            CloudRecord(name=name, read_at=newest[name].taken_at, counts=newest[name].counts)
            if name in newest
            else CloudRecord(name=name)
            for name in names
        ]

    def same_tenant(self, tenant: str) -> set[str]:
        """A tenant's name or id, and the ids that it has on the clouds that were read."""
        read = {record.cloud for record in self._inventories.list()}
        return {tenant} | {
            known.id for one in read for known in self.latest(one).tenants if known.name == tenant
        }

    def latest(self, cloud: str) -> Snapshot:
        """The newest one of a cloud. Raises NotRead."""
        with self._lock:
            found = next(iter(self._inventories.list(cloud)), None)
            if found is None:
                raise errors.NotRead(
                    f"cloud {cloud} has not been read yet",
                    cloud=cloud,
                    next_step=f"Read it with: pumphouse inventory {cloud}",
                )
            number, snapshot = self._kept.get(cloud, (0, None))
            if snapshot is None or number != found.id:
                inventory = self._inventories.latest(cloud)
                if inventory is None:
                    raise AssertionError("an inventory is never removed but for a newer one")
                snapshot = Snapshot(inventory, self._registry())
                self._kept[cloud] = (found.id, snapshot)
            return snapshot

    def refresh(self, cloud: str, read: Callable[[], Inventory]) -> Snapshot:
        """Read a cloud; who asks while it is being read gets what that reading finds."""
        with self._lock:
            reading = self._reading[cloud]
        before = self._inventories.list(cloud)[:1]
        with reading:
            if self._inventories.list(cloud)[:1] == before:
                read()
        return self.latest(cloud)
