"""Keeps a process's claim on what it is at alive, and hears what operators ask of it from elsewhere."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Protocol, Self

from pumphouse import errors
from pumphouse.engine.control import Control
from pumphouse.store.migrations import Request

LOG = logging.getLogger(__name__)
EVERY = 0.5
"""Seconds between beats: an operator who asks for a pause should not wait for it to be heard."""


class Beating(Protocol):
    """Where it is written that a process is still at it."""

    def heartbeat(self, id: str, epoch: int) -> Request | None:
        """Say so; what the process is asked to do. Raises Fenced."""


class Heart:
    """A thread that beats while the ``with`` lasts. Losing it to another process stops the run.

    :param what: the noun in the log.
    """

    def __init__(
        self, store: Beating, id: str, epoch: int, control: Control, *, what: str = "migration"
    ) -> None:
        self._store = store
        self._id = id
        self._what = what
        self._epoch = epoch
        self._control = control
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pumphouse-heart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._end.wait(EVERY):
            try:
                request = self._store.heartbeat(self._id, self._epoch)
            except errors.Fenced:
                LOG.warning("%s %s was taken over by another process; this one stops", self._what, self._id)
                self._control.pause()
                return
            except errors.StoreError as error:
                LOG.warning("%s %s: no heartbeat: %s", self._what, self._id, error)
                continue
            if request is Request.PAUSE:
                self._control.pause()
            elif request is Request.CANCEL:
                self._control.cancel()
