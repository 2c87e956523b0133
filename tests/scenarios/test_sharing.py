"""Servers that share a volume: they rest together, it moves once, and both have it there."""

from __future__ import annotations

import pytest

from pumphouse.devcloud.fill import fill
from pumphouse.events import StepChanged
from pumphouse.model import Action, ScopeKind
from pumphouse.store.states import MigrationState

SHARED = [{"name": "shared", "extra_specs": {"multiattach": "<is> True"}}]
WRITTEN = b"by whichever of them " * 4096
CREATE = "POST /compute/v2.1/servers"
SNAPSHOT = "POST /volume/v3/snapshots"


def server(name, *volumes):
    one = {"flavor": "tiny", "image": "debian-12", "ports": [{"network": "inside"}]}
    return {"name": name, "volumes": list(volumes), **one}


CLUSTER = {
    "users": [{"name": "cleo", "password": "cleo-secret", "roles": ["member"]}],
    "networks": [{"name": "inside", "subnets": [{"name": "inside", "cidr": "10.7.0.0/24"}]}],
    "volumes": [
        {"name": name, "size": 1, "volume_type": "shared", "content": {"seed": name, "kib": 64}}
        for name in ("quorum", "tables")
    ],
    "servers": [server("one", "quorum"), server("two", "quorum", "tables"), server("three", "tables")],
}


@pytest.fixture
def cluster(site):
    """A tenant of three servers: each but the middle one shares a volume with the middle one."""
    fill(site.destination, {"volume_types": SHARED})
    flavors = [{"name": "tiny", "ram": 256, "vcpus": 1, "disk": 1}]
    fill(site.source, {"volume_types": SHARED, "flavors": flavors, "tenants": {"cluster": CLUSTER}})
    site.source.calm()  # filling waits until a volume is in use, by any of them
    for row in rows(site.source, "volumes"):
        if row["name"] in {"quorum", "tables"}:
            with site.source.files.path("volumes", row["id"]).open("r+b") as file:
                file.seek(1 << 20)
                file.write(row["name"].encode() + WRITTEN)
    return site


def rows(cloud, table):
    with cloud.transaction():
        return [dict(row) for row in cloud.table(table)]


def named(cloud, table, name):
    (found,) = [row for row in rows(cloud, table) if row["name"] == name]
    return found


def content(cloud, name):
    return cloud.files.path("volumes", named(cloud, "volumes", name)["id"]).read_bytes()


def users(cloud, name):
    """The names of the servers that have a volume."""
    servers = {row["id"]: row["name"] for row in rows(cloud, "servers")}
    return sorted(servers[one["server_id"]] for one in named(cloud, "volumes", name)["attachments"])


def start(site):
    return site.app.start(site.plan("cluster"), check_fresh=True).id


def test_all_of_them_have_it_there_with_its_bytes(cluster):
    before, here = cluster.states(), {name: content(cluster.source, name) for name in ("quorum", "tables")}
    record = cluster.app.run(start(cluster))
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    assert users(cluster.destination, "quorum") == ["one", "two"]
    assert users(cluster.destination, "tables") == ["three", "two"]
    for name, data in here.items():
        assert WRITTEN in data
        assert content(cluster.destination, name) == data
    snapshots = [write for write in cluster.source.counts.writes if write["kind"] == SNAPSHOT]
    assert len(snapshots) == len(here)  # each was copied once
    assert cluster.app.report(record.id).verified
    assert cluster.plan("cluster").nothing_to_do
    assert cluster.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert cluster.states() == before


def test_all_that_have_it_are_stopped_before_it_is_copied(cluster):
    record = cluster.app.run(start(cluster))
    assert record.state is MigrationState.SUCCEEDED
    told = [one.event() for one in cluster.app.store.events.read(migration=record.id, limit=10000)]
    steps = [(one.name, one.step, one.state) for one in told if isinstance(one, StepChanged)]
    for name in ("quorum", "tables"):
        copied = steps.index((name, "snapshot", "RUNNING"))
        for server in users(cluster.source, name):
            assert steps.index((server, "quiesce", "SUCCESS")) < copied


def test_one_that_fails_takes_the_others_back(cluster):
    before = cluster.states()
    id = start(cluster)
    cluster.destination.faults.add("status", kind=CREATE, code=403, after=1)
    record = cluster.app.run(id)
    assert record.state is MigrationState.PARTIAL
    assert rows(cluster.destination, "servers") == []
    found = {row["name"]: row["vm_state"] for row in rows(cluster.source, "servers")}
    assert {found[name] for name in ("one", "two", "three")} == {"active"}
    cluster.destination.faults.clear()
    assert cluster.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert cluster.states() == before


def test_one_alone_is_blocked_and_the_plan_names_the_others(cluster):
    plan = cluster.plan("one", kind=ScopeKind.SERVER)
    volume = next(one for one in plan.resources if one.resource.name == "quorum")
    assert volume.action is Action.BLOCKED
    assert "attached to two as well" in volume.reason
    alone = next(one for one in plan.resources if one.ref.type == "server")
    assert alone.action is Action.BLOCKED
    together = cluster.plan("one", "two", "three", kind=ScopeKind.SERVER)
    together.require_unblocked()


def test_one_that_is_blocked_keeps_all_that_share_with_it(cluster):
    (one,) = [row["id"] for row in rows(cluster.source, "servers") if row["name"] == "one"]
    with cluster.source.transaction():
        cluster.source.table("servers").update(one, {"vm_state": "error"})
    found = {one.resource.name: one for one in cluster.plan("cluster").resources}
    names = ("one", "quorum", "two", "tables", "three")
    assert {name: found[name].action for name in names} == dict.fromkeys(names, Action.BLOCKED)
    assert "uses it as well, which is blocked" in found["quorum"].reason


@pytest.mark.crash
@pytest.mark.slow
def test_a_kill_between_two_of_them_resumes_to_the_same_end(cluster):
    before = cluster.states()
    record = cluster.killed("migrate", "tenant", "cluster", side="destination", kind=CREATE, when="after")
    assert cluster.app.resume(record.id).state is MigrationState.SUCCEEDED
    assert users(cluster.destination, "quorum") == ["one", "two"]
    assert cluster.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert cluster.states() == before
