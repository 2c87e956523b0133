"""Does what was asked for and takes more than a moment, in threads of this process.

What was asked for is in the store before anything is done about it. When this process ends in order, another
one does it. When it dies, another one sees that nobody is at it any longer, and begins it anew: all but the
last moment of it only reads, or it goes on from what the store says. Several processes may share a store:
whoever takes an operation first has it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pumphouse import errors
from pumphouse.engine.control import Control
from pumphouse.service import wavefile
from pumphouse.service.evacuating import LetGo
from pumphouse.service.finalizable import Candidate, Part
from pumphouse.service.looking import Looker
from pumphouse.service.moves import require_movable
from pumphouse.service.operations import WantedMigration, WantedPlan
from pumphouse.service.waves import Unattended
from pumphouse.store.migrations import RequestKey
from pumphouse.store.operations import OperationKind, OperationRecord
from pumphouse.store.owner import Owner
from pumphouse.store.waves import WaveRecord

if TYPE_CHECKING:
    from pumphouse.service.app import Pumphouse
    from pumphouse.service.reading import Progress

LOG = logging.getLogger(__name__)
EVERY: Final = 0.5
"""Seconds between two looks into the store, and between two signs of what has been read."""
AT_ONCE: Final = 4
"""More would only wait for each other: each reads two clouds with as many requests as these allow."""
LONG_AT_ONCE: Final = 16
"""Of those that take hours or days, and mostly wait: they leave the others their room."""
ATTEMPTS: Final = 3
"""How many processes may die over an operation before it is given up."""
_HEARTBEAT: Final = 5.0
_AGAIN: Final = 2.0
"""Seconds until the end of an operation is written again, when the store could not be."""


class _Stopped(Exception):
    """This process ends: another one shall do it."""


class _Work:
    """One operation under way: what it has read, and what it has made so far.

    :ivar control: stops it.
    """

    def __init__(self, record: OperationRecord) -> None:
        self.record = record
        self.control = Control()
        self.plan_id: str | None = None
        self.migration_id = record.migration_id
        self.wave_id = record.wave_id
        self.found: Any = None
        self.left: Sequence[str] = ()
        self._lock = threading.Lock()
        self._read: dict[str, dict[str, int]] = defaultdict(dict)
        self._told: Mapping[str, Mapping[str, int]] = {}
        self._told_at = time.monotonic()

    def progress(self, cloud: str, kind: str, count: int) -> None:
        """A type has been read. Raises _Stopped once the process is to end."""
        with self._lock:
            self._read[cloud][kind] = count
        self.go_on()

    def go_on(self) -> None:
        """Raise _Stopped once the process is to end."""
        if self.control.stop.is_set():
            raise _Stopped

    def read(self) -> Mapping[str, Mapping[str, int]]:
        """What it has read so far."""
        with self._lock:
            return {cloud: dict(counts) for cloud, counts in self._read.items()}

    def news(self) -> Mapping[str, Mapping[str, int]] | None:
        """What is to be told: what was read since, or at least that this lives; None for nothing yet."""
        read = self.read()
        now = time.monotonic()
        if read == self._told and now - self._told_at < _HEARTBEAT:
            return None
        self._told, self._told_at = read, now
        return read


class Runner(Looker):
    """Does operations, several at once. Stopped, it gives back what is under way."""

    name = "pumphouse-runner"

    def __init__(self, app: Pumphouse, *, every: float = EVERY) -> None:
        self._app = app
        self._store = app.store.operations
        self._owner = Owner.this_process()
        self._working: dict[str, tuple[threading.Thread, _Work]] = {}
        super().__init__(every)

    def stop(self) -> None:
        """Begin nothing more, and give back what is under way as soon as that can be done in order."""
        super().stop()
        with self._lock:
            under_way = [work for _, work in self._working.values()]
        for work in under_way:
            work.control.pause()

    def _threads(self) -> Iterable[threading.Thread]:
        return [thread for thread, _ in self._working.values()]

    def _turn(self) -> None:
        self._begin()
        self._tell()

    def _begin(self) -> None:
        """Begin what nobody is at, as much as there is room for."""
        for record in self._store.open():
            with self._lock:
                if self._stopping.is_set():
                    return
                alike = sum(work.record.kind.long is record.kind.long for _, work in self._working.values())
                if (
                    alike >= (LONG_AT_ONCE if record.kind.long else AT_ONCE)
                    or record.id in self._working
                    or record.at_work(datetime.now(UTC))
                ):
                    continue
            taken = self._store.take(record.id, self._owner)
            if taken is None:
                continue
            work = _Work(taken)
            thread = threading.Thread(
                target=self._work, args=(work,), name=f"pumphouse-{taken.id}", daemon=True
            )
            with self._lock:
                thread.start()
                self._working[taken.id] = thread, work  # its end waits for the lock
                if self._stopping.is_set():
                    work.control.pause()

    def _tell(self) -> None:
        with self._lock:
            under_way = [work for _, work in self._working.values()]
        for work in under_way:
            news = work.news()
            if news is not None:
                try:
                    self._store.tell(work.record.id, self._owner, news)
                except errors.Fenced:
                    continue  # it has just ended

    def _work(self, work: _Work) -> None:
        try:
            self._fulfil(work)
        except errors.Fenced as error:
            LOG.warning("%s", error)
        finally:
            with self._lock:
                del self._working[work.record.id]
            self._look.set()

    def _fulfil(self, work: _Work) -> None:
        record = work.record
        failed: Exception | None = None
        try:
            self._do(work)
        except _Stopped:
            self._surely(lambda: self._store.give_back(record.id, self._owner))
            return
        except errors.PumphouseError as error:
            failed = error
        except Exception as error:
            LOG.exception("operation %s: unexpected %s", record.id, type(error).__name__)
            # Its text may hold anything, a secret too.
            failed = errors.PumphouseError(
                f"unexpected {type(error).__name__}", next_step="See the server's log, and report it."
            )
        told = errors.as_dict(failed)
        self._surely(
            lambda: self._store.end(
                record.id,
                self._owner,
                progress=work.read(),
                plan_id=work.plan_id,
                migration_id=work.migration_id,
                wave_id=work.wave_id,
                found=work.found,
                left=work.left,
                error=told,
            )
        )

    def _surely(self, write: Callable[[], object]) -> None:
        """Write to the store, again and again if need be, until this process ends."""
        while True:
            try:
                write()
            except errors.Fenced:
                raise
            except errors.StoreError as error:
                LOG.warning("%s", error)
                if self._stopping.wait(_AGAIN):
                    return
            else:
                return

    def _do(self, work: _Work) -> None:
        record, app = work.record, self._app
        if record.attempts > ATTEMPTS:
            raise errors.PumphouseError(
                f"{ATTEMPTS} processes have died over this", next_step="See the server's log, then ask again."
            )
        asked = self._store.asked(record.id)
        match record.kind:
            case OperationKind.REFRESH:
                app.refresh(record.cloud or "", progress=work.progress)
            case OperationKind.PLAN:
                work.plan_id = self._plan(WantedPlan.from_dict(asked), work.progress)
            case OperationKind.MIGRATE:
                self._migrate(WantedMigration.from_dict(asked), work)
            case OperationKind.FINALIZABLE:
                parts = {Part(name) for name in asked["parts"]}
                found = app.finalizable(record.migration_id or "", parts, progress=work.progress)
                work.found = [one.to_dict() for one in found]
            case OperationKind.FINALIZE:
                self._finalize([Candidate.from_dict(one) for one in asked["candidates"]], work)
            case OperationKind.PLAN_WAVE:
                described = wavefile.parse(asked["wave"], where="the wave")
                work.wave_id = app.plan_described(described, name=asked["name"], progress=work.progress).id
            case OperationKind.RUN_WAVE:
                self._wave(work, partial(app.run_wave, **asked))
            case OperationKind.ROLLBACK_WAVE:
                self._wave(work, app.rollback_wave)
            case OperationKind.EVACUATE:
                self._evacuate(work, asked["host"], at_once=asked["at_once"], partly=asked["partly"])

    def _plan(self, wanted: WantedPlan, progress: Progress) -> str:
        return self._app.plan(
            wanted.scope,
            source=wanted.source,
            destination=wanted.destination,
            overrides=wanted.overrides,
            floating_ips=wanted.floating_ips,
            disk_mode=wanted.disk_mode,
            progress=progress,
        ).id

    def _finalize(self, wanted: Sequence[Candidate], work: _Work) -> None:
        id = work.record.migration_id or ""
        work.left = self._app.finalize(id, wanted, progress=work.progress, stop=work.control.stop)
        work.go_on()

    def _evacuate(self, work: _Work, host: str, *, at_once: int, partly: bool) -> None:
        app, record = self._app, work.record
        cloud = record.cloud or ""
        if record.evacuation_id is None and not partly:
            require_movable(app.plan_evacuation(cloud, host), cloud=cloud)
        elif record.evacuation_id and app.evacuation(record.evacuation_id).state.ended:
            return  # the process that has died had come to the end
        try:
            app.evacuate(
                cloud,
                host,
                at_once=at_once,
                listener=lambda text: LOG.info("operation %s: %s", record.id, text),
                let_go=work.control.stop,
                begun=lambda id: self._store.begun(record.id, self._owner, evacuation_id=id),
            )
        except LetGo:
            raise _Stopped from None

    def _wave(self, work: _Work, do: Callable[..., WaveRecord]) -> None:
        id = work.record.wave_id or ""
        if work.record.attempts > 1 and self._app.wave(id).state.ended:
            return  # the process that has died had come to the end
        ended = do(id, Unattended(work.control), stop=work.control.stop)
        if not ended.state.ended and not ended.pausing:
            work.go_on()

    def _migrate(self, wanted: WantedMigration, work: _Work) -> None:
        # The operation is the key: a process that dies after this has not begun the migration twice.
        key = RequestKey(key=work.record.id, digest=work.record.id)
        record = self._app.made_by(key)
        if record is None:
            work.plan_id = self._plan(wanted.plan, work.progress) if wanted.plan else wanted.plan_id
            record = self._app.start(
                self._app.stored_plan(work.plan_id),
                check_fresh=wanted.check_fresh and wanted.plan is None,
                name=wanted.name,
                options=wanted.options,
                wanted=True,
                key=key,
                progress=work.progress,
            )
        work.plan_id, work.migration_id = record.plan_id, record.id
