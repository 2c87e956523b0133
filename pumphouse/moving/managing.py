"""Volumes that change hands: one cloud's service lets go of them, the other's takes them as they lie.

See ``doc/adr/0014-managing.rst``. Both clouds are on the same storage, and no byte moves. A volume is never
deleted on the way, on neither side: it is one service's, or the other's, or for a moment none's, and the
journal tells where it lies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar, cast

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.context import PENDING, Carried, Context, Item, JournalEntry
from pumphouse.model import Action, Ref, Resource, Side
from pumphouse.moving import storage
from pumphouse.moving.movers import Between, Way
from pumphouse.moving.storage import Stored
from pumphouse.resource import Problem, Severity, Want
from pumphouse.steps import Create, Step, once

T = TypeVar("T")

CHOICE = "mover"
"""The name of the choice in an override file, and of the fact that tells what was chosen."""
COPY = "copy"
MANAGE = "cinder-manage"
MANAGED = "managed"
"""In the journal of a creation: the volume is one that the source has let go of."""
_AT_WORK = frozenset({"managing", "unmanaging"})
_MOMENTS = 5
"""How often is looked for what a request may have done whose answer was lost."""
_COPY_IT = "Take the volume out of the rule for mover, so that it is copied, and plan again."
_ROLLBACK = "pumphouse migration rollback"
_AGAIN = f"Take the migration back again: {_ROLLBACK}"
_BY_HAND = (
    "Nothing is deleted: do not delete a volume for this on either cloud. Look why in the logs of the "
    "source's volume service, and for it on the storage with: openstack block storage volume manageable "
    f"list; then take the migration back again: {_ROLLBACK}. If you have the source "
    "manage it by hand, in its project, give it the property pumphouse_source with the old id before that."
)


class CinderManage(Way):
    """The source's volume service lets go of a volume, and the destination's manages it."""

    name = MANAGE
    rank = 0

    def unfit(self, between: Between) -> str:
        for side, offers in ((Side.SOURCE, between.source), (Side.DESTINATION, between.destination)):
            if not offers.manages:
                since = f"(API {storage.SINCE})"
                return f"the {side}'s volume service does not list what lies on its storage {since}"
        return ""


class Managed(Protocol):
    """A type whose resources a service can manage."""

    up_to: str | None

    def read(self, body: Mapping[str, Any]) -> Resource: ...
    def manage(self, cloud: CloudAPI, want: Want, place: Mapping[str, Any]) -> str: ...
    def find(self, cloud: CloudAPI, want: Want) -> str | None: ...
    def find_all(self, cloud: CloudAPI, want: Want) -> Iterable[str]: ...
    def update(self, cloud: CloudAPI, identity: str, want: Want, changed: Mapping[str, Any]) -> None: ...
    def unmark(self, cloud: CloudAPI, identity: str) -> None: ...


def changes_hands(resource: Resource) -> bool:
    """Whether the operator has chosen that it does."""
    return bool(resource.facts.get(CHOICE) == MANAGE)


def refuse(resource: Resource) -> Iterator[Problem]:
    """What keeps it from changing hands, and what that means."""
    facts = resource.facts
    if facts["attachments"]:
        yield _block("it is attached, and is never detached", "Copy it: take it out of the rule for mover.")
    elif facts["status"] != "available":
        yield _block(f"its status is {facts['status']}", "Wait until it is available, or copy it.")
    if facts["snapshots"]:
        yield _block("its snapshots would be lost", "Remove them, or copy it.")
    if facts["group"]:
        yield _block("it is in a volume group", "Take it out of the group, or copy it.")
    yield Problem(
        severity=Severity.WARNING,
        summary="it is not copied: the source lets go of it, and no longer lists it; the destination takes "
        "it as it lies on the storage of both",
        next_step="There is no second copy of it from then on: see that there is a backup.",
    )
    yield Problem(
        severity=Severity.WARNING,
        summary="a roll-back gives it back to the source with the same name, type and metadata, but with a "
        "new id, and as a volume of the operator's user",
    )


def _block(why: str, next_step: str) -> Problem:
    return Problem(severity=Severity.BLOCK, summary=f"it cannot change hands: {why}", next_step=next_step)


# -- the steps


class Unmanage(Step):
    """Have the source let go of it, once it is certain that the destination can take it, and back."""

    name = "unmanage"
    doing = "has the source let go of it"
    writes = Side.SOURCE

    @classmethod
    def applies(cls, item: Item) -> bool:
        return item.action is Action.CREATE and changes_hands(item.resource)

    def run(self) -> Any:
        """Nothing, once the source no longer has it."""
        journal, ref = self.context.journal, self.item.ref
        begun = journal.open_entries(ref, self.name)
        detail = None if begun else self._look()
        entry = journal.intend(ref, self.name, Side.SOURCE, detail=detail)
        try:
            once(lambda: unmanage(self.context, self.context.source, ref.id), self._was_asked)
        except errors.REFUSALS:
            if not entry.repeated:
                journal.removed(entry)
                raise
            # It may be refused since the request of an earlier attempt has been applied meanwhile.
            if not self._was_asked():
                raise
        journal.made(entry, ref.id)
        self._tell_if_fenced()
        return self.context.wait(
            Side.SOURCE, "volume", ref.id, self.item.resource.project_id, self._gone,
            describe=f"the source to let go of {self.item.resource}",
            timeout=self.context.settings.volume_timeout,
        )  # fmt: skip

    def undo(self, entry: JournalEntry) -> None:
        """Give it back to the source. Raises while the destination has it."""
        if self.context.journal.open_entries(self.item.ref, Create.name):
            raise self._trouble("the destination still has it", next_step=_AGAIN)
        found = self._settled(entry)
        if found is None:
            # Not as it was read when the undo began: the destination's has written since where it lies.
            now = self.context.journal.open_entries(self.item.ref, self.name)
            self._take_back(next(one for one in now if one.id == entry.id))
        elif found.startswith("error"):
            raise self._stuck(found)

    @property
    def _kind(self) -> Managed:
        return cast("Managed", self.item.kind)

    # -- before

    def _look(self) -> dict[str, Any]:
        """What the journal must know to give it back. Raises ResourceError if that is not certain."""
        source, identity = self.context.source, self.item.ref.id
        body = source.get(Service.VOLUME, f"/volumes/{identity}", up_to=self._kind.up_to)["volume"]
        if body["status"] != "available" or body["attachments"]:
            raise self._trouble(
                f"it is {body['status']} on the source now", next_step="Detach it there, or copy it."
            )
        self._require_none_there()
        back = str(body["os-vol-host-attr:host"])
        here = storage.only(
            (one for one in self._seen(back) if one.id == identity),
            self._trouble("the source does not tell as what its storage has it", next_step=_COPY_IT),
        )
        everywhere = storage.pools(self.context.destination)
        found, failed = storage.seen(self.context.destination, everywhere)
        why = "".join(f"; and one backend does not tell: {error}" for error in failed)
        there = storage.only(
            (
                one
                for one in found
                if one.reference == here.reference and one.size == here.size and one.id is None
            ),
            self._trouble(
                f"the destination does not see {dict(here.reference)} on its storage: it is another one{why}",
                next_step=_COPY_IT,
            ),
        )
        if there.unsafe:
            raise self._trouble(f"the destination cannot manage it: {there.unsafe}", next_step=_COPY_IT)
        host = storage.pool(everywhere, there.host, back)
        if host is None:
            raise self._trouble(
                f"the destination's {there.host} has several pools, and none is called as in {back}",
                next_step=_COPY_IT,
            )
        return {
            "host": host,
            "back": back,
            "was": dict(self._kind.read(body).fields),
            storage.SIZE: here.size,
            storage.LIES: [dict(here.reference)],
            storage.IDS: [identity],
        }

    def _require_none_there(self) -> None:
        """What is marked as made of it is known to be this run's from then on."""
        project = self.context.lookup(Ref("project", str(self.item.resource.project_id)))
        if project is None:
            return  # it is still to be made
        want = Want(source=self.item.resource, fields={}, project_id=project, secrets={})
        found = self._kind.find(self.acting(project), want)
        if found is not None:
            raise self._trouble(
                f"the destination has volume {found}, which was made of it", next_step="Make a new plan."
            )

    def _seen(self, back: str) -> list[Stored]:
        """What the source's backend sees."""
        try:
            return list(storage.stored(self.context.source, back))
        except errors.CloudError as error:
            error.next_step = error.next_step or _COPY_IT
            raise

    # -- meanwhile

    def _was_asked(self) -> bool | None:
        """Whether the source has heard of it: after a lost answer, or in an earlier attempt."""
        return late(self.context, lambda: None if self._status() == "available" else True)

    def _status(self) -> str | None:
        return status_of(self.context.source, self.item.ref.id)

    def _gone(self, body: Mapping[str, Any] | None) -> Any:
        if body is not None and str(body["status"]).startswith("error"):
            raise self._stuck(str(body["status"]))
        return PENDING if body is not None else True

    def _settled(self, entry: JournalEntry) -> str | None:
        """Its status on the source once that is not at work on it; None if it is gone."""
        if entry.made_id is None:
            self._was_asked()  # nothing was heard of that; it may be about to begin
        return until(
            self.context, self._status, lambda found: found != "unmanaging",
            self._trouble("the source is still letting go of it", next_step=_AGAIN),
        )  # fmt: skip

    def _tell_if_fenced(self) -> None:
        """Whoever has taken the migration over may have seen the volume before it went. Raises Fenced."""
        try:
            self.context.journal.check_fence()
        except errors.Fenced:
            self.context.note(
                self.item.ref,
                "the source was asked to let go of it by a process that had lost the migration meanwhile; "
                "if the migration does not go on, take it back (again)",
            )
            raise

    def _stuck(self, status: str) -> errors.ResourceError:
        return self._trouble(
            f"the source could not let go of it: its status is {status}",
            next_step="Look for the reason in the logs of the source's volume service; when it is sound, set "
            f"its state to available, and take the migration back again: {_ROLLBACK}",
        )

    # -- back

    def _take_back(self, entry: JournalEntry) -> None:
        """Have the source manage it, as it was. Its marker tells it until that is written down."""
        context, item, kind = self.context, self.item, self._kind
        project = str(item.resource.project_id)
        cloud = context.scoped_source(project)
        was = entry.detail["was"]
        want = Want(source=item.resource, fields=was, project_id=project, secrets={})
        entry, made = self._from_before(cloud, want, entry)
        if made is None:
            found = self._seen(entry.detail["back"])
            by_hand = [one.id for one in found if one.id and one.reference in entry.detail[storage.LIES]]
            if by_hand:
                context.note(
                    item.ref, f"it is the source's again: it was managed there, as volume {by_hand[0]}"
                )
                return
            made = self._manage(cloud, want, entry, found)
        names = ["bootable", "image_metadata", *(["readonly"] if was["readonly"] else [])]
        kind.update(cloud, made, want, {name: was[name] for name in names})
        kind.unmark(cloud, made)
        if kind.read(cloud.get(Service.VOLUME, f"/volumes/{made}")["volume"]).made_from:
            raise self._trouble(f"volume {made} of the source still has the marker", next_step=_AGAIN)
        context.note(item.ref, f"it is the source's again, as volume {made}")

    def _from_before(
        self, cloud: CloudAPI, want: Want, entry: JournalEntry
    ) -> tuple[JournalEntry, str | None]:
        """The volume that an earlier attempt has made of it. The source lets go of those that ended in error.

        A request whose answer was lost may have made one besides.
        """
        own = [entry.made_id] if entry.made_id and entry.made_id != self.item.ref.id else []
        whole: list[str] = []
        for one in dict.fromkeys([*own, *self._kind.find_all(cloud, want)]):
            status = self._taken(cloud, one)
            if status is not None and not status.startswith("error"):
                whole.append(one)
            elif status is not None:
                problem = self._trouble(
                    f"the source does not let go of volume {one}, which is {status}", next_step=_BY_HAND
                )
                entry = _release(self.context, entry, cloud, one, entry.detail["back"], problem)
        if len(whole) > 1:
            raise self._trouble(f"several volumes of the source may be it: {whole}", next_step=_BY_HAND)
        if whole:
            entry = self.context.journal.made(entry, whole[0])
        return entry, whole[0] if whole else None

    def _manage(self, cloud: CloudAPI, want: Want, entry: JournalEntry, found: Iterable[Stored]) -> str:
        """Have the source take it from where it lies now. The id that it has then."""
        context, kind = self.context, self._kind
        lies = entry.detail[storage.LIES]
        problem = self._trouble(f"the source's storage has none, or several, of {lies}", next_step=_BY_HAND)
        one = storage.only(storage.lying(found, entry.detail), problem)
        entry = _noted(context, entry, [one])
        made = _manage_once(context, kind, cloud, want, {"host": entry.detail["back"], "ref": one.reference})
        entry = context.journal.made(entry, made)
        status = self._taken(cloud, made)
        if status != "available":
            raise self._trouble(
                f"the source could not take it: volume {made} is {status}", next_step=_BY_HAND
            )
        return made

    def _taken(self, cloud: CloudAPI, identity: str) -> str | None:
        """The status of what the source was to take, once it is not at work on it."""
        return until(
            self.context, lambda: status_of(cloud, identity), lambda found: found not in _AT_WORK,
            self._trouble("the source has not taken it yet", next_step=_AGAIN),
        )  # fmt: skip

    def _trouble(self, why: str, *, next_step: str) -> errors.ResourceError:
        return errors.ResourceError(
            why, resource=str(self.item.resource), cloud=self.context.source.name, next_step=next_step
        )


