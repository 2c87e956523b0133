"""Pure values: what a resource is, what a scope names, what an inventory holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Side(StrEnum):
    """Which of the two clouds."""

    SOURCE = "source"
    DESTINATION = "destination"


class Ref(NamedTuple):
    """The identity of a resource in one cloud: its type and its id there."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        """The reference that ``str()`` wrote. Raises ValueError for anything else."""
        kind, colon, identity = text.partition(":")
        if not (kind and colon and identity):
            raise ValueError(f"not a reference: {text!r}")
        return cls(kind, identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of one cloud, as its type reads it.

    ``fields`` are those that the type declares as carried, by their declared names. ``facts`` are what
    planning and moving must know besides, and nobody compares: a status, a size, a checksum.
    """

    ref: Ref
    name: str
    project_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    made_from: str | None = None
    """The source's id, where a marker on the resource tells it."""

    def __str__(self) -> str:
        return f"{self.ref.type} {self.name!r} ({self.ref.id})"

    def to_dict(self) -> dict[str, Any]:
        """The resource as JSON."""
        return {
            "ref": str(self.ref),
            "name": self.name,
            "project_id": self.project_id,
            "fields": dict(self.fields),
            "facts": dict(self.facts),
            "made_from": self.made_from,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Resource:
        """The resource that ``to_dict`` wrote."""
        return cls(
            ref=Ref.parse(data["ref"]),
            name=data["name"],
            project_id=data["project_id"],
            fields=dict(data["fields"]),
            facts=dict(data["facts"]),
            made_from=data["made_from"],
        )


class ScopeKind(StrEnum):
    """What a scope's names stand for."""

    TENANT = "tenant"
    SERVER = "server"
    HOST = "host"
    IMAGE = "image"
    IDENTITY = "identity"


class Strategy(StrEnum):
    """Which meta-resources (all but servers and volumes) come along."""

    DEPENDENCIES = "dependencies"
    ALL = "all"


class DiskMode(StrEnum):
    """How a server's root disk gets to the destination."""

    IMAGE = "image"
    SNAPSHOT = "snapshot"
    VOLUME = "volume"
    AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to move. A name may be a name, an id, or ``domain/name`` for tenants."""

    kind: ScopeKind
    names: tuple[str, ...]
    strategy: Strategy = Strategy.DEPENDENCIES

    def __str__(self) -> str:
        return f"{self.kind} {', '.join(self.names)}"

    @property
    def of_tenants_alone(self) -> bool:
        """Whether no other projects than the named ones matter, however far a cloud is read."""
        tenants = self.kind in {ScopeKind.TENANT, ScopeKind.IDENTITY}
        return tenants and self.strategy is Strategy.DEPENDENCIES

    def to_dict(self) -> dict[str, Any]:
        """The scope as JSON."""
        return {"kind": str(self.kind), "names": list(self.names), "strategy": str(self.strategy)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scope:
        """The scope that ``to_dict`` wrote."""
        return cls(
            kind=ScopeKind(data["kind"]),
            names=tuple(data["names"]),
            strategy=Strategy(data["strategy"]),
        )


class Inventory:
    """What one cloud holds, by reference and by type.

    ``facts`` is what types have surveyed of the cloud as a whole (quota defaults, volume types, zones), by
    the type's name.
    """

    def __init__(
        self,
        cloud: str,
        resources: Iterable[Resource] = (),
        *,
        facts: Mapping[str, Mapping[str, Any]] | None = None,
        taken_at: datetime | None = None,
    ) -> None:
        self.cloud = cloud
        self.taken_at = taken_at or datetime.now(UTC)
        self.facts: dict[str, Mapping[str, Any]] = dict(facts or {})
        self._by_type: dict[str, dict[str, Resource]] = {}
        self._derived: dict[Callable[[Inventory], Any], Any] = {}
        for resource in resources:
            self.add(resource)

    def add(self, resource: Resource) -> None:
        """Add a resource; one seen twice (a page moved while it was read) is kept once."""
        found = self._by_type.setdefault(resource.ref.type, {})
        if resource.ref.id not in found:
            found[resource.ref.id] = resource
            self._derived.clear()

    def replace(self, resource: Resource) -> None:
        """Put a resource in the place of what is known of it."""
        self._by_type.setdefault(resource.ref.type, {})[resource.ref.id] = resource
        self._derived.clear()

    def remove(self, ref: Ref) -> None:
        """Forget a resource; fine if it is not there."""
        self._by_type.get(ref.type, {}).pop(ref.id, None)
        self._derived.clear()

    def get(self, ref: Ref) -> Resource | None:
        """The resource, or None."""
        return self._by_type.get(ref.type, {}).get(ref.id)

    def of_type(self, name: str) -> Collection[Resource]:
        """All resources of a type, in the order in which they were read."""
        return self._by_type.get(name, {}).values()

    def derived(self, build: Callable[[Inventory], T]) -> T:
        """What ``build`` makes of this inventory: made once, and anew after a change.

        For indexes that a type needs for each of its resources. ``build`` must be a function of a module, or
        it is a new one each time.
        """
        if build not in self._derived:
            self._derived[build] = build(self)
        found: T = self._derived[build]
        return found

    def counts(self) -> dict[str, int]:
        """How many of each type."""
        return {name: len(found) for name, found in sorted(self._by_type.items())}

    def __contains__(self, ref: object) -> bool:
        return isinstance(ref, Ref) and self.get(ref) is not None

    def __iter__(self) -> Iterator[Resource]:
        return chain.from_iterable(found.values() for found in self._by_type.values())

    def __len__(self) -> int:
        return sum(map(len, self._by_type.values()))


class Action(StrEnum):
    """What a plan does with one resource. Each comes with a reason."""

    CREATE = "create"
    REUSE = "reuse"
    UPDATE = "update"
    SKIP = "skip"
    BLOCKED = "blocked"
