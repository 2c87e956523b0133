"""Keeps a run's claim on its migration alive, and hears what operators ask of it from elsewhere."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from pumphouse import errors
from pumphouse.engine.control import Control
from pumphouse.store.migrations import Migrations, Request

LOG = logging.getLogger(__name__)
EVERY = 0.5
"""Seconds between beats: an operator who asks for a pause should not wait for it to be heard."""


class Heart:
    """A thread that beats while the ``with`` lasts. Losing the migration to another process stops the run."""

    def __init__(self, migrations: Migrations, migration_id: str, epoch: int, control: Control) -> None:
        self._migrations = migrations
        self._id = migration_id
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
                request = self._migrations.heartbeat(self._id, self._epoch)
            except errors.Fenced:
                LOG.warning("migration %s was taken over by another process; this one stops", self._id)
                self._control.pause()
                return
            except errors.StoreError as error:
                LOG.warning("migration %s: no heartbeat: %s", self._id, error)
                continue
            if request is Request.PAUSE:
                self._control.pause()
            elif request is Request.CANCEL:
                self._control.cancel()