def take(step: Create, cloud: CloudAPI, want: Want) -> str:
    """Have the destination manage what the source has let go of, under the name that it has by now."""
    context, item = step.context, step.item
    problem = errors.ResourceError(
        "the destination does not see it any longer, since the source has let go of it",
        resource=str(item.resource),
        cloud=cloud.name,
        next_step=_COPY_IT,
    )
    entry = _held(context, item, problem)
    host = entry.detail["host"]

    def look() -> list[Stored] | None:
        return storage.lying(storage.stored(context.destination, host), entry.detail) or None

    place = storage.only(late(context, look) or (), problem)
    _noted(context, entry, [place])
    kind = cast("Managed", item.kind)
    made = _manage_once(context, kind, cloud, want, {"host": host, "ref": place.reference})
    context.carried(item.ref, step.name, Carried(bytes=0, seconds=0.0, digest="", mover=MANAGE))
    return made


def let_go(step: Create, cloud: CloudAPI, entry: JournalEntry) -> None:
    """Have the destination let go of it again, so that the source can have it back. It is not deleted.

    So of all that it was asked to make of it: a request whose answer was lost may have been applied as well.
    """
    context, item, kind = step.context, step.item, cast("Managed", step.item.kind)
    want = step.want()
    if entry.made_id is None:
        late(context, lambda: kind.find(cloud, want))
    own = [entry.made_id] if entry.made_id else []
    for identity in dict.fromkeys([*own, *kind.find_all(cloud, want)]):
        problem = errors.ResourceError(
            f"the destination has not let go of volume {identity}",
            resource=str(item.resource),
            cloud=cloud.name,
            next_step="Detach it there, see that it has no snapshots, and take the migration back again.",
        )
        if status_of(cloud, identity) is not None:
            held = _held(context, item, problem)
            _release(context, held, cloud, identity, held.detail["host"], problem)


