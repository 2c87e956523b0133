"""The acceptance run: the command line moves a tenant between two real clouds, and other means look at it.

It wants two clouds that nobody else uses meanwhile. ``make test-openstack`` runs it with these set:

* ``PUMPHOUSE_TEST_SOURCE``, ``PUMPHOUSE_TEST_DESTINATION``: their names in clouds.yaml;
* ``PUMPHOUSE_TEST_SOURCE_KEYSTONE``, ``PUMPHOUSE_TEST_DESTINATION_KEYSTONE``: the URLs of their Keystones'
  databases;
* if you like, ``PUMPHOUSE_TEST_VOLUME_FILE`` (see check.py) and ``PUMPHOUSE_TEST_RECORD``, a file for what
  the run found, from which ``write_report.py`` makes a page of the documentation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openstack
import pytest
from openstack.connection import Connection

sys.path.insert(0, str(Path(__file__).parent))  # fill, listing and check are programs and no package

import fill
from check import CHECKS, Moved
from listing import Listing, changes, listing

WANTED = (
    "PUMPHOUSE_TEST_SOURCE",
    "PUMPHOUSE_TEST_DESTINATION",
    "PUMPHOUSE_TEST_SOURCE_KEYSTONE",
    "PUMPHOUSE_TEST_DESTINATION_KEYSTONE",
)
MISSING = [name for name in WANTED if not os.environ.get(name)]
RECORD = "PUMPHOUSE_TEST_RECORD"
KILLED_AT = ("fill", "boot")
"""The steps that a kill -9 interrupts, one after the other: data on its way, and a server that starts."""

pytestmark = [
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"NOT RUN ON REAL CLOUDS: set {', '.join(MISSING)} (see tests/openstack/test_move.py)",
    ),
    pytest.mark.timeout(3600),
    pytest.mark.slow,
]


@dataclass(frozen=True)
class Pair:
    """Two real clouds and an operator's command line; what is found goes into ``record``."""

    directory: Path
    clouds: Mapping[str, Connection]
    keystones: Mapping[str, str]
    record: dict[str, Any] = field(default_factory=dict)

    def listings(self) -> dict[str, Listing]:
        """Everything on both clouds."""
        return {side: listing(cloud, self.keystones[side]) for side, cloud in self.clouds.items()}

    def command(self, *words: str) -> list[str]:
        """The command line with this run's configuration."""
        path = str(self.directory / "pumphouse.conf")
        return [sys.executable, "-m", "pumphouse", "--config-file", path, *words]

    def run(self, *words: str, status: int = 0) -> str:
        """What a command printed, once it has ended with ``status``."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == status, (
            f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def migrate(self, name: str) -> str:
        """Migrate a tenant of the default domain; what was printed."""
        return self.run(
            "migrate", "tenant", f"Default/{name}", "--yes", "--progress", "none", *self._between()
        )

    def last(self) -> dict[str, Any]:
        """The newest migration."""
        return json.loads(self.run("migration", "list", "-f", "json", "--limit", "1"))[0]

    def report(self) -> dict[str, Any]:
        """The report of the newest migration."""
        path = self.directory / "report.json"
        self.run("migration", "report", "last", "-o", str(path))
        return json.loads(path.read_text())

    def killed(self, step: str, *words: str) -> None:
        """Start a command, and kill -9 it as soon as any resource is at this step."""
        process = subprocess.Popen(
            self.command(*words, "--progress", "json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            for line in process.stdout:
                event = json.loads(line)
                if event["kind"] == "step_changed" and (event["step"], event["state"]) == (step, "RUNNING"):
                    return
            pytest.fail(f"it ended with {process.wait()} before the step {step}")
        finally:
            process.kill()
            process.stdout.close()
            process.wait()

    def moved(self, name: str, before: Listing, now: Mapping[str, Listing]) -> Moved:
        """The tenant as the checks want it."""
        return Moved(
            name, self.clouds["source"], self.clouds["destination"], before, now["source"], now["destination"]
        )

    def _between(self) -> list[str]:
        names = {side: cloud.config.name for side, cloud in self.clouds.items()}
        return ["--source", names["source"], "--destination", names["destination"]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("acceptance")
    sides = {side: f"PUMPHOUSE_TEST_{side.upper()}" for side in ("source", "destination")}
    clouds = {side: openstack.connect(cloud=os.environ[name]) for side, name in sides.items()}
    keystones = {side: os.environ[f"{name}_KEYSTONE"] for side, name in sides.items()}
    groups = [
        f"[cloud:{clouds[side].config.name}]\nkeystone_database = {url.replace('$', '$$')}\n"
        for side, url in keystones.items()
    ]
    config = directory / "pumphouse.conf"
    config.touch(mode=0o600)
    config.write_text(f"[store]\nurl = sqlite:///{directory}/pumphouse.db\n{''.join(groups)}")
    found = Pair(directory, clouds, keystones)
    found.record["clouds"] = {side: _versions(cloud) for side, cloud in clouds.items()}
    yield found
    if os.environ.get(RECORD):
        Path(os.environ[RECORD]).write_text(json.dumps(found.record, indent=1, sort_keys=True) + "\n")


def _versions(cloud: Connection) -> dict[str, str]:
    services = {"compute": cloud.compute, "block storage": cloud.block_storage}
    versions = {name: proxy.get_endpoint_data().max_microversion for name, proxy in services.items()}
    return {name: ".".join(map(str, version)) for name, version in versions.items()}


@pytest.fixture
def tenant(pair) -> Iterator[Callable[[str], str]]:
    """Fills a tenant on the source; whatever became of it is removed from both clouds."""
    made: list[str] = []

    def make(name: str) -> str:
        for cloud in pair.clouds.values():
            fill.remove(cloud, name)
        made.append(name)
        fill.fill(pair.clouds["source"], name)
        return name

    yield make
    for name in made:
        for cloud in pair.clouds.values():
            fill.remove(cloud, name)


def test_a_tenant_moves_once_follows_a_change_and_comes_back(pair, tenant):
    name = tenant("acceptance")
    before = pair.listings()
    began = time.monotonic()
    pair.migrate(name)
    first, report = pair.last(), pair.report()
    pair.record["move"] = {"seconds": round(time.monotonic() - began), "report": report}
    assert first["State"] == "SUCCEEDED"
    assert report["verified"]
    after = pair.listings()
    moved = pair.moved(name, before["source"], after)
    pair.record["checks"] = [check(moved) for check in CHECKS]

    after = pair.listings()  # looking at the volumes' bytes has left its times
    assert "Nothing to do" in pair.migrate(name)
    assert pair.last()["ID"] == first["ID"]
    again = pair.listings()
    for side in again:
        assert changes(after[side], again[side], volatile=True) == []

    _change(pair.clouds["source"], name)
    plan = pair.run("plan", "tenant", f"Default/{name}", "-f", "json")
    acting = [one for one in json.loads(plan[plan.index("[") :]) if one["Action"] != "reuse"]
    assert sorted((one["Action"], one["Type"]) for one in acting) == [
        ("create", "security_group_rule"),
        ("update", "network"),
    ]
    pair.migrate(name)
    assert pair.last()["ID"] != first["ID"]
    found = changes(again["destination"], pair.listings()["destination"])
    assert sorted((one.collection, one.field) for one in found) == [
        ("networks", "description"),
        ("security group rules", ""),
        ("security groups", "security_group_rules"),
    ]
    pair.record["change"] = sorted((one["Action"], one["Type"], one["Name"]) for one in acting)

    pair.run("migration", "rollback", pair.last()["ID"], "--yes", "--progress", "none")
    pair.run("migration", "rollback", first["ID"], "--yes", "--progress", "none")
    _unchange(pair.clouds["source"], name)
    back = pair.listings()
    for side in back:
        assert changes(before[side], back[side]) == []
    pair.record["rolled back"] = {side: sum(map(len, back[side].values())) for side in back}


def _change(source: Connection, name: str) -> None:
    """One thing that is new on the source, and one that is otherwise."""
    tenant = fill.login(source, name, "alice")
    tenant.network.update_network(tenant.network.find_network("back"), description="for the database alone")
    tenant.network.create_security_group_rule(
        security_group_id=tenant.network.find_security_group("web", project_id=tenant.current_project_id).id,
        direction="ingress",
        protocol="tcp",
        port_range_min=8443,
        port_range_max=8443,
        remote_ip_prefix="192.0.2.0/24",
    )


def _unchange(source: Connection, name: str) -> None:
    tenant = fill.login(source, name, "alice")
    tenant.network.update_network(tenant.network.find_network("back"), description="the back network")
    for rule in tenant.network.security_group_rules(
        project_id=tenant.current_project_id, port_range_min=8443
    ):
        tenant.network.delete_security_group_rule(rule)


def test_a_killed_migration_is_resumed_and_taken_back(pair, tenant):
    name = tenant("killed")
    before = pair.listings()
    words = ["migrate", "tenant", f"Default/{name}", "--yes"]
    for step in KILLED_AT:
        pair.killed(step, *words)
        killed = pair.last()
        assert killed["State"] == "RUNNING"
        words = ["migration", "resume", killed["ID"]]
    pair.run(*words, "--progress", "none")
    assert pair.last()["State"] == "SUCCEEDED"
    assert pair.last()["ID"] == killed["ID"]
    now = pair.listings()
    moved = pair.moved(name, before["source"], now)
    pair.record["killed"] = {"steps": KILLED_AT, "checks": [check(moved) for check in CHECKS]}
    assert "Nothing to do" in pair.migrate(name)
    pair.run("migration", "rollback", killed["ID"], "--yes", "--progress", "none")
    back = pair.listings()
    for side in back:
        assert changes(before[side], back[side]) == []
