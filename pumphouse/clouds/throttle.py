"""The limits on requests to one service. The SDK's own are not kept in the versions that were measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Limiter:
    """At most so many requests in flight, and so many per second; 0 per second is no limit.

    A burst of one second's worth is let through at once. Threads may share it.
    """

    def __init__(
        self,
        *,
        in_flight: int,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._slots = threading.BoundedSemaphore(in_flight)
        self._gap = 1.0 / per_second if per_second else 0.0
        self._burst = 1.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        # When the next request would be due if requests came evenly; a burst runs ahead of it.
        self._due = clock()
        self._held_until = 0.0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot and for one's turn; hold the slot inside."""
        with self._slots:
            self.turn()
            yield

    def turn(self) -> None:
        """Wait for one's turn only: for transfers, which would hold a slot for hours."""
        with self._lock:
            now = self._clock()
            self._due = max(self._due, now) + self._gap
            start = max(self._due - self._burst, self._held_until)
        if start > now:
            self._sleep(start - now)

    def hold_off(self, seconds: float) -> None:
        """Start no request for so long: the service said that it is overloaded."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)
