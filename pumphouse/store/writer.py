"""Writes events from a thread of its own, in batches, so that no step waits for the database."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from pumphouse.errors import DatabaseError
from pumphouse.events import Event
from pumphouse.store.events import Events

_LOG = logging.getLogger(__name__)
_MOST = 500
"""Events in one transaction at most."""


class EventWriter:
    """A listener that keeps all events. Close it, or use it in a ``with``: then nothing is lost.

    While the database fails, events are kept and tried again with the next batch.

    :param every: seconds between batches.
    """

    def __init__(self, events: Events, *, every: float = 0.2) -> None:
        self._events = events
        self._every = every
        self._changed = threading.Condition()
        self._kept: list[Event] = []
        self._writing = threading.Lock()
        self._closed = False
        # A daemon, so that a process which dies without a close is not held by it.
        self._thread = threading.Thread(target=self._run, name="pumphouse-events", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take an event, without waiting for the database. What comes after the close is written at once."""
        with self._changed:
            self._kept.append(event)
            self._changed.notify()
            closed = self._closed
        if closed:
            self._try_flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def flush(self) -> None:
        """Write all that was taken so far. Raises DatabaseError when that fails; nothing is dropped."""
        with self._writing:
            while batch := self._first():
                self._events.append(batch)
                with self._changed:
                    del self._kept[: len(batch)]

    def close(self) -> None:
        """End the thread and write what is left. Raises DatabaseError when that fails."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self.flush()

    def _first(self) -> list[Event]:
        with self._changed:
            return self._kept[:_MOST]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._kept or self._closed)
                # What follows closely belongs to the same batch.
                if self._changed.wait_for(lambda: self._closed, timeout=self._every):
                    return
            self._try_flush()

    def _try_flush(self) -> None:
        try:
            self.flush()
        except DatabaseError as error:
            _LOG.warning("%d events wait to be written: %s", len(self._kept), error)