def _held(context: Context, item: Item, problem: errors.ResourceError) -> JournalEntry:
    """The entry that tells where it lies. Raises the problem if there is none: nobody could give it back."""
    found = context.journal.open_entries(item.ref, Unmanage.name)
    if len(found) != 1:
        raise problem
    return found[0]


def _noted(
    context: Context, entry: JournalEntry, places: Iterable[Stored], ids: Iterable[str] = ()
) -> JournalEntry:
    """Write down where it lies now, or as what a service knows it, before that is changed."""
    detail = dict(entry.detail)
    for one in places:
        if one.reference not in detail[storage.LIES]:
            detail[storage.LIES] = [*detail[storage.LIES], dict(one.reference)]
        detail[storage.SIZE] = one.size
    detail[storage.IDS] = list(dict.fromkeys([*detail[storage.IDS], *ids]))
    return context.journal.made(entry, entry.made_id or entry.ref.id, detail=detail)


def _manage_once(
    context: Context, kind: Managed, cloud: CloudAPI, want: Want, place: Mapping[str, Any]
) -> str:
    """Ask for it once: after a lost answer it is looked for, for some moments, before that is repeated."""
    context.journal.check_fence()
    return once(
        lambda: kind.manage(cloud, want, place), lambda: late(context, lambda: kind.find(cloud, want))
    )


