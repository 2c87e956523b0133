"""What a cloud is doing: the requests under way, and what goes on beside them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Work:
    """Counts what is under way."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """One more, for as long as it lasts."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    def beside(self, work: Callable[[], None], *, name: str) -> None:
        """Do something in the background."""

        def counted() -> None:
            try:
                work()
            finally:
                self._end()

        self._begin()
        threading.Thread(target=counted, daemon=True, name=name).start()

    def wait(self, seconds: float) -> None:
        """Block until nothing is under way; TimeoutError if that takes longer."""
        with self._condition:
            if not self._condition.wait_for(lambda: not self._count, seconds):
                raise TimeoutError(f"{self._count} requests, or works beside them, are still under way")

    def _begin(self) -> None:
        with self._condition:
            self._count += 1

    def _end(self) -> None:
        with self._condition:
            self._count -= 1
            self._condition.notify_all()
