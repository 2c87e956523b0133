"""Does what is wanted of migrations, in threads of this process: what was asked for over the API, say.

What is wanted is in the store before anything is done about it, and stays there until it is done. So a
process that dies loses nothing: the next supervisor finds the wish, sees that nobody is at work any longer,
and goes on. Several may share a store; whoever takes a migration first has it. What an operator runs on the
command line nobody has wished for, and so no supervisor touches it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pumphouse import errors
from pumphouse.engine.control import Control
from pumphouse.events import RequestFailed
from pumphouse.service.looking import Looker
from pumphouse.store.migrations import MigrationRecord

if TYPE_CHECKING:
    from pumphouse.service.app import Pumphouse

LOG = logging.getLogger(__name__)
EVERY = 0.5
"""Seconds between two looks into the store; a wish made in this process is seen at once."""
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 60.0
_PASSES = (errors.Unavailable, errors.DatabaseError)
"""What may be better a little later: the wish stays."""


@dataclass(slots=True)
class _Delay:
    """When a migration is tried again that could not begin."""

    wait: float
    until: float = 0.0

    def longer(self) -> None:
        self.until = time.monotonic() + self.wait
        self.wait = min(2 * self.wait, _LONGEST_WAIT)


@dataclass(slots=True)
class _Work:
    """A migration under way."""

    thread: threading.Thread
    control: Control


class Supervisor(Looker):
    """Carries migrations out, several at once.

    :param at_once: how many at most; the others wait, oldest wish first.
    """

    name = "pumphouse-supervisor"

    def __init__(self, app: Pumphouse, *, at_once: int, every: float = EVERY) -> None:
        self._app = app
        self._at_once = at_once
        self._working: dict[str, _Work] = {}
        self._delays: dict[str, _Delay] = {}
        super().__init__(every)

    def stop(self) -> None:
        """Begin nothing more, and let what is under way pause in order. Returns at once."""
        super().stop()
        with self._lock:
            controls = [one.control for one in self._working.values()]
        for control in controls:
            control.pause()

    def _threads(self) -> Iterable[threading.Thread]:
        return [one.thread for one in self._working.values()]

    def _turn(self) -> None:
        self._begin()

    def _begin(self) -> None:
        """Begin what is wanted and nobody is at work on, as much as there is room for."""
        wanted = self._app.store.wishes.open()
        now, clock = datetime.now(UTC), time.monotonic()
        with self._lock:
            for record in wanted:
                if len(self._working) >= self._at_once or self._stopping.is_set():
                    return
                delay = self._delays.get(record.id)
                if record.id in self._working or record.at_work(now) or (delay and clock < delay.until):
                    continue
                control = Control()
                thread = threading.Thread(
                    target=self._work, args=(record, control), name=f"pumphouse-{record.id}", daemon=True
                )
                thread.start()
                self._working[record.id] = _Work(thread, control)  # its end waits for the lock

    def _work(self, record: MigrationRecord, control: Control) -> None:
        try:
            self._fulfil(record, control)
        except errors.StoreError as error:
            # Not even the outcome could be written. The wish is still there.
            LOG.warning("migration %s: %s", record.id, error)
            self._later(record)
        finally:
            with self._lock:
                del self._working[record.id]
            self._look.set()

    def _fulfil(self, record: MigrationRecord, control: Control) -> None:
        try:
            self._app.fulfil(record, control=control)
        except errors.PumphouseError as error:
            if not self._still_ours(record):
                return
            if isinstance(error, _PASSES):
                LOG.warning("migration %s is tried again later: %s", record.id, error)
                self._later(record)
                return
            self._failed(record, error)
        except Exception as error:
            LOG.exception("migration %s: unexpected %s", record.id, type(error).__name__)
            self._failed(record, error)
        else:
            self._delays.pop(record.id, None)
            if not self._stopping.is_set():
                # Most ends have dropped the wish already, in the same transaction.
                self._app.store.wishes.drop(record.id, made_at=record.wanted_at)

    def _still_ours(self, record: MigrationRecord) -> bool:
        """Whether the wish is still there, and no other process has taken the migration."""
        now = self._app.store.migrations.get(record.id)
        return now.wanted_at == record.wanted_at and not now.at_work(datetime.now(UTC))

    def _later(self, record: MigrationRecord) -> None:
        self._delays.setdefault(record.id, _Delay(_FIRST_WAIT)).longer()

    def _failed(self, record: MigrationRecord, error: Exception) -> None:
        """It cannot be done: say so where the operator looks, and do not try again."""
        store, what = self._app.store, str(record.wanted)
        told = errors.as_dict(error) or {}
        store.events.append([RequestFailed(migration=record.id, request=what, error=told)])
        store.wishes.drop(record.id, made_at=record.wanted_at)
        now = store.migrations.get(record.id)
        store.migrations.set_state(now.id, now.state, reason=f"{what} was not possible: {error}")
