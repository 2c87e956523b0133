"""Volumes that change hands: one cloud's service lets go of them, the other's takes them as they lie.

See ``doc/adr/0014-managing.rst``. Both clouds are on the same storage, and no byte moves. A volume is never
deleted on the way, on neither side: it is one service's, or the other's, or for a moment none's, and the
journal tells where it lies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.context import PENDING, Carried, Context, Item, JournalEntry
from pumphouse.model import Action, Resource, Side
from pumphouse.moving.movers import Between, Way
from pumphouse.resource import Problem, Severity, Want
from pumphouse.steps import Create, Step, once

CHOICE = "mover"
"""The name of the choice in an override file, and of the fact that tells what was chosen."""
COPY = "copy"
MANAGE = "cinder-manage"
SINCE = "3.8"
"""The API that lists what a service could manage."""
_LIES = "lies"
"""In the journal: the references under which the storage has the volume, or has had it."""
_COPY_IT = "Take the volume out of the rule for mover, so that it is copied, and plan again."
_AGAIN = "Take the migration back again: pumphouse migration rollback"
_BY_HAND = (
    "Nothing is deleted. Look for it on the source's storage with: openstack block storage volume manageable "
    "list; then take the migration back again."
)


class CinderManage(Way):
    """The source's volume service lets go of a volume, and the destination's manages it."""

    name = MANAGE
    rank = 0

    def unfit(self, between: Between) -> str:
        for side, offers in ((Side.SOURCE, between.source), (Side.DESTINATION, between.destination)):
            if not offers.manages:
                return f"the {side}'s volume service does not list what lies on its storage (API {SINCE})"
        return ""


class Managed(Protocol):
    """A type whose resources a service can manage."""

    up_to: str | None

    def read(self, body: Mapping[str, Any]) -> Resource: ...
    def manage(self, cloud: CloudAPI, want: Want, place: Mapping[str, Any]) -> str: ...
    def find(self, cloud: CloudAPI, want: Want) -> str | None: ...
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


# -- what a service sees on its storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What lies on a storage. ``host`` is the backend that sees it, ``id`` the service's own volume of it."""

    reference: Mapping[str, Any]
    size: int
    host: str
    id: str | None


def stored(cloud: CloudAPI, hosts: Collection[str]) -> Iterator[Stored]:
    """All that these backends see. Raises CloudError where one cannot tell."""
    for host in sorted({host.partition("#")[0] for host in hosts}):
        path, key = "/manageable_volumes/detail", "manageable-volumes"
        for one in cloud.each(Service.VOLUME, path, key, params={"host": host}, up_to=SINCE):
            yield Stored(
                reference=one["reference"], size=int(one["size"]), host=host, id=one.get("cinder_id")
            )


def pools(cloud: CloudAPI) -> list[str]:
    """The pools of all backends, as ``host@backend#pool``."""
    return [str(one["name"]) for one in cloud.list(Service.VOLUME, "/scheduler-stats/get_pools", "pools")]


