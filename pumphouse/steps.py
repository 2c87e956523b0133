"""The steps that carry a resource over, written once for all types.

A step does one thing to one resource and can undo it. It is safe to run twice: it writes its intent into the
journal before it writes to a cloud, and finds what an earlier attempt made before it makes it. What must wait
returns a :class:`Deferred` and holds no thread. The module knows no TaskFlow: :mod:`pumphouse.flow` wraps a
step into a task.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Final, Protocol

from pumphouse import errors
from pumphouse.compare import differences
from pumphouse.model import Action, Ref, Resource, Side
from pumphouse.resource import CloudAPI, ResourceType, ScopeLevel, Want


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

    ``temporary`` effects (a grant, a carrier image) are removed when the migration ends, however it ends.
    ``repeated`` is true when an earlier attempt wrote the entry.
    """

    id: int
    unit: str
    ref: Ref
    step: str
    side: Side
    state: JournalState
    made_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    temporary: bool = False
    repeated: bool = False


USE = "use"
"""The step, and the unit, of entries that say what other migrations made and this one relies on."""


class Journal(Protocol):
    """What a migration has done, as one process sees it.

    ``intend`` raises :class:`pumphouse.errors.Fenced` when another process has taken the migration over.
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
    def use(self, used: Mapping[Ref, str]) -> None: ...
    def hand_over(self, entry: JournalEntry) -> str | None: ...


class IdMap(Protocol):
    """Which destination id stands for a source's resource, between these two clouds."""

    def get(self, ref: Ref) -> str | None: ...
    def put(self, ref: Ref, destination_id: str, *, made: bool) -> None: ...
    def remove(self, ref: Ref) -> None: ...


class Claims(Protocol):
    """Who makes what several migrations need."""

    def claim(self, ref: Ref) -> str | None:
        """None if it is ours now, else the id of the migration that is at it."""
        ...


class Waiting(Protocol):
    """Shared polling of one cloud: the newest known body of a resource, None when it is gone.

    ``forget`` drops what is known, so that the next look asks the cloud.
    """

    def look(self, kind: str, identity: str, project_id: str, /) -> Mapping[str, Any] | None: ...
    def forget(self, kind: str, identity: str, project_id: str, /) -> None: ...


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

    ``changed`` names the fields of an UPDATE; ``before`` holds their values on the destination.
    """

    kind: ResourceType
    resource: Resource
    action: Action
    destination_id: str | None = None
    changed: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> Ref:
        """The source's reference."""
        return self.resource.ref


class Scoped(Protocol):
    """Gives a cloud with a token of a project, granting the operator's user the role it lacks there."""

    def __call__(self, project_id: str) -> CloudAPI: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a step works with. One per unit of a run."""

    source: CloudAPI
    destination: CloudAPI
    scoped: Scoped
    journal: Journal
    ids: IdMap
    claims: Claims
    waiting: Mapping[Side, Waiting]
    settings: Settings
    passwords: Passwords
    progress: Callable[[Ref, str, float, str], None]
    """(resource, step, share done from 0 to 1, what is going on)."""
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


class Step(ABC):
    """One thing done to one resource."""

    name: ClassVar[str]
    doing: ClassVar[str]
    """What a person reads while it runs: "copies the data"."""
    writes: ClassVar[Side | None] = Side.DESTINATION

    def __init__(self, context: Context, item: Item) -> None:
        self.context = context
        self.item = item

    @classmethod
    def applies(cls, item: Item) -> bool:
        """Whether there is anything to do for this resource. The first step of a type always applies."""
        return True

    @abstractmethod
    def run(self) -> Any:
        """Do it. Returns small JSON, or a :class:`Deferred` for it. Raises PumphouseError."""

    def undo(self, entry: JournalEntry) -> None:
        """Take back what the journal says this step did, or may have done. "Already gone" is fine.

        Raises PumphouseError if it cannot be taken back.
        """

    # -- helpers

    def want(self, *, secrets: bool = False) -> Want:
        """The resource with the destination's ids; with its secrets only when they are about to be used."""
        resource, kind = self.item.resource, self.item.kind
        project = resource.project_id
        return Want(
            source=resource,
            fields=kind.resolve(resource.fields, self.context.lookup),
            project_id=self.context.lookup(Ref("project", project)) if project else None,
            secrets=kind.secrets(self.context.source, resource.ref.id) if secrets else {},
        )

    def destination_id(self) -> str:
        """The destination's id of this resource. Raises ResourceError when it was never made."""
        found = self.item.destination_id or self.context.lookup(self.item.ref)
        if found is None:
            raise errors.ResourceError(
                "it has no counterpart yet",
                resource=str(self.item.resource),
                cloud=self.context.destination.name,
            )
        return found

    def acting(self, project_id: str | None) -> CloudAPI:
        """The destination, with a token of the project where the type needs one."""
        if self.item.kind.acts_in_project and project_id:
            return self.context.scoped(project_id)
        return self.context.destination


