"""Prepared, cut over with health checks, every disk byte by byte; then the source is removed for good."""

from __future__ import annotations

import json

from checks.disks import disks, written
from checks.moved import MARKER, MARKER_TAG
from checks.servers import source_untouched
from listing import changes
from tenant import fill_with_disks
from tenant.images import BOOTED
from tenant.site import WAIT

EVERYTHING = ("--markers", "--source-servers", "--source-volumes")
LIFTED = {"type": "server", "when": {"name": "lifted"}, "set": {"disk_mode": "volume"}}
UNFIT = "thrown"
"""The server that does not pass its check at first."""


def test_disks_arrive_with_every_byte_and_the_source_can_go(pair, tenant, tmp_path):
    name, healthy = tenant(pair, fill_with_disks), tmp_path / "healthy"
    written(pair.site("source", name))
    before = pair.listings()
    checks = [
        {"server": UNFIT, "command": ["test", "-e", str(healthy)], "timeout": 3},
        {"server": "*", "command": ["true"]},
    ]
    pair.override(rules=[LIFTED], health=checks)
    first = is_prepared(pair, name, before["source"])
    goes_back(pair, name, before["source"], first)
    healthy.touch()
    pair.run("migration", "retry", first, "--progress", "none")
    pair.override()
    assert (pair.last()["ID"], pair.last()["State"]) == (first, "SUCCEEDED")
    assert pair.report()["verified"]
    now = pair.listings()
    moved = pair.moved(name, before["source"], now)
    source_untouched(moved)
    nothing_is_left_over(before["destination"], now["destination"])
    pair.record["disks"] = disks(moved)
    pair.record["finalized"] = finalizes(pair, moved)


def is_prepared(pair, name, before):
    """Move what needs no downtime; the migration."""
    pair.migrate(name, more=("--mode", "auto", "--prepare"))
    first = pair.last()
    assert first["State"] == "PAUSED"
    now = pair.listings()
    assert changes(before, now["source"]) == []
    moved = pair.moved(name, before, now)
    assert moved.pair("servers")[1] == {}
    assert set(moved.pair("volumes")[1]) == {"archive"}
    assert set(moved.pair("networks")[1]) == {"front", "back"}
    return first["ID"]


def goes_back(pair, name, before, first):
    """Cut over while one server cannot pass its check: on the source it is as it was."""
    pair.run("migration", "cutover", first, "--progress", "none", status=3)
    assert pair.last()["State"] == "PARTIAL"
    now = pair.listings()
    moved = pair.moved(name, before, now)
    here, there = moved.pair("servers")
    assert set(there) == set(here) - {UNFIT}
    assert here[UNFIT]["status"] == "ACTIVE"
    server = here[UNFIT]["id"]
    own = {server, *(one["id"] for one in moved.pair("ports")[0].values() if one["device_id"] == server)}
    assert len(own) == 3
    assert [one for one in changes(before, now["source"]) if one.identity in own] == []


def nothing_is_left_over(before, now):
    """What was there for the way only is gone."""
    made = {
        kind: sorted(one["name"] for id, one in now[kind].items() if id not in before[kind])
        for kind in ("images", "volumes", "snapshots")
    }
    volumes = ["archive", "lifted-root", "orders", "root"]
    assert made == {"images": [BOOTED], "volumes": volumes, "snapshots": []}


def finalizes(pair, moved):
    """Remove for good what has arrived, but what was used since; how much went."""
    used = start_again(moved, UNFIT)
    before = pair.listings()
    listed = json.loads(pair.run("migration", "finalize", "last", "-f", "json"))
    assert {one["Name"] for one in listed if one["Goes"] == "no"} == {UNFIT}
    unchanged = pair.listings()
    for side in unchanged:
        assert changes(before[side], unchanged[side]) == []

    pair.run("migration", "finalize", "last", *EVERYTHING, "--yes", "-f", "json", status=3)
    after = pair.listings()
    project = moved.projects[0]["id"]
    servers = {id for id, one in after["source"]["servers"].items() if one["tenant_id"] == project}
    assert servers == {used}
    assert after["source"]["servers"][used]["status"] == "ACTIVE"
    assert tenants_volumes(before["source"], project) != set()
    assert tenants_volumes(after["source"], project) == set()

    kept = changes(without_marks(before["destination"]), without_marks(after["destination"]))
    assert kept == []
    assert marks(before["destination"], moved.projects[1]["id"]) != []
    assert marks(after["destination"], moved.projects[1]["id"]) == []
    pair.run("migration", "rollback", "last", "--yes", "--progress", "none", status=2)
    return {"servers": len(moved.pair("servers")[0]) - 1, "volumes": len(moved.pair("volumes")[0])}


def start_again(moved, name):
    """Use a server of the source again; its id."""
    compute = moved.source.admin.compute
    server = compute.get_server(moved.pair("servers")[0][name]["id"])
    compute.start_server(server)
    compute.wait_for_server(server, status="ACTIVE", failures=["ERROR"], interval=1, wait=WAIT)
    return server.id


def tenants_volumes(listed, project):
    return {id for id, one in listed["volumes"].items() if one["os-vol-tenant-attr:tenant_id"] == project}


def marks(listed, project):
    """Which of a project's objects bear pumphouse's mark."""
    told = [(kind, json.dumps(one)) for kind, found in listed.items() for one in found.values()]
    return [(kind, one) for kind, one in told if project in one and (MARKER in one or MARKER_TAG in one)]


def without_marks(body):
    """A listing as if pumphouse had marked nothing."""
    if isinstance(body, dict):
        return {name: without_marks(value) for name, value in body.items() if name != MARKER}
    if isinstance(body, list):
        return [without_marks(one) for one in body if not str(one).startswith(MARKER_TAG)]
    return "" if str(body).startswith(MARKER_TAG) else body
