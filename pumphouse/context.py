"""What a step works with: the clouds, the journal, the id map, the operator's choices, and results to come.

Most are protocols: the store, the clouds and the service fulfil them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from pumphouse.cloud_api import CloudAPI
from pumphouse.model import Action, Ref, Resource, Side
from pumphouse.resource import ResourceType


class Pending:
    """The type of :data:`PENDING`."""

    def __repr__(self) -> str:
        return "PENDING"


PENDING: Final = Pending()
"""What a poll returns while there is nothing to say yet."""


class Interrupted(Exception):
    """A wait was cut short since the run pauses; the step runs again on resume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """A result that is still to come.

    ``poll`` is called every ``interval`` seconds until it returns something other than :data:`PENDING`,
    raises, or ``timeout`` seconds have passed.
    """

    poll: Callable[[], Any]
    describe: str
    interval: float = 1.0
    timeout: float = 600.0


class JournalState(StrEnum):
    """How far an effect has come."""

    INTENT = "intent"
    MADE = "made"
    REMOVED = "removed"
    LEFT = "left"
    """It should have been removed, and could not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One effect on a cloud that a migration has, or may have had.

    ``plan`` is the one that was carried out, and so names the run; an entry without one is of no run.
    ``temporary`` effects (a grant, a carrier image) are removed when the migration ends, however it ends.
    ``repeated`` is true when an earlier attempt wrote the entry.
    """

    id: int
    plan: str = ""
    unit: str
    ref: Ref
    step: str
    side: Side
    state: JournalState
    made_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    temporary: bool = False
    repeated: bool = False


class Journal(Protocol):
    """What one run of a migration has done. What earlier runs did, it neither continues nor takes back.

    ``of_other_runs`` tells of those what is still open, the oldest first.
    ``intend`` raises :class:`pumphouse.errors.Fenced` when another process has taken the migration over; so
    does ``check_fence``, which is asked before an effect is undone.
    ``use`` says which of the destination's resources this migration relies on. ``hand_over`` gives what was
    made, instead of removing it, to another migration that relies on it; None if there is none.
    """

    def intend(
        self,
        ref: Ref,
        step: str,
        side: Side,
        *,
        detail: Mapping[str, Any] | None = None,
        temporary: bool = False,
    ) -> JournalEntry: ...
    def made(
        self, entry: JournalEntry, made_id: str, *, detail: Mapping[str, Any] | None = None
    ) -> JournalEntry: ...
    def removed(self, entry: JournalEntry) -> None: ...
    def left(self, entry: JournalEntry, reason: str) -> None: ...
    def open_entries(self, ref: Ref, step: str) -> list[JournalEntry]: ...
    def check_fence(self) -> None: ...
    def of_other_runs(self, ref: Ref, step: str) -> list[JournalEntry]: ...
    def use(self, used: Mapping[Ref, str]) -> None: ...
    def hand_over(self, entry: JournalEntry) -> str | None: ...


class IdMap(Protocol):
    """Which destination id stands for a source's resource, between these two clouds."""

    def get(self, ref: Ref) -> str | None: ...
    def put(self, ref: Ref, destination_id: str, *, made: bool) -> None: ...
    def remove(self, ref: Ref) -> None: ...


class Claims(Protocol):
    """Who makes, changes or removes what several migrations need.

    ``claim`` gives None if it is ours now, else the id of the migration that is at it. It is held until the
    resource is whole and verified, or gone, and no longer: two that each held what the other waits for would
    wait for ever.
    """

    def claim(self, ref: Ref) -> str | None: ...
    def release(self, ref: Ref) -> None: ...


class Waiting(Protocol):
    """Shared polling of one cloud: the newest known body of a resource, None when it is gone.

    ``forget`` drops what is known, so that the next look asks the cloud.
    """

    def look(self, kind: str, identity: str, project_id: str, /) -> Mapping[str, Any] | None: ...
    def forget(self, kind: str, identity: str, project_id: str, /) -> None: ...


class Lane(Protocol):
    """What all transfers of a migration share: ``slot`` lets only so many in at the same time.

    ``bandwidth`` is how many bytes may pass in a second, 0 for no limit; ``take`` waits until so many may.
    """

    @property
    def bandwidth(self) -> int: ...
    @property
    def block(self) -> int: ...
    def slot(self) -> AbstractContextManager[None]: ...
    def take(self, size: int) -> None: ...


class Passwords(Protocol):
    """Gives users of the destination their passwords, after the operator's policy."""

    def carry(self, source_id: str, destination_id: str) -> str:
        """Do it, and tell in a few words what was done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's choices that steps follow. Times are in seconds."""

    quiesce: str = "suspend"
    passwords: str = "keep"
    floating_ips: str = "keep"
    poll_interval: float = 1.0
    build_timeout: float = 600.0
    volume_timeout: float = 3600.0
    image_timeout: float = 3600.0
    delete_timeout: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One resource of a plan: as it is wanted (with the source's ids) and what the plan does with it.

    ``changed`` names the fields of an UPDATE, ``mover`` the way of its data. Of what is ``shared``, other
    migrations may be making it too.
    """

    kind: ResourceType
    resource: Resource
    action: Action
    destination_id: str | None = None
    changed: tuple[str, ...] = ()
    shared: bool = False
    mover: str = ""

    @property
    def ref(self) -> Ref:
        """The source's reference."""
        return self.resource.ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Data that have arrived, in ``seconds``, by a ``mover``. ``digest`` is what both sides tell of them."""

    bytes: int
    seconds: float
    digest: str
    mover: str


class Scoped(Protocol):
    """Gives a cloud with a token of a project, granting the operator's user the role it lacks there."""

    def __call__(self, project_id: str) -> CloudAPI: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a step works with. One per unit of a run."""

    migration: str
    source: CloudAPI
    destination: CloudAPI
    scoped: Scoped
    """On the destination; ``scoped_source`` is the same on the source, which only an undo asks for."""
    scoped_source: Scoped
    journal: Journal
    ids: IdMap
    claims: Claims
    waiting: Mapping[Side, Waiting]
    settings: Settings
    passwords: Passwords
    lane: Lane
    progress: Callable[[Ref, str, float, str], None]
    """(resource, step, share done from 0 to 1, what is going on)."""
    carried: Callable[[Ref, str, Carried], None]
    """(resource, step, what has arrived and was compared with what was sent)."""
    note: Callable[[Ref, str], None]
    """Something an operator should read: an address that changed, a password that could not be kept."""

    def cloud(self, side: Side) -> CloudAPI:
        """The cloud on one side."""
        return self.source if side is Side.SOURCE else self.destination

    def lookup(self, ref: Ref) -> str | None:
        """The destination's id for a source's reference, or None."""
        return self.ids.get(ref)

    def wait(
        self,
        side: Side,
        kind: str,
        identity: str,
        project_id: str | None,
        until: Callable[[Mapping[str, Any] | None], Any],
        *,
        describe: str,
        timeout: float,
    ) -> Deferred:
        """A deferred result: ``until`` sees each newest body and returns PENDING, a result, or raises.

        What is known from before is forgotten: an action has just been sent.
        """
        waiting, project = self.waiting[side], project_id or ""
        waiting.forget(kind, identity, project)
        return Deferred(
            poll=lambda: until(waiting.look(kind, identity, project)),
            describe=describe,
            interval=self.settings.poll_interval,
            timeout=timeout,
        )
