"""Removes for good what a migration leaves: the moved servers and volumes on the source, and markers.

Only on the operator's word, and only what has arrived and was not touched since. What is to go is in the
journal before the first of it goes; run again after a crash, it goes on with that. From then on the migration
cannot be taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds.cloud import Cloud
from pumphouse.compare import differences
from pumphouse.context import JournalEntry, JournalState
from pumphouse.engine.workplace import Workplace
from pumphouse.events import Noted
from pumphouse.model import Ref, Resource, Side
from pumphouse.plan import overrides
from pumphouse.plan.document import PlannedResource
from pumphouse.report.model import Report
from pumphouse.resource import Severity
from pumphouse.service.proving import Sides
from pumphouse.steps import LEFT_AT, Create
from pumphouse.store.states import MigrationState, UnitState

if TYPE_CHECKING:
    from pumphouse.service.migrating import Migrating

STEP = "finalize"
"""The step, and the unit, of the journal's entries on what is to go."""
STATES = frozenset({MigrationState.SUCCEEDED, MigrationState.PARTIAL})
_AT_REST = frozenset({"SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"})
_NOT_MADE = frozenset({"adopted", "before"})


class Part(StrEnum):
    """What can be finalised."""

    SERVERS = "source-servers"
    VOLUMES = "source-volumes"
    MARKERS = "markers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One thing that would go: on which cloud, why it cannot, and what is lost with it.

    ``begun`` says that an earlier attempt was to remove it.
    """

    part: Part
    ref: Ref
    name: str
    identity: str
    cloud: str
    why_not: str = ""
    lost: tuple[str, ...] = ()
    begun: bool = False

    @property
    def goes(self) -> bool:
        """Whether it would go."""
        return not self.why_not

    @property
    def side(self) -> Side:
        """Where it is."""
        return Side.DESTINATION if self.part is Part.MARKERS else Side.SOURCE

    def __str__(self) -> str:
        what = f"the marker of {self.ref.type}" if self.part is Part.MARKERS else f"{self.ref.type}"
        return f"{what} {self.name!r} ({self.identity}) on {self.cloud}"


class Finalizing:
    """Finalises one migration, while this process has it."""

    def __init__(self, work: Migrating) -> None:
        self._work = work

    # -- what could go

    def candidates(self, parts: Collection[Part]) -> list[Candidate]:
        """All of these parts that is still there, with why some of it must stay. Reads both clouds.

        :raises pumphouse.errors.WrongState: the migration has not succeeded, wholly or in part.
        """
        work = self._work
        if work.record.state not in STATES:
            raise errors.WrongState(
                f"migration {work.record.id} is {work.record.state}: only what succeeded can be finalised",
                next_step=f"See it with: pumphouse migration show {work.record.id}",
            )
        sides = work.sides()
        report = work.report_of(sides)
        # What the newest run did to a resource counts.
        entries = work.store.journal.open_entries(work.record.id, newest_first=False)
        found: list[Candidate] = []
        if Part.MARKERS in parts:
            found += self._markers(entries, sides)
        made = {entry.ref: entry for entry in entries if _made(entry)}
        looks = _Source(work, sides, report, entries)
        servers = [looks.server(entry) for ref, entry in sorted(made.items()) if ref.type == "server"]
        volumes = [looks.volume(entry) for ref, entry in sorted(made.items()) if ref.type == "volume"]
        found += _depending(
            [one for one in servers if one and Part.SERVERS in parts],
            [one for one in volumes if one and Part.VOLUMES in parts],
            sides,
        )
        return found

    def _markers(self, entries: Iterable[JournalEntry], sides: Sides) -> Iterator[Candidate]:
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

    # -- letting it go

    def remove(self, wanted: Sequence[Candidate]) -> list[str]:
        """Remove what goes; what could not be removed, in words.

        :raises pumphouse.errors.MigrationBusy: another process is at work on the migration.
        """
        going = [one for one in wanted if one.goes]
        if not going:
            return []
        failed: list[str] = []
        work = self._work
        with work.have() as place:
            work.store.migrations.finalize(work.record.id, epoch=place.epoch)
            removing = _Removing(place, going, failed)
            removing.intend()
            # Volumes last of what is on the source: a server that is still there holds them.
            for part in (Part.MARKERS, Part.SERVERS, Part.VOLUMES):
                removing.remove(part)
        return failed


class _Source:
    """Whether what is on the source may go."""

    def __init__(
        self, work: Migrating, sides: Sides, report: Report, entries: Iterable[JournalEntry]
    ) -> None:
        self._registry = work.registry
        self._sides = sides
        self._wanted = overrides.parse(sides.plan.overrides, work.registry, where="the plan")
        self._wrong = {one.ref: str(one.outcome) for one in report.wrong()}
        self._units = {unit.name: unit for unit in work.store.units.of(work.record.id)}
        self._left_at = {one.ref: one.detail[LEFT_AT] for one in entries if LEFT_AT in one.detail}
        self._begun = {one.ref for one in entries if one.step == STEP and one.side is Side.SOURCE}

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
        snapshots = here.facts["snapshots"]
        why = f"it has snapshots: {', '.join(snapshots)}" if snapshots else ""
        return self._candidate(Part.VOLUMES, entry, here, why)

    def _candidate(self, part: Part, entry: JournalEntry, here: Resource, why: str) -> Candidate:
        planned = self._sides.plan.by_ref[entry.ref]
        begun = entry.ref in self._begun
        return Candidate(
            part=part,
            ref=entry.ref,
            name=here.name,
            identity=entry.ref.id,
            cloud=self._sides.plan.source,
            # What was asked for before has been looked at then, and has changed by that.
            why_not=why or ("" if begun else self._changed(entry, planned, here)),
            lost=tuple(problem.summary for problem in planned.problems if problem.severity is Severity.LOST),
            begun=begun,
        )

    def _changed(self, entry: JournalEntry, planned: PlannedResource, here: Resource) -> str:
        """Why it is not proved to be on the destination, as it is now."""
        unit = self._units.get(entry.unit)
        if unit is not None and unit.state is not UnitState.SUCCEEDED:
            return f"its unit is {unit.state}"
        kind = self._registry[entry.ref.type]
        for ref in (entry.ref, *(one.ref for one in kind.parts(planned.resource, self._sides.here))):
            if ref in self._wrong:
                return f"its counterpart on the destination is not as it should be: it {self._wrong[ref]}"
        now = self._wanted.apply(kind, kind.like(here, planned.resource))
        changed = differences(kind, planned.resource.fields, now.fields)
        if changed:
            return f"it has changed since: {', '.join(one.field for one in changed)}"
        left_at, updated = self._left_at.get(entry.ref), here.facts.get("updated")
        if left_at is None:
            return "nothing tells whether it was used since it was moved"
        return "" if left_at == updated else f"it was used since it was moved, at {updated}"


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


class _Removing:
    """Removes candidates, writing into the journal first that they are to go, and then that they are gone."""

    def __init__(self, place: Workplace, going: Sequence[Candidate], failed: list[str]) -> None:
        self._place = place
        self._going = going
        self._failed = failed
        self._journal = place.store.journal_of(place.migration.id, STEP, epoch=place.epoch)
        self._entries: dict[Candidate, JournalEntry] = {}

    def intend(self) -> None:
        """Write down all that is to go. Raises Fenced."""
        for one in self._going:
            detail = {"part": str(one.part), "name": one.name}
            self._entries[one] = self._journal.intend(one.ref, STEP, one.side, detail=detail)

    def remove(self, part: Part) -> None:
        """Remove what is of one part: ask for all of it, and wait for all of it."""
        asked = [one for one in self._going if one.part is part and self._tried(one, self._ask)]
        end = time.monotonic() + self._place.settings.delete_timeout
        while asked:
            asked = [one for one in asked if self._tried(one, self._still_there)]
            if asked and time.monotonic() > end:
                self._failed += [f"{one} is still there" for one in asked]
                return
            if asked:
                time.sleep(self._place.settings.poll_interval)

    def _tried(self, one: Candidate, do: Callable[[Candidate], bool]) -> bool:
        """Whether there is more to do for it; an error ends it."""
        try:
            more = do(one)
        except (errors.CloudError, errors.ResourceError) as error:
            self._failed.append(f"{one}: {error}")
            return False
        if not more:
            self._journal.removed(self._entries[one])
            text = (
                "its marker was removed" if one.part is Part.MARKERS else f"it was removed from {one.cloud}"
            )
            self._place.emit(
                Noted(migration=self._place.migration.id, resource=str(one.ref), text=f"finalised: {text}")
            )
        return more

    def _ask(self, one: Candidate) -> bool:
        kind = self._place.registry[one.ref.type]
        if one.part is Part.MARKERS:
            kind.unmark(self._place.destination, one.identity)
            return False
        if one.part is Part.SERVERS:
            return kind.delete(self._source, one.identity)
        return True  # it may be held by a server until that is gone

    def _still_there(self, one: Candidate) -> bool:
        """Whether it is. The removal of a volume is asked for once no server has it."""
        body = self._source.waiter.look(one.ref.type, one.identity)
        if body is None:
            return False
        status = str(body["status"])
        if status.lower().startswith("error"):
            raise errors.ResourceFailed(f"its status is {status}")
        if one.part is Part.VOLUMES and status == "available":
            # Not by the type, which insists: one that the service wants to keep stays.
            self._source.delete(Service.VOLUME, f"/volumes/{one.identity}")
        return True

    @property
    def _source(self) -> Cloud:
        return self._place.source
