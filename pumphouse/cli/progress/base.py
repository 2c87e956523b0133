"""A view of a migration's progress: fed with events, shown by a thread of its own."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from typing import Self, TextIO

from pumphouse.cli.progress.tally import Tally
from pumphouse.events import Event


class Progress(ABC):
    """A listener and a context. A reader that is slow or gone holds up nothing but its own view."""

    def __init__(self, out: TextIO, tally: Tally) -> None:
        self.out = out
        self.tally = tally
        self._queue: queue.SimpleQueue[Event | str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._show_all, name="pumphouse-progress", daemon=True)

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self._queue.put(event)

    def say(self, text: str) -> None:
        """Put a line between the events."""
        self._queue.put(text)

    def __enter__(self) -> Self:
        self.begin()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()
        self.end()

    def begin(self) -> None:  # noqa: B027 - most views have nothing to do
        """Before the first event."""

    def end(self) -> None:  # noqa: B027 - the same
        """After the last one."""

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show an event, which the tally has counted."""

    @abstractmethod
    def line(self, text: str) -> None:
        """Show a line."""

    def _show_all(self) -> None:
        gone = False
        while (one := self._queue.get()) is not None:
            if gone:
                continue
            try:
                if isinstance(one, str):
                    self.line(one)
                else:
                    self.tally.take(one)
                    self.show(one)
            except OSError:
                # Nobody reads any longer. The migration goes on; the command learns it when it prints.
                gone = True
