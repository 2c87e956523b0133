"""Two clouds, each a process of its own, and Pumphouse in this one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pumphouse import config
from pumphouse.model import Scope, ScopeKind
from pumphouse.plan.document import Plan
from pumphouse.service import Pumphouse
from pumphouse.store.events import EventRecord


@dataclass(frozen=True)
class Site:
    """What has been opened. ``source`` and ``destination`` are the clouds' addresses.

    ``folder`` has a directory for each cloud.
    """

    source: str
    destination: str
    folder: Path
    app: Pumphouse

    def plan(self) -> Plan:
        """Of the tenant ``shop``."""
        scope = Scope(kind=ScopeKind.TENANT, names=("shop",))
        return self.app.plan(scope, source="source", destination="destination")

    def events(self, migration: str) -> Iterator[EventRecord]:
        """All of a migration."""
        after = 0
        while page := self.app.store.events.read(after=after, migration=migration):
            after = page[-1].seq
            yield from page


@contextmanager
def open_site(
    folder: Path, description: Mapping[str, Any], *, timings: Mapping[str, float] | None = None
) -> Iterator[Site]:
    """A source that is filled from a description, and an empty destination with these timings."""
    folder.mkdir()
    (folder / "source.json").write_text(json.dumps(description))
    slow = [word for kind, seconds in (timings or {}).items() for word in ("--timing", f"{kind}={seconds}")]
    with ExitStack() as stack:
        source, here = _cloud(stack, folder, "source", "--fill", f"source={folder / 'source.json'}")
        destination, there = _cloud(stack, folder, "destination", *slow)
        path = folder / "clouds.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump({"clouds": here | there}))
        settings = folder / "pumphouse.conf"
        settings.write_text(
            f"[store]\nurl = sqlite:///{folder}/store.db\n[engine]\npoll_interval = 0.5\n"
            "[clouds]\nrequests_in_flight = 64\nrequests_per_second = 0\n"
        )
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.setenv("OS_CLIENT_CONFIG_FILE", str(path))
        app = stack.enter_context(Pumphouse.open(config.load([settings])))
        yield Site(source, destination, folder, app)


def _cloud(stack: ExitStack, folder: Path, name: str, *options: str) -> tuple[str, dict[str, Any]]:
    """A cloud's address, and its entry in a clouds.yaml."""
    file = folder / f"{name}.yaml"
    command = [sys.executable, "-m", "pumphouse.devcloud", "--cloud", name, "--clouds-yaml", str(file)]
    command += ["--directory", str(folder), *options]
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    stack.callback(process.terminate)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    clouds: dict[str, Any] = yaml.safe_load(file.read_text())["clouds"]
    return told["clouds"][name]["auth_url"].partition("/identity")[0], clouds
