"""Removes for good what a migration leaves: the moved servers and volumes on the source, and markers.

Only on the operator's word, and only what has arrived and was not touched since. Between that word and what
the operator saw when giving it, anything may have happened: so all of it is looked at again, by then without
any other process at work on the migration. What is to go is in the journal before the first of it goes; run
again after a crash, it goes on with that. From then on the migration cannot be taken back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds.cloud import Cloud
from pumphouse.context import JournalEntry
from pumphouse.engine.workplace import Workplace
from pumphouse.events import Noted
from pumphouse.service import reading
from pumphouse.service.finalizable import STEP, Candidate, Part, find_candidates
from pumphouse.steps import LEFT_AT

if TYPE_CHECKING:
    from pumphouse.service.migrating import Migrating


class Finalizing:
    """Finalises one migration, while this process has it.

    :param stop: once it is set nothing more is waited for; what was asked for and is still there is told.
    """

    def __init__(self, work: Migrating, *, progress: reading.Progress, stop: threading.Event) -> None:
        self._work = work
        self._progress = progress
        self._stop = stop

    def remove(self, wanted: Sequence[Candidate]) -> list[str]:
        """Remove what went when it was looked at, and still does; what was not removed, in words.

        :raises pumphouse.errors.MigrationBusy: another process is at work on the migration.
        :raises pumphouse.errors.WrongState: by now it is none that has succeeded, wholly or in part.
        """
        asked = [one for one in wanted if one.goes]
        if not asked:
            return []
        work = self._work
        with work.have() as place:
            failed: list[str] = []
            going = self._still_going(asked, failed)
            if going:
                work.store.migrations.finalize(work.record.id, epoch=place.epoch)
                removing = _Removing(place, going, failed, self._stop)
                removing.intend()
                # Volumes last of what is on the source: a server that is still there holds them.
                for part in (Part.MARKERS, Part.SERVERS, Part.VOLUMES):
                    removing.remove(part)
        return failed

    def _still_going(self, asked: Sequence[Candidate], failed: list[str]) -> list[Candidate]:
        """Those of them that may go as both clouds are now; of the others, why not.

        What an earlier attempt was to remove, and is gone, is neither.
        """
        parts, among = {one.part for one in asked}, {one.key for one in asked}
        looked = find_candidates(self._work, parts, among=among, progress=self._progress)
        now = {one.key: one for one in looked}
        entries = self._work.store.journal.entries(self._work.record.id)
        begun = {(entry.ref, entry.side) for entry in entries if entry.step == STEP}
        going = []
        for one in asked:
            found = now.get(one.key)
            if found is not None and found.goes:
                going.append(found)
            elif found is not None:
                failed.append(f"{one}: {found.why_not}")
            elif (one.ref, one.side) not in begun:
                failed.append(f"{one}: it is not there any longer")
        return going


class _Removing:
    """Removes candidates, writing into the journal first that they are to go, and then that they are gone."""

    def __init__(
        self, place: Workplace, going: Sequence[Candidate], failed: list[str], stop: threading.Event
    ) -> None:
        self._place = place
        self._going = going
        self._failed = failed
        self._stop = stop
        self._journal = place.store.journal_of(place.migration.id, STEP, epoch=place.epoch)
        self._entries: dict[Candidate, JournalEntry] = {}

    def intend(self) -> None:
        """Write down all that is to go. Raises Fenced."""
        for one in self._going:
            detail = {"part": str(one.part), "name": one.name}
            self._entries[one] = self._journal.intend(one.ref, STEP, one.side, detail=detail)

    def remove(self, part: Part) -> None:
        """Remove what is of one part: ask for all of it, and wait for all of it."""
        asked = [one for one in self._going if one.part is part]
        if not self._stop.is_set():
            asked = [one for one in asked if self._tried(one, self._ask)]
        end = time.monotonic() + self._place.settings.delete_timeout
        while asked and not self._stop.is_set() and time.monotonic() < end:
            asked = [one for one in asked if self._tried(one, self._still_there)]
            if asked:
                self._stop.wait(self._place.settings.poll_interval)
        self._failed += [f"{one} is still there" for one in asked]

    def _tried(self, one: Candidate, do: Callable[[Candidate], bool]) -> bool:
        """Whether there is more to do for it; an error ends it. Raises Fenced."""
        self._journal.check_fence()
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
            _require_unused(one, self._source.waiter.look(one.ref.type, one.identity))
            kind.delete(self._source, one.identity)
        return True  # nothing is gone before it is looked for; a volume may be held by a server until then

    def _remember(self, one: Candidate, body: Mapping[str, Any]) -> None:
        """Write down when a volume that has lost its server was changed, in case that it is to be kept."""
        entry = self._entries[one]
        if LEFT_AT not in entry.detail:
            detail = {**entry.detail, LEFT_AT: body.get("updated_at")}
            self._entries[one] = self._journal.made(entry, one.identity, detail=detail)

    def _still_there(self, one: Candidate) -> bool:
        """Whether it is. The removal of a volume is asked for once no server has it."""
        waiter = self._source.waiter
        if waiter.look(one.ref.type, one.identity) is None:
            waiter.forget(
                one.ref.type, one.identity
            )  # what is to be told as gone for good is looked for twice
        body = waiter.look(one.ref.type, one.identity)
        if body is None:
            return False
        status = str(body["status"])
        if status.lower().startswith("error"):
            raise errors.ResourceFailed(f"its status is {status}")
        if one.part is Part.VOLUMES and status == "available":
            _require_unused(one, body)
            self._remember(one, body)
            # Not by the type, which insists: one that the service wants to keep stays.
            self._source.delete(Service.VOLUME, f"/volumes/{one.identity}")
        return True

    @property
    def _source(self) -> Cloud:
        return self._place.source


def _require_unused(one: Candidate, body: Mapping[str, Any] | None) -> None:
    """Raise ResourceError for what was used since it was looked at: others may have taken long to go."""
    updated = (body or {}).get("updated" if one.part is Part.SERVERS else "updated_at")
    if body is not None and one.seen and updated != one.seen:
        raise errors.ResourceError(f"it was used since it was looked at, at {updated}")
