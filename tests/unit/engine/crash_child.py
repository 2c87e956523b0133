"""One process that runs a flow: ``DATABASE LOG wait|go``. It is killed in the middle of a wait."""

from __future__ import annotations

import sys
from pathlib import Path

from taskflow.patterns import linear_flow
from taskflow.persistence import models
from taskflow.task import Task

from pumphouse.context import PENDING, Deferred
from pumphouse.engine.backend import open_persistence
from pumphouse.engine.executor import DeferringExecutor
from pumphouse.engine.resumable import load_engine
from pumphouse.store.database import open_database

FLOW = "flow-1"


class Step(Task):
    def __init__(self, name: str, log: Path, *, waits: bool = False, ready: bool = True) -> None:
        super().__init__(name)
        self.log, self.waits, self.ready = log, waits, ready

    def execute(self) -> object:
        with self.log.open("a") as log:
            log.write(f"{self.name}\n")
        if self.waits:
            return Deferred(poll=self.poll, interval=0.01, timeout=60, describe=self.name)
        return self.name

    def poll(self) -> object:
        if self.ready:
            return self.name
        self.log.with_suffix(".polled").touch()
        return PENDING


def main(database: str, log: Path, how: str) -> None:
    opened = open_database(database)
    backend = open_persistence(opened.writer)
    connection = backend.get_connection()
    if next(connection.get_logbooks(lazy=True), None) is None:
        book = models.LogBook("book")
        book.add(models.FlowDetail("flow", FLOW))
        connection.save_logbook(book)
    flow = linear_flow.Flow("flow").add(
        Step("a", log), Step("b", log, waits=True, ready=how == "go"), Step("c", log)
    )
    executor = DeferringExecutor(2)
    running = load_engine(flow, detail=connection.get_flow_details(FLOW), backend=backend, executor=executor)
    running.run()
    executor.shutdown()
    opened.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
