"""Which process is at work on a migration, and whether it still is."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

FRESH = timedelta(seconds=30)
"""A process that has given no sign for longer is taken for dead."""
_SAME_START = 0.5
"""Start times are told in clock ticks, so two readings may differ a little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process: its host, its id, and when it started (seconds since 1970), for ids are used again."""

    host: str
    pid: int
    started: float

    @classmethod
    def this_process(cls) -> Owner:
        """The process that asks."""
        import psutil

        return cls(host=socket.gethostname(), pid=os.getpid(), started=psutil.Process().create_time())

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def same(self, other: Owner) -> bool:
        """Whether both are one process."""
        return (self.host, self.pid) == (other.host, other.pid) and self._began(other.started)

    def _began(self, started: float) -> bool:
        return abs(started - self.started) < _SAME_START

    def alive(self, *, heartbeat_at: datetime | None, now: datetime) -> bool:
        """Whether it still runs, and is at it: its heartbeat tells.

        On its own host the system is asked, too, so that a death is known at once; and of what has no
        heartbeat, alone.
        """
        fresh = heartbeat_at is not None and now - heartbeat_at < FRESH
        if self.host != socket.gethostname():
            return fresh
        if heartbeat_at is not None and not fresh:
            return False  # it outlives a work whose end the store could not be told
        import psutil

        try:
            process = psutil.Process(self.pid)
            same = self._began(process.create_time())
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
