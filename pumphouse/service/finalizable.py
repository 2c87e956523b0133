"""What of a migration could be removed for good, and why the rest of it must stay. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from pumphouse.compare import differences
from pumphouse.context import JournalEntry, JournalState
from pumphouse.errors import WrongState
from pumphouse.model import Ref, Resource, Side
from pumphouse.plan import overrides
from pumphouse.plan.document import PlannedResource
from pumphouse.report.model import Report, ResourceReport
from pumphouse.resource import Severity
from pumphouse.service import reading
from pumphouse.service.proving import Sides
from pumphouse.steps import LEFT_AT, Create
from pumphouse.store.migrations import require_finalizable
from pumphouse.store.states import UnitState

if TYPE_CHECKING:
    from pumphouse.service.migrating import Migrating

STEP = "finalize"
"""The step, and the unit, of the journal's entries on what is to go."""
_AT_REST = frozenset({"SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"})
_SOUND = frozenset({"available", "in-use", "detaching", "deleting"})
"""The status of a volume that was moved, until it is gone."""
_NOT_MADE = frozenset({"adopted", "before"})


class Part(StrEnum):
    """What can be finalised."""

    SERVERS = "source-servers"
    VOLUMES = "source-volumes"
    MARKERS = "markers"


class Key(NamedTuple):
    """What tells candidates apart, however often they are looked for."""

    part: Part
    ref: Ref
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One thing that would go: on which cloud, why it cannot, and what is lost with it.

    ``seen`` is when the source had changed it last, by its own clock; empty where that changes by what goes
    with it.
    """

    part: Part
    ref: Ref
    name: str
    identity: str
    cloud: str
    why_not: str = ""
    lost: tuple[str, ...] = ()
    seen: str = ""

    @property
    def key(self) -> Key:
        """What stays the same of it when it is looked for again."""
        return Key(self.part, self.ref, self.identity)

    @property
    def goes(self) -> bool:
        """Whether it would go."""
        return not self.why_not

    @property
    def side(self) -> Side:
        """Where it is."""
        return Side.DESTINATION if self.part is Part.MARKERS else Side.SOURCE

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"ref": str(self.ref)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Candidate:
        """The one that ``to_dict`` wrote."""
        known = {"part": Part(data["part"]), "ref": Ref.parse(data["ref"]), "lost": tuple(data["lost"])}
        return cls(**{**data, **known})

    def __str__(self) -> str:
        what = f"the marker of {self.ref.type}" if self.part is Part.MARKERS else f"{self.ref.type}"
        return f"{what} {self.name!r} ({self.identity}) on {self.cloud}"


def find_candidates(
    work: Migrating,
    parts: Collection[Part],
    *,
    among: Collection[Key] | None = None,
    progress: reading.Progress = reading.quiet,
) -> list[Candidate]:
    """All of these parts that is still there, with why some of it must stay. Reads both clouds.

    :param among: only these may go, and so what needs only these to go; None is all.
    :raises pumphouse.errors.WrongState: the migration has not succeeded, wholly or in part; or has left what
        could not be taken back, which only a roll-back or a retry does.
    """
    require_finalizable(work.record.id, work.record.state)
    _refuse_if_left(work)
    sides = work.sides(progress)
    report = work.report_of(sides)
    # What the newest run did to a resource counts.
    entries = work.store.journal.open_entries(work.record.id, newest_first=False)
    found: list[Candidate] = []
    if Part.MARKERS in parts:
        found += _markers(entries, sides)
    made = {entry.ref: entry for entry in entries if _made(entry)}
    looks = _Source(work, sides, report, entries)
    servers = [looks.server(entry) for ref, entry in sorted(made.items()) if ref.type == "server"]
    volumes = [looks.volume(entry) for ref, entry in sorted(made.items()) if ref.type == "volume"]
    return found + _depending(
        [_if_among(one, among) for one in servers if one and Part.SERVERS in parts],
        [_if_among(one, among) for one in volumes if one and Part.VOLUMES in parts],
        sides,
    )


def _refuse_if_left(work: Migrating) -> None:
    id = work.record.id
    entries = work.store.journal.open_entries(id, temporary=False)
    left = sorted({entry.ref for entry in entries if entry.state is JournalState.LEFT})
    if left:
        raise WrongState(
            f"migration {id} has left what could not be taken back: {', '.join(map(str, left))}",
            next_step=f"Take it back with: pumphouse migration rollback {id}; or try the failed units again, "
            f"which takes it back first, with: pumphouse migration retry {id}",
        )


def _if_among(one: Candidate, among: Collection[Key] | None) -> Candidate:
    meant = among is None or one.key in among or not one.goes
    return one if meant else replace(one, why_not="nobody was asked about it")


def _markers(entries: Iterable[JournalEntry], sides: Sides) -> Iterator[Candidate]:
    for entry in sorted(entries, key=lambda one: one.ref):
        there = sides.there.get(entry.ref._replace(id=entry.made_id or ""))
        if _made(entry) and there is not None and there.made_from == entry.ref.id:
            yield Candidate(
                part=Part.MARKERS,
                ref=entry.ref,
                name=there.name,
                identity=there.ref.id,
                cloud=sides.plan.destination,
            )


class _Source:
    """Whether what is on the source may go."""

    def __init__(
        self, work: Migrating, sides: Sides, report: Report, entries: Iterable[JournalEntry]
    ) -> None:
        self._registry = work.registry
        self._sides = sides
        self._wanted = overrides.parse(sides.plan.overrides, work.registry, where="the plan")
        self._wrong = {one.ref: _told(one) for one in report.wrong()}
        self._units = {unit.name: unit for unit in work.store.units.of(work.record.id)}
        self._left_at = {one.ref: one.detail[LEFT_AT] for one in entries if LEFT_AT in one.detail}
        self._begun = {one.ref: one for one in entries if one.step == STEP and one.side is Side.SOURCE}

    def server(self, entry: JournalEntry) -> Candidate | None:
        """A moved server, if it is still there."""
        here = self._sides.here.get(entry.ref)
        if here is None:
            return None
        running = str(here.facts["status"]) not in _AT_REST
        why = f"it is {here.facts['status']} on the source" if running else ""
        return self._candidate(Part.SERVERS, entry, here, why)

    def volume(self, entry: JournalEntry) -> Candidate | None:
        """A moved volume, if it is still there."""
        here = self._sides.here.get(entry.ref)
        if here is None:
            return None
        snapshots, status = here.facts["snapshots"], str(here.facts["status"])
        why = f"it has snapshots: {', '.join(snapshots)}" if snapshots else ""
        if status not in _SOUND:
            why = f"it is {status} on the source"
        return self._candidate(Part.VOLUMES, entry, here, why)

    def _candidate(self, part: Part, entry: JournalEntry, here: Resource, why: str) -> Candidate:
        planned = self._sides.plan.by_ref[entry.ref]
        going = self._is_going(planned, here)
        return Candidate(
            part=part,
            ref=entry.ref,
            name=here.name,
            identity=entry.ref.id,
            cloud=self._sides.plan.source,
            why_not=why or self._changed(entry, planned, here) or ("" if going else self._used(here)),
            lost=tuple(problem.summary for problem in planned.problems if problem.severity is Severity.LOST),
            seen="" if going or here.facts.get("attachments") else str(here.facts.get("updated") or ""),
        )

    def _is_going(self, planned: PlannedResource, here: Resource) -> bool:
        """Whether an earlier attempt to remove it has changed it last: it is under way, or its servers went.

        Once an attempt has come to a volume itself, it has written down when the volume was changed.
        """
        begun = self._begun.get(here.ref)
        if begun is None or _being_deleted(here):
            return begun is not None
        had_it = [Ref("server", one["server"]) for one in planned.resource.facts.get("attachments", ())]
        holders = [self._sides.here.get(ref) for ref in had_it]
        gone = all(one is None or _being_deleted(one) for one in holders)
        return bool(holders) and gone and LEFT_AT not in begun.detail

    def _changed(self, entry: JournalEntry, planned: PlannedResource, here: Resource) -> str:
        """Why it is not proved to be on the destination, as it is now."""
        unit = self._units.get(entry.unit)
        if unit is not None and unit.state is not UnitState.SUCCEEDED:
            return f"its unit is {unit.state}"
        kind = self._registry[entry.ref.type]
        for ref in (entry.ref, *(one.ref for one in kind.parts(planned.resource, self._sides.here))):
            if ref in self._wrong:
                return f"its counterpart on the destination is not as it should be: {self._wrong[ref]}"
        now = self._wanted.apply(kind, kind.like(here, planned.resource))
        changed = differences(kind, planned.resource.fields, now.fields)
        if changed:
            return f"it has changed since: {', '.join(one.field for one in changed)}"
        return ""

    def _used(self, here: Resource) -> str:
        """Why it may have been used since it was moved."""
        left_at, updated = self._left_at.get(here.ref), here.facts.get("updated")
        if left_at is None:
            return "nothing tells whether it was used since it was moved"
        return "" if left_at == updated else f"it was used since it was moved, at {updated}"


def _told(one: ResourceReport) -> str:
    """What is wrong with a counterpart: the reason where that concerns the whole, else that it differs."""
    why = [field.reason for field in one.fields if not field.field and field.outcome is one.outcome]
    return ", ".join(why) or f"it {one.outcome}"


def _being_deleted(here: Resource) -> bool:
    """Whether the cloud is at it."""
    return here.facts.get("task_state") == "deleting" or here.facts["status"] == "deleting"


def _made(entry: JournalEntry) -> bool:
    """Whether an entry tells of something that the migration created."""
    creates = entry.step == Create.name and entry.state is JournalState.MADE
    return creates and not entry.detail.keys() & _NOT_MADE


def _depending(servers: Sequence[Candidate], volumes: Sequence[Candidate], sides: Sides) -> list[Candidate]:
    """The candidates, of which those stay that cannot go without another one, which stays."""
    by_ref = {one.ref: one for one in (*servers, *volumes)}
    while True:
        more = {}
        for one in by_ref.values():
            why = _holds(one, by_ref, sides) if one.goes else ""
            if why:
                more[one.ref] = replace(one, why_not=why)
        if not more:
            return list(by_ref.values())
        by_ref |= more


def _holds(one: Candidate, by_ref: Mapping[Ref, Candidate], sides: Sides) -> str:
    """What keeps a candidate: the volumes that would go with a server, the server that has a volume."""

    def stays(ref: Ref) -> bool:
        other = by_ref.get(ref)
        return other is None or not other.goes

    here = sides.here.get(one.ref)
    if here is None:
        return ""
    if one.part is Part.SERVERS:
        with_it = [
            Ref("volume", str(volume["volume"]))
            for volume in here.fields["volumes"]
            if volume["delete_on_termination"]
        ]
        kept = [ref.id for ref in with_it if stays(ref)]
        if kept:
            return f"the cloud would remove its volumes with it, which are to stay: {', '.join(kept)}"
        return ""
    holders = [Ref("server", str(attached["server"])) for attached in here.facts["attachments"]]
    kept = [ref.id for ref in holders if stays(ref)]
    return f"it is attached to a server that is to stay: {', '.join(kept)}" if kept else ""