def _release(
    context: Context,
    entry: JournalEntry,
    cloud: CloudAPI,
    identity: str,
    host: str,
    problem: errors.ResourceError,
) -> JournalEntry:
    """Have a service let go of a volume. What it is called on the storage is written down before."""

    def status() -> str | None:
        return status_of(cloud, identity)

    found = until(context, status, lambda one: one not in _AT_WORK, problem)
    if found is None:
        return entry
    own = [one for one in storage.stored(cloud, host) if one.id == identity]
    if not own and not found.startswith("error"):  # one in error it never had
        raise problem
    entry = _noted(context, entry, own, [identity])

    def asked() -> bool | None:
        return late(context, lambda: None if status() == found else True)

    once(lambda: unmanage(context, cloud, identity), asked)
    if until(context, status, lambda one: one is None or one.startswith("error"), problem) is not None:
        raise problem
    return entry


def unmanage(context: Context, cloud: CloudAPI, identity: str) -> bool:
    """Ask a service to let go of a volume; fine if it has, or is at it. Raises Fenced."""
    if status_of(cloud, identity) in {None, "unmanaging"}:
        return True
    context.journal.check_fence()  # the look may have taken long
    cloud.post(Service.VOLUME, f"/volumes/{identity}/action", {"os-unmanage": {}})
    return True


def status_of(cloud: CloudAPI, identity: str, kind: str = "volume") -> str | None:
    """What a volume or a snapshot is doing; None if it is gone."""
    try:
        return str(cloud.get(Service.VOLUME, f"/{kind}s/{identity}")[kind]["status"])
    except errors.NotFound:
        return None


def until(
    context: Context,
    look: Callable[[], str | None],
    enough: Callable[[str | None], bool],
    problem: errors.PumphouseError,
) -> str | None:
    """What is seen once it is enough. Raises the problem when that takes too long."""
    settings = context.settings
    end = time.monotonic() + settings.delete_timeout
    while not enough(found := look()):
        if time.monotonic() > end:
            raise problem
        time.sleep(min(settings.poll_interval, 1.0))
    return found


def late(context: Context, look: Callable[[], T | None]) -> T | None:
    """What is seen, if only after some moments: a request whose answer was lost may be applied as yet."""
    for _ in range(_MOMENTS):
        if (found := look()) is not None:
            return found
        time.sleep(context.settings.poll_interval)
    return look()
