"""A tenant of the demonstration on a pair of embedded clouds, and pumphouse to move it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from serving import config_file  # noqa: F401 -- a fixture

from pumphouse import config
from pumphouse.devcloud import DevCloud
from pumphouse.model import Scope, ScopeKind
from pumphouse.plan.document import Plan
from pumphouse.service import Pumphouse
from pumphouse.store.migrations import MigrationRecord


@dataclass
class Site:
    """Two clouds, what is configured for them, and the application."""

    source: DevCloud
    destination: DevCloud
    app: Pumphouse
    config_file: Path

    def plan(self, *names: str, kind: ScopeKind = ScopeKind.TENANT, **options: Any) -> Plan:
        scope = Scope(kind=kind, names=names or ("shop",))
        return self.app.plan(scope, source="source", destination="destination", **options)

    def migrate(self, *names: str, **options: Any) -> MigrationRecord:
        record = self.app.start(self.plan(*names), check_fresh=False)
        return self.app.run(record.id, **options)

    def killed(self, *words: str, side: str, kind: str, when: str) -> MigrationRecord:
        """Run a command in a process of its own, killed right before or after a request is applied.

        The last migration, as that leaves it.
        """
        cloud: DevCloud = getattr(self, side)
        cloud.holds.set(nth=1, when=when, kind=kind)
        command = [sys.executable, "-m", "pumphouse", "--config-file", str(self.config_file), *words]
        command += ["--yes", "--progress", "none"]
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            try:
                cloud.holds.wait_held(timeout=60)
            except TimeoutError as error:
                output.seek(0)
                error.add_note(output.read().decode())
                raise
            finally:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
        cloud.holds.drop()
        return self.app.migration("last")

    def states(self) -> tuple[Any, Any]:
        """What both clouds hold, but for one thing: only the first time does an image keep its id, which a
        cloud gives to no other again, and so only then is its marker an id of that cloud.
        """
        states = self.source.state(), self.destination.state()
        for image in states[1]["tables"]["images"]:
            image["properties"].pop("pumphouse_source", None)
        return states

    def writes(self) -> int:
        return sum(len(cloud.counts.writes) for cloud in (self.source, self.destination))


@pytest.fixture
def site(cloud_pair, config_file) -> Iterator[Site]:  # noqa: F811 -- it asks for it
    """The demonstration's clouds, filled."""
    with Pumphouse.open(config.load([config_file])) as app:
        yield Site(cloud_pair.source, cloud_pair.destination, app, config_file)