def _only(found: Iterable[Stored], problem: errors.ResourceError) -> Stored:
    """The one there is; raises the problem for none and for several."""
    all_found = list(found)
    if len(all_found) != 1:
        raise problem
    return all_found[0]


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
            once(lambda: unmanage(self.context.source, ref.id), self._was_asked)
        except errors.REFUSALS:
            journal.removed(entry)
            raise
        journal.made(entry, ref.id)
        return self.context.wait(
            Side.SOURCE, "volume", ref.id, self.item.resource.project_id, self._gone,
            describe=f"the source to let go of {self.item.resource}",
            timeout=self.context.settings.volume_timeout,
        )  # fmt: skip

    def undo(self, entry: JournalEntry) -> None:
        """Give it back to the source. Raises while the destination has it."""
        if self.context.journal.open_entries(self.item.ref, Create.name):
            raise self._trouble("the destination still has it", next_step=_AGAIN)
        if self._settled() is None:
            # Not as it was read when the undo began: the destination's has written since where it lies.
            now = self.context.journal.open_entries(self.item.ref, self.name)
            self._take_back(next(one for one in now if one.id == entry.id))

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
        here = _only(
            (one for one in self._seen(source, [body["os-vol-host-attr:host"]]) if one.id == identity),
            self._trouble("the source does not tell as what its storage has it", next_step=_COPY_IT),
        )
        everywhere = pools(self.context.destination)
        there = _only(
            (
                one
                for one in self._seen(self.context.destination, everywhere)
                if one.reference == here.reference and one.size == here.size and one.id is None
            ),
            self._trouble(
                f"the destination does not see {dict(here.reference)} on its storage: it is another one",
                next_step=_COPY_IT,
            ),
        )
        return {
            "reference": dict(here.reference),
            "host": self._pool(everywhere, there.host, body["os-vol-host-attr:host"]),
            "back": body["os-vol-host-attr:host"],
            "was": dict(self._kind.read(body).fields),
            _LIES: [dict(here.reference)],
        }

    def _seen(self, cloud: CloudAPI, hosts: Collection[str]) -> list[Stored]:
        try:
            return list(stored(cloud, hosts))
        except errors.CloudError as error:
            error.next_step = error.next_step or _COPY_IT
            raise

    @staticmethod
    def _pool(everywhere: Iterable[str], host: str, like: str) -> str:
        """The backend's pool; of several, the one that is called as the source's is."""
        own = sorted(one for one in everywhere if one.partition("#")[0] == host)
        alike = (one for one in own if one.partition("#")[2] == like.partition("#")[2])
        return next(alike, own[0])

    # -- meanwhile

    def _was_asked(self) -> bool | None:
        """Whether the source has heard of it: after a lost answer, or in an earlier attempt."""
        return None if self._status() == "available" else True

    def _status(self) -> str | None:
        return status_of(self.context.source, self.item.ref.id)

    def _gone(self, body: Mapping[str, Any] | None) -> Any:
        if body is not None and str(body["status"]).startswith("error"):
            raise self._trouble(
                f"the source could not let go of it: its status is {body['status']}",
                next_step="Look for the reason in the logs of the source's volume service; reset its state.",
            )
        return PENDING if body is not None else True

    def _settled(self) -> str | None:
        """Its status on the source once that is not at work on it; None if it is gone."""
        return until(
            self.context, self._status, lambda found: found != "unmanaging",
            self._trouble("the source is still letting go of it", next_step=_AGAIN),
        )  # fmt: skip

    # -- back

    def _take_back(self, entry: JournalEntry) -> None:
        """Have the source manage it, as it was. Its marker tells it until that is written down."""
        context, item, kind = self.context, self.item, self._kind
        project = str(item.resource.project_id)
        cloud = context.scoped_source(project)
        was = entry.detail["was"]
        want = Want(source=item.resource, fields=was, project_id=project, secrets={})
        made = entry.made_id if entry.made_id != item.ref.id else None
        made = made or kind.find(cloud, want)
        if made is None:
            place = {"host": entry.detail["back"], "ref": self._where(entry)}
            made = once(lambda: kind.manage(cloud, want, place), lambda: kind.find(cloud, want))
        context.journal.made(entry, made)
        found = until(
            context, lambda: status_of(cloud, made), lambda found: found != "managing",
            self._trouble("the source has not taken it yet", next_step=_AGAIN),
        )  # fmt: skip
        if found != "available":
            raise self._trouble(f"the source could not take it: its status is {found}", next_step=_BY_HAND)
        names = ["bootable", "image_metadata", *(["readonly"] if was["readonly"] else [])]
        kind.update(cloud, made, want, {name: was[name] for name in names})
        kind.unmark(cloud, made)
        context.note(item.ref, f"it is the source's again, as volume {made}")

    def _where(self, entry: JournalEntry) -> Mapping[str, Any]:
        """Where it lies now, as the source sees it."""
        problem = self._trouble(f"the source's storage has none of {entry.detail[_LIES]}", next_step=_BY_HAND)
        found = (
            one
            for one in self._seen(self.context.source, [entry.detail["back"]])
            if one.reference in entry.detail[_LIES] and one.id is None
        )
        return _only(found, problem).reference

    def _trouble(self, why: str, *, next_step: str) -> errors.ResourceError:
        return errors.ResourceError(
            why, resource=str(self.item.resource), cloud=self.context.source.name, next_step=next_step
        )


def take(step: Create, cloud: CloudAPI, want: Want) -> str:
    """Have the destination manage what the source has let go of."""
    kind = cast("Managed", step.item.kind)
    (entry,) = step.context.journal.open_entries(step.item.ref, Unmanage.name)
    place = {"host": entry.detail["host"], "ref": entry.detail["reference"]}
    made = once(lambda: kind.manage(cloud, want, place), lambda: kind.find(cloud, want))
    step.context.carried(step.item.ref, step.name, Carried(bytes=0, seconds=0.0, digest="", mover=MANAGE))
    return made


def let_go(context: Context, item: Item, cloud: CloudAPI, identity: str) -> None:
    """Have the destination let go of it again, so that the source can have it back. It is not deleted.

    A name that the destination has given it on the storage is written into the journal before.
    """
    problem = errors.ResourceError(
        f"the destination has not let go of volume {identity}",
        resource=str(item.resource),
        cloud=cloud.name,
        next_step="Detach it there, see that it has no snapshots, and take the migration back again.",
    )

    def status() -> str | None:
        return status_of(cloud, identity)

    found = until(context, status, lambda one: one not in {"managing", "unmanaging"}, problem)
    if found is None:
        return
    for entry in context.journal.open_entries(item.ref, Unmanage.name):
        own = [dict(one.reference) for one in stored(cloud, [entry.detail["host"]]) if one.id == identity]
        if not own and not found.startswith("error"):  # one in error it never had
            raise problem
        detail = {**entry.detail, _LIES: [*entry.detail[_LIES], *own]}
        context.journal.made(entry, entry.made_id or item.ref.id, detail=detail)
    unmanage(cloud, identity)
    until(context, status, lambda one: one is None, problem)


def unmanage(cloud: CloudAPI, identity: str) -> bool:
    """Ask a service to let go of a volume; fine if it has, or is at it."""
    if status_of(cloud, identity) in {None, "unmanaging"}:
        return True
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
