"""A thread that looks into the store again and again for what there is to do, and starts it."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import ClassVar, Self

from pumphouse import errors

LOG = logging.getLogger(__name__)


class Looker(ABC):
    """Looks every so many seconds, and at once when told to; what it starts has a thread for each.

    :ivar _lock: held by who reads or changes what is under way.
    """

    name: ClassVar[str]
    """Of its thread."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._look = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def look(self) -> None:
        """Look now: there is something new."""
        self._look.set()

    def stop(self) -> None:
        """Begin nothing more. Returns at once."""
        self._stopping.set()
        self._look.set()

    def close(self) -> None:
        """Stop, and wait until nothing is under way."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join()
        with self._lock:
            threads = list(self._threads())
        for thread in threads:
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _turn(self) -> None:
        """Begin what there is to do, as much as there is room for. May raise StoreError."""

    @abstractmethod
    def _threads(self) -> Iterable[threading.Thread]:
        """Of what is under way. Called under the lock."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except errors.StoreError as error:
                LOG.warning("%s cannot read what there is to do: %s", self.name, error)
            except Exception:
                # It must not end while its process lives: nobody would begin anything any longer.
                LOG.exception("%s goes on after something unexpected", self.name)
            self._look.wait(self._every)
            self._look.clear()
