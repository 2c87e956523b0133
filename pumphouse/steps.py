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
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI
from pumphouse.compare import differences
from pumphouse.context import PENDING, Context, Deferred, Item, JournalEntry
from pumphouse.model import Action, Ref, Side
from pumphouse.resource import ResourceType, Want

T = TypeVar("T")

LEFT_AT = "left_at"
"""In the journal of what has moved: when the source's one was changed last, by the source's own clock."""
USED_BY = "used_by"
"""In the journal, next to that: what had the source's one in use while it was copied."""
USE = "use"
"""The step, and the unit, of entries that say what other migrations made and this one relies on."""


class Step(ABC):
    """One thing done to one resource."""

    name: ClassVar[str]
    doing: ClassVar[str]
    """What a person reads while it runs: "copies the data"."""
    writes: ClassVar[Side | None] = Side.DESTINATION
    turn: ClassVar[int | None] = None
    """Its place among the steps that want the source's server for themselves: compute does one thing at a
    time to a server, and refuses storage that wants its help with a snapshot of a volume in use meanwhile."""

    def __init__(self, context: Context, item: Item) -> None:
        self.context = context
        self.item = item

    @classmethod
    def applies(cls, item: Item) -> bool:
        """Whether there is anything to do for this resource. The first step of a type always applies."""
        return True

    def perform(self) -> Any:
        """Run it, unless another migration has made the resource: then it is whole already."""
        makes = self.item.shared and self.item.action is Action.CREATE and self.writes is Side.DESTINATION
        if makes and not self.context.journal.open_entries(self.item.ref, Create.name):
            return None
        return self.run()

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

    def perform(self) -> Any:
        """Always: it finds out who makes the resource."""
        return self.run()

    def run(self) -> Any:
        """The destination's id, or a Deferred for it while another migration is at it."""
        if self.item.action is Action.UPDATE:
            return self._when_ours(self._update) if self.item.shared else self._update()
        if self.item.action is not Action.CREATE:
            return self.item.destination_id
        return self._when_ours(self._make_or_use) if self.item.shared else self._make()

    def undo(self, entry: JournalEntry) -> None:
        """Delete what was made, or put back what was changed."""
        if not self.item.shared:
            self._undo(entry)
            return
        # One that is about to use it, and has not told the journal so, has the claim for that moment.
        self._until(
            lambda: self.context.claims.claim(self.item.ref) is None, "another migration is still at it"
        )
        try:
            self._undo(entry)
        finally:
            self.context.claims.release(self.item.ref)

    def made(self, entry: JournalEntry) -> str | None:
        """The destination's id of what an entry tells of, also if the answer with it was lost."""
        return entry.made_id or self._find_lost(self._acting_still(entry), entry)

    def _undo(self, entry: JournalEntry) -> None:
        kind, context = self.item.kind, self.context
        if "before" in entry.detail:
            self._restore(entry)
            return
        cloud = self._acting_still(entry)
        made = self.made(entry)
        if made and not entry.detail.get("adopted"):
            heir = context.journal.hand_over(entry)
            if heir is not None:
                context.note(self.item.ref, f"it stays until migration {heir}, which uses it, is rolled back")
                return
            kind.delete(cloud, made)
            self._until_gone(cloud, made, entry.detail.get("project_id"))
        context.ids.remove(self.item.ref)

    # -- making

    def _when_ours(self, do: Callable[[], str]) -> Any:
        """What several migrations need is made, or changed, by one of them at a time; the others wait."""
        ref, context = self.item.ref, self.context

        def attempt() -> Any:
            if context.claims.claim(ref) is not None:
                return PENDING
            try:
                return do()
            except errors.PumphouseError:
                # What left nothing behind will not be undone, and nobody should wait for it any longer.
                if not context.journal.open_entries(ref, self.name):
                    context.claims.release(ref)
                raise

        holder = context.claims.claim(ref)
        if holder is None:
            return attempt()
        waits = f"waits for migration {holder}, which makes {self.item.resource} or changes it"
        context.progress(ref, self.name, 0.0, waits)
        return Deferred(
            poll=attempt,
            describe=waits,
            interval=context.settings.poll_interval,
            timeout=context.settings.image_timeout,
        )

    def _make_or_use(self) -> str:
        ref, context = self.item.ref, self.context
        known = context.lookup(ref)
        if not known or context.journal.open_entries(ref, self.name) or not self._is_there(known):
            return self._make()
        context.journal.use({ref: known})
        context.claims.release(ref)
        return known

    def _is_there(self, identity: str) -> bool:
        """Whether what the id map tells of is still there: somebody may have removed it by hand."""
        return self.item.kind.show(self.context.destination, identity, project_id=None) is not None

    def _make(self) -> str:
        kind, context = self.item.kind, self.context
        want = self.want()
        cloud = self.acting(want.project_id)
        entry = self._intend(cloud, want)
        made = entry.made_id
        if made is None:
            others = _others(entry)
            if others and kind.adopts_alike:
                made = min(others)
                context.journal.made(entry, made, detail={**entry.detail, "adopted": True})
            else:
                made = self._make_own(cloud, entry)
                context.journal.made(entry, made)
        there = kind.show(cloud, made, project_id=want.project_id) if entry.repeated else None
        kind.finish(cloud, made, want, there=there)
        context.ids.put(self.item.ref, made, made=True)
        return made

    def _intend(self, cloud: CloudAPI, want: Want) -> JournalEntry:
        """Write the intent; of a type without markers also what is there before, and so is not ours."""
        kind, journal = self.item.kind, self.context.journal
        detail: dict[str, Any] = {"project_id": want.project_id, **self._told()}
        if not kind.marked and not journal.open_entries(self.item.ref, self.name):
            detail["others"] = sorted(kind.alike(cloud, want))
        return journal.intend(self.item.ref, self.name, Side.DESTINATION, detail=detail)

    def _told(self) -> Mapping[str, Any]:
        """What else the journal must know from the start."""
        return {}

    def _make_own(self, cloud: CloudAPI, entry: JournalEntry) -> str:
        """Find what an earlier attempt made, or create it."""
        want = replace(self.want(secrets=True), others=_others(entry))
        found = self.item.kind.find(cloud, want) if entry.repeated else None
        if found is not None:
            return found
        try:
            return self._create(cloud, want)
        except errors.REFUSALS:
            # Nothing was made. An undo that looked for it would find, and delete, somebody else's. But the
            # request of an earlier attempt may be applied as yet: what it makes is told by its marker.
            if not (entry.repeated and self.item.kind.marked):
                self.context.journal.removed(entry)
            raise

    def _create(self, cloud: CloudAPI, want: Want) -> str:
        """Create once: after a lost answer look first, and only then try again."""
        kind = self.item.kind
        return once(lambda: kind.create(cloud, want), lambda: kind.find(cloud, want))

    def _find_lost(self, cloud: CloudAPI, entry: JournalEntry) -> str | None:
        """What an attempt made whose answer never came."""
        return self.item.kind.find(cloud, replace(self.want(), others=_others(entry)))

    # -- changing

    def _update(self) -> str:
        identity = str(self.item.destination_id)
        want = self.want()
        cloud = self.acting(want.project_id)
        there = self.item.kind.show(cloud, identity, project_id=want.project_id)
        if there is None:
            raise errors.ResourceError(
                f"the destination's one ({identity}) is gone",
                resource=str(self.item.resource),
                cloud=cloud.name,
                next_step="Make a new plan, which will create it.",
            )
        # As it is now, not as the plan saw it: an undo takes back no more than what was added here.
        before = {name: there.fields.get(name) for name in self.item.changed}
        entry = self.context.journal.intend(
            self.item.ref,
            self.name,
            Side.DESTINATION,
            detail={"project_id": want.project_id, "before": before},
        )
        changed = {name: want.fields[name] for name in self.item.changed}
        self.item.kind.update(cloud, identity, want, changed)
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
        seconds = self.context.settings.delete_timeout
        self._until(
            lambda: self.item.kind.show(cloud, identity, project_id=project_id) is None,
            f"{identity} is still there {seconds:.0f} s after its deletion",
        )

    def _until(self, true: Callable[[], bool], why: str) -> None:
        """Look again until it is so. Raises WaitTimeout."""
        settings = self.context.settings
        end = time.monotonic() + settings.delete_timeout
        while not true():
            if time.monotonic() > end:
                raise errors.WaitTimeout(
                    why, resource=str(self.item.resource), cloud=self.context.destination.name
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
            if self.item.shared:
                self.context.claims.release(self.item.ref)
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


def _others(entry: JournalEntry) -> frozenset[str]:
    """What was there before this migration, and cannot be told from what it makes."""
    return frozenset(entry.detail.get("others", ()))


def take_back(step: Step, entry: JournalEntry) -> Exception | None:
    """Undo one effect of a step, and write into the journal what came of it.

    Returns the error that stood in the way, if any: whatever it is, the other effects must still be undone,
    and a later roll-back tries this one again. Raises only Fenced, before anything is written to a cloud.
    """
    step.context.journal.check_fence()
    try:
        step.undo(entry)
    except errors.Fenced:
        raise
    except Exception as error:  # noqa: BLE001 -- kept in the journal and told; the roll-back goes on
        step.context.journal.left(entry, str(error) or type(error).__name__)
        return error
    step.context.journal.removed(entry)
    return None


def once(do: Callable[[], T], look: Callable[[], T | None]) -> T:
    """Do something that must not be done twice: after a lost answer look first, and only then do it again.

    :param look: what came of it, or None if it was not done.
    :raises pumphouse.errors.Unsure: the answer was lost, and what was tried after that failed.
    """
    try:
        return do()
    except errors.Unsure as unsure:
        try:
            found = look()
            return do() if found is None else found
        except errors.CloudError as error:
            # Whatever it is, it does not say that the first request was not applied.
            unsure.message = f"{unsure.message}; and then {error.message}"
            raise unsure from error


def step_named(kind: ResourceType, name: str) -> type[Step]:
    """The step class of a type by its name. Raises KeyError."""
    steps: Iterable[type[Step]] = kind.steps
    for step in steps:
        if step.name == name:
            return step
    raise KeyError(f"{kind.name} has no step {name!r}")
