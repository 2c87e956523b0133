"""How a run is asked to stop: by a signal in this process, or by a request in the store."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from pumphouse.store.migrations import Request

STOPPED_AT_ONCE = 130
"""The exit status of a process that was interrupted, as shells have it."""


class Control:
    """What the one who starts a run can ask of it. Threads and signal handlers may use it."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.request: Request | None = None
        self.why = ""
        """Why it is to stop, where nobody has asked for that."""
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.RLock()

    def pause(self, why: str = "") -> None:
        """Stop in order: what runs ends by itself, waits are cut short, the rest is kept for a resume."""
        if not self.stop.is_set():
            self.why = why
        self._ask(Request.PAUSE)

    def cancel(self) -> None:
        """Stop in order, and take back the units that have not ended."""
        self._ask(Request.CANCEL)

    def stop_now(self) -> None:
        """End this process at once, as a crash would: a resume goes on from what the journal says."""
        os._exit(STOPPED_AT_ONCE)

    def on_stop(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when the run is asked to stop; at once if it was already."""
        with self._lock:
            self._listeners.append(listener)
        if self.stop.is_set():
            listener()

    def _ask(self, what: Request) -> None:
        with self._lock:
            if self.request is not Request.CANCEL:
                self.request = what
            first = not self.stop.is_set()
            self.stop.set()
            listeners = list(self._listeners)
        if first:
            for listener in listeners:
                listener()