class Create(Step):
    """Make the resource, change it, or adopt the one that is there."""

    name = "create"
    doing = "creates it"

    def run(self) -> Any:
        """The destination's id, or a Deferred for it while another migration makes it."""
        if self.item.action is Action.UPDATE:
            return self._update()
        if self.item.action is not Action.CREATE:
            return self.item.destination_id
        if self.item.kind.scope in {ScopeLevel.CLOUD, ScopeLevel.DOMAIN}:
            return self._shared()
        return self._make()

    def undo(self, entry: JournalEntry) -> None:
        """Delete what was made, or put back what was changed."""
        kind, context = self.item.kind, self.context
        if "before" in entry.detail:
            self._restore(entry)
            return
        cloud = self._acting_still(entry)
        made = entry.made_id or self._find_lost(cloud)
        if made and not entry.detail.get("adopted"):
            heir = context.journal.hand_over(entry)
            if heir is not None:
                context.note(self.item.ref, f"it stays until migration {heir}, which uses it, is rolled back")
                return
            kind.delete(cloud, made)
            self._until_gone(cloud, made, entry.detail.get("project_id"))
        context.ids.remove(self.item.ref)

    # -- making

    def _shared(self) -> Any:
        """What several migrations need is made by one of them; the others wait for it."""
        ref, context = self.item.ref, self.context

        def attempt() -> Any:
            if context.claims.claim(ref) is not None:
                return PENDING
            entries = context.journal.open_entries(ref, self.name)
            known = context.lookup(ref)
            if not known or entries or not self._is_there(known):
                return self._make()
            context.journal.use({ref: known})
            return known

        result = attempt()
        if result is not PENDING:
            return result
        return Deferred(
            poll=attempt,
            describe=f"waits for another migration to create {self.item.resource}",
            interval=context.settings.poll_interval,
            timeout=context.settings.image_timeout,
        )

    def _is_there(self, identity: str) -> bool:
        """Whether what the id map tells of is still there: somebody may have removed it by hand."""
        return self.item.kind.show(self.context.destination, identity, project_id=None) is not None

    def _make(self) -> str:
        kind, context = self.item.kind, self.context
        want = self.want()
        entry = context.journal.intend(
            self.item.ref, self.name, Side.DESTINATION, detail={"project_id": want.project_id}
        )
        cloud = self.acting(want.project_id)
        made = entry.made_id
        if made is None:
            found = kind.find(cloud, want) if entry.repeated or kind.find_first else None
            try:
                made = found or self._create(cloud, self.want(secrets=True))
            except errors.REFUSALS:
                # Nothing was made. An undo that looked for it would find, and delete, somebody else's.
                context.journal.removed(entry)
                raise
            adopted = found is not None and not entry.repeated
            context.journal.made(entry, made, detail={**entry.detail, "adopted": True} if adopted else None)
        kind.finish(cloud, made, want)
        context.ids.put(self.item.ref, made, made=True)
        return made

    def _create(self, cloud: CloudAPI, want: Want) -> str:
        """Create once: after a lost answer look first, and only then try again."""
        kind = self.item.kind
        try:
            return kind.create(cloud, want)
        except errors.Unsure:
            return kind.find(cloud, want) or kind.create(cloud, want)

    def _find_lost(self, cloud: CloudAPI) -> str | None:
        """What an attempt made whose answer never came."""
        return self.item.kind.find(cloud, self.want())

    # -- changing

    def _update(self) -> str:
        identity = str(self.item.destination_id)
        want = self.want()
        before = {name: self.item.before.get(name) for name in self.item.changed}
        entry = self.context.journal.intend(
            self.item.ref,
            self.name,
            Side.DESTINATION,
            detail={"project_id": want.project_id, "before": before},
        )
        changed = {name: want.fields[name] for name in self.item.changed}
        self.item.kind.update(self.acting(want.project_id), identity, want, changed)
        self.context.journal.made(entry, identity)
        return identity

    def _restore(self, entry: JournalEntry) -> None:
        identity = entry.made_id or str(self.item.destination_id)
        cloud = self._acting_still(entry)
        if self.item.kind.show(cloud, identity, project_id=entry.detail.get("project_id")) is not None:
            self.item.kind.update(cloud, identity, self.want(), entry.detail["before"])

    # -- removing

    def _acting_still(self, entry: JournalEntry) -> CloudAPI:
        """As :meth:`acting`. What is left of a project that is gone an administrator reaches all the same."""
        try:
            return self.acting(entry.detail.get("project_id"))
        except errors.NotFound:
            return self.context.destination

    def _until_gone(self, cloud: CloudAPI, identity: str, project_id: str | None) -> None:
        """Wait for a deletion that the service does in its own time."""
        settings = self.context.settings
        end = time.monotonic() + settings.delete_timeout
        while self.item.kind.show(cloud, identity, project_id=project_id) is not None:
            if time.monotonic() > end:
                raise errors.WaitTimeout(
                    f"it is still there {settings.delete_timeout:.0f} s after its deletion",
                    resource=f"{self.item.kind.name} {identity}",
                    cloud=self.context.destination.name,
                )
            time.sleep(min(settings.poll_interval, 1.0))


class Verify(Step):
    """Read the resource back and compare every carried field."""

    name = "verify"
    doing = "compares it with the source"
    writes = None

    def run(self) -> Any:
        """Nothing; raises VerificationFailed with what differs."""
        if self.item.action in {Action.CREATE, Action.UPDATE}:
            self.compare()
        return None

    def compare(self) -> None:
        """Raise VerificationFailed unless every carried field has arrived."""
        want = self.want()
        cloud = self.acting(want.project_id)
        have = self.item.kind.show(cloud, self.destination_id(), project_id=want.project_id)
        if have is None:
            self.fail("it is not there")
        else:
            kind = self.item.kind
            fields = {field.name: field for field in kind.carried()}
            found = [
                one
                for one in differences(kind, want.fields, have.fields)
                if not kind.may_change(fields[one.field], self.item.resource, have)
            ]
            if found:
                self.fail("; ".join(map(str, found)))

    def fail(self, why: str) -> None:
        """Raise VerificationFailed for this resource."""
        raise errors.VerificationFailed(
            why, resource=str(self.item.resource), cloud=self.context.destination.name
        )


def step_named(kind: ResourceType, name: str) -> type[Step]:
    """The step class of a type by its name. Raises KeyError."""
    steps: Iterable[type[Step]] = kind.steps
    for step in steps:
        if step.name == name:
            return step
    raise KeyError(f"{kind.name} has no step {name!r}")
