"""The contract that a resource type fulfils: what it carries, where it lives, how it is made and removed.

A type declares its fields, each with a role. Everything else derives from that declaration: the edges of
the graph, the create body, the fingerprint, the comparison, the tables of the documentation. The module is
pure: it knows no TaskFlow and opens no connection; a type talks to its cloud through :class:`CloudAPI`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import Field, Reference, Role
from pumphouse.model import Inventory, Ref, Resource


class ScopeLevel(StrEnum):
    """Who owns a resource of the type, and so who may share it."""

    CLOUD = "cloud"
    DOMAIN = "domain"
    PROJECT = "project"
    USER = "user"


class Adopt(StrEnum):
    """What to do with something on the destination that has the same identity, but was not made by us."""

    ALWAYS = "always"
    """Use it as it is; say what differs."""
    SAME = "same"
    """Use it if every carried field is the same, else it is a conflict."""
    SET = "set"
    """It is a setting, which is always there: change it to what is wanted."""
    NEVER = "never"
    """It is a conflict: a name clash."""


class Grouping(StrEnum):
    """Which resources share a flow, and so are undone together when one of them fails."""

    TOGETHER = "together"
    """With its like: those of one project, or those that all projects share."""
    ALONE = "alone"
    """A flow of its own, so that its failure leaves the others done."""
    ATTACHED = "attached"
    """In the flow of the one that needs it and is ALONE; together with its like where there is none."""


class Policy(StrEnum):
    """What becomes of a resource."""

    MOVE = "move"
    MAP = "map"
    """Only mapped to one that must be there already."""
    LEAVE = "leave"
    """Work left for people: shown with what ``refuse`` says, and never made."""


class Severity(StrEnum):
    """How much a problem matters."""

    BLOCK = "block"
    WARNING = "warning"
    LOST = "lost"
    """A field or a state that cannot be carried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that planning found: what, and what to do about it."""

    severity: Severity
    summary: str
    next_step: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A resource as it shall be on the destination: every id in ``fields`` is the destination's.

    ``secrets`` are read from the source just before they are needed and are never kept.
    """

    source: Resource
    fields: Mapping[str, Any]
    project_id: str | None = None
    secrets: Mapping[str, Any]
    others: frozenset[str] = frozenset()
    """What :meth:`ResourceType.alike` told before anything was written: not ours."""

    @property
    def marker(self) -> str:
        """What a marker on the destination says: the source's id."""
        return self.source.ref.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far an inventory reads where the API has no bulk list: only these projects, or all (None).

    ``people`` asks for what takes a call for each user only to be told to people. It is of no use on the
    destination, nor where no tenants move.
    """

    projects: frozenset[str] | None = None
    people: bool = False

    def covers(self, project_id: str | None) -> bool:
        """Whether a project is within reach."""
        return self.projects is None or project_id in self.projects


class ResourceType(ABC):
    """One type of resource. Stateless: one instance serves all clouds and threads."""

    name: ClassVar[str]
    service: ClassVar[Service]
    scope: ClassVar[ScopeLevel]
    fields: ClassVar[tuple[Field, ...]]
    steps: ClassVar[tuple[type[Any], ...]]
    """The step classes of :mod:`pumphouse.steps`, in order. None: all of the type is left for people."""
    adopt: ClassVar[Adopt] = Adopt.SAME
    after: ClassVar[tuple[str, ...]] = ()
    """Types that must have been read before ``discover`` of this one (it looks things up in them)."""
    acts_in_project: ClassVar[bool] = False
    """Whether creating needs a token scoped to the owning project."""
    workload: ClassVar[bool] = False
    """Whether it is what the tenants run, rather than a meta-resource."""
    grouping: ClassVar[Grouping] = Grouping.TOGETHER
    """Which flow it is part of."""
    holds: ClassVar[tuple[str, ...]] = ()
    """Types of what it needs that are carried while it rests: after its first step, before it is made."""
    marked: ClassVar[bool] = True
    """Whether a marker tells ours; else what is ``alike`` is written into the intent, before the request."""
    adopts_alike: ClassVar[bool] = False
    """Whether what is ``alike`` is used: one more cannot be, and the cloud may have made it by itself."""

    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """What the operator chooses for each of them, by name, and out of what; out of () means any text."""

    # -- reading

    @abstractmethod
    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterable[Resource]:
        """Every resource of this type, by bulk lists. ``seen`` holds the types of ``after``."""

    def partly_listed(self, resource: Resource) -> bool:
        """Whether no list tells all of it, so that :meth:`complete` must. Pure."""
        return False

    def complete(self, cloud: CloudAPI, resource: Resource) -> Resource:
        """The resource with what no list tells, by calls of its own. Raises NotFound when it is gone.

        Only what a plan holds is completed: for a whole cloud it would be calls without end.
        """
        return resource

    def survey(self, cloud: CloudAPI, *, reach: Reach) -> Mapping[str, Any]:
        """Facts about the cloud as a whole that ``check`` needs, as small JSON."""
        return {}

    @abstractmethod
    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """One resource, or None if it is not there."""

    def secrets(self, cloud: CloudAPI, identity: str) -> Mapping[str, Any]:
        """The values of the secret fields, read from the source for immediate use."""
        return {}

    # -- deciding: these are pure

    def choose(self, resource: Resource, chosen: Mapping[str, str]) -> Resource:
        """The resource as it follows from the operator's choices, before anything else is decided.

        Doing it again changes nothing, and what was decided may be given as the choice.
        """
        return resource

    def like(self, resource: Resource, planned: Resource) -> Resource:
        """A resource with the choices that a plan made for it."""
        chosen = {name: str(planned.facts[name]) for name in self.choices if name in planned.facts}
        return self.choose(resource, chosen) if chosen else resource

    def parts(self, resource: Resource, source: Inventory) -> Iterable[Resource]:
        """What the source has only as a part of it, and the destination gets as resources of their own."""
        return ()

    def is_part(self, resource: Resource) -> bool:
        """Whether the source has it only as a part of another resource."""
        return False

    def mode(self, resource: Resource) -> str:
        """How its data get to the destination, in a word; "" where there is but one way."""
        return ""

    def selectable(self, resource: Resource) -> bool:
        """Whether it can be moved by itself, rather than coming into being with something else."""
        return True

    def policy(self, resource: Resource) -> Policy:
        """Whether it is moved, mapped, or left for people."""
        return Policy.MOVE if self.steps else Policy.LEAVE

    def tenants(self, resource: Resource, inventory: Inventory) -> Iterable[str]:
        """The projects to which it belongs."""
        return (resource.project_id,) if resource.project_id else ()

    def reaches(self, resource: Resource, inventory: Inventory, projects: Collection[str]) -> Problem | None:
        """Why it does not move with these projects, though it takes effect in one without belonging to it.

        It is told then, and left for people; None for what concerns none of them.
        """
        return None

    def needs(self, resource: Resource, inventory: Inventory) -> Iterable[Ref]:
        """What it needs besides what its fields refer to."""
        return ()

    def company(self, resource: Resource, inventory: Inventory) -> Iterable[Resource]:
        """The others that it belongs with, though it can move without them: the rest of its server group."""
        return ()

    def used_by(self, resource: Resource) -> Iterable[Ref]:
        """Those that have its data in use now."""
        return ()

    def holders(self, resource: Resource) -> Iterable[Ref]:
        """Those that use it together, so that it moves with all of them or not at all; none for one."""
        return ()

    def identity(self, fields: Mapping[str, Any], *, policy: Policy = Policy.MOVE) -> tuple[Any, ...] | None:
        """The values of the key fields, or None if it has no identity but its marker."""
        values = tuple(_hashable(fields.get(field.name)) for field in self.fields if field.key)
        return values or None

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Why it cannot be moved, or what is lost on the way, seen from the source alone."""
        return ()

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """What stands in the way on the destination. Ids not made yet are missing from ``want``.

        :param exists: whether the destination has it already (it will be updated or reused).
        """
        return ()

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """What it takes of its project's quota: ``{"compute.cores": 4}``, by service type and quota name."""
        return {}

    def unfinished(self, there: Resource) -> str:
        """Why the destination's one is no whole one, or is one no longer; "" if it is.

        What a migration made and is not whole blocks a plan, and differs in a report.
        """
        return ""

    def may_change(self, field: Field, wanted: Resource, there: Resource) -> str:
        """Why a field of the destination's may well differ from the one wanted; "" if it may not."""
        return ""

    def data(self, resource: Resource) -> str | None:
        """The digest of its data, such as ``sha512:ab12...``, where the cloud tells one."""
        return None

    def size(self, resource: Resource) -> int:
        """How many bytes of data move with it."""
        return 0

    def touched(self, resource: Resource) -> str:
        """What changes whenever its data may have; "" for what has none, or whose data never change."""
        return ""

    def copied_until(self, resource: Resource) -> str:
        """The :meth:`touched` until which the operator says that nothing was written since it was copied."""
        return ""

    def rests(self, resource: Resource) -> bool:
        """Whether it is out of service on the source while it moves."""
        return False

    def way(self, resource: Resource) -> str:
        """The way of its data that the operator has chosen; "" to leave that to the plan."""
        return ""

    def data_is_open(self, resource: Resource) -> bool:
        """Whether the source tells where its data can be had without logging in."""
        return False

    # -- writing

    @abstractmethod
    def create(self, cloud: CloudAPI, want: Want) -> str:
        """Make it with one request where the API allows, marker included, and return its id."""

    def finish(self, cloud: CloudAPI, identity: str, want: Want, *, there: Resource | None) -> None:
        """What creating needs after the first request (marker, parts of it).

        :param there: as an earlier attempt has left it; None if this one made it. What is set by then is not
            set again, so that attempts that die soon get on all the same.
        """

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """The one that an earlier attempt of ours made, or None.

        By its marker; else by identity, but none of ``want.others``.
        """
        return None

    def alike(self, cloud: CloudAPI, want: Want) -> Iterable[str]:
        """The ids of all that ``find`` could take for ours, where there is no marker."""
        found = self.find(cloud, want)
        return (found,) if found is not None else ()

    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None:
        """Change the given fields of an existing resource."""
        raise TypeError(f"{self.name} cannot be changed")

    def unmark(self, cloud: CloudAPI, identity: str) -> None:
        """Take the marker off, where it stays after the creation. Fine if there is none."""

    @abstractmethod
    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Remove it. False if it was already gone. Returns when it is gone or going."""

    # -- derived

    @classmethod
    @cache
    def carried(cls) -> tuple[Field, ...]:
        """The fields that are carried."""
        return tuple(field for field in cls.fields if field.role is not Role.DROP)

    @classmethod
    @cache
    def _referring(cls) -> tuple[tuple[Field, tuple[str, ...], str], ...]:
        """Each place in the fields that holds ids: the field, the path inside it, and the type."""
        return tuple(
            (field, _parts(path), target) for field in cls.carried() for path, target in field.refs.items()
        )

    @classmethod
    @cache
    def _picking(cls) -> tuple[tuple[str, Any, bool], ...]:
        """The names of the carried fields, what a body without one means, and whether a cloud may lack it."""
        return tuple(
            (field.name, field.default, bool(field.since or field.extension)) for field in cls.carried()
        )

    def references(self, fields: Mapping[str, Any]) -> Iterator[Reference]:
        """Every id in the fields, with the field that holds it."""
        for field, path, target in self._referring():
            value = fields.get(field.name)
            if value:
                for identity in _values(value, path):
                    yield Reference(field, Ref(target, identity))

    def resolve(self, fields: Mapping[str, Any], lookup: Callable[[Ref], str | None]) -> dict[str, Any]:
        """The fields with every id replaced by what ``lookup`` gives.

        In an optional field, what has no counterpart is left out: the entry of a list, the key of a mapping.
        """
        resolved = dict(fields)
        for field, path, target in self._referring():
            if resolved.get(field.name):
                value = _rewrite(resolved[field.name], path, target, lookup)
                resolved[field.name] = _without_gaps(value, path) if field.optional else value
        return resolved

    def pick(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The carried fields of an API body. One that the cloud does not know is left out."""
        picked = {}
        for name, default, may_lack in self._picking():
            value = body.get(name)
            if value is not None:
                picked[name] = value
            elif not may_lack or name in body:
                picked[name] = default
        return picked


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split(".")) if path else ()


def _values(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _values(item, path)
    elif not path:
        if value:
            yield str(value)
    elif isinstance(value, Mapping):
        yield from _values(value.get(path[0]), path[1:])


def _rewrite(value: Any, path: tuple[str, ...], target: str, lookup: Callable[[Ref], str | None]) -> Any:
    if isinstance(value, list | tuple):
        return [_rewrite(item, path, target, lookup) for item in value]
    if not path:
        return lookup(Ref(target, value)) if value else value
    if isinstance(value, Mapping) and path[0] in value:
        return {**value, path[0]: _rewrite(value[path[0]], path[1:], target, lookup)}
    return value


def _without_gaps(value: Any, path: tuple[str, ...]) -> Any:
    """The value without list entries, or else mapping keys, whose id became None."""
    if isinstance(value, list):
        return [item for item in value if any(True for _ in _values(item, path))]
    if len(path) == 1 and isinstance(value, Mapping) and value.get(path[0], "") is None:
        return {name: item for name, item in value.items() if name != path[0]}
    return value


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((name, _hashable(item)) for name, item in value.items()))
    if isinstance(value, list | tuple):
        return tuple(_hashable(item) for item in value)
    return value
