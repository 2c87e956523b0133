"""Servers' root disks: in each mode the destination has the right bytes, and nothing is left over."""

from __future__ import annotations

import openstack
import pytest

from pumphouse import errors
from pumphouse.model import Action, DiskMode, Ref
from pumphouse.resource import Severity
from pumphouse.store.states import MigrationState

WRITTEN = b"what the guest has written " * 4096
"""Since its server was built."""
SNAPSHOT = ("source", "POST /compute/v2.1/servers/{server_id}/action createImage")
UPLOAD = ("destination", "PUT /image/v2/images/{image_id}/file")
BOOT = ("destination", "POST /compute/v2.1/servers")
COPIED = ("web-1", "web-2", "app-1", "app-2", "db-1")
"""The tenant's servers. All have local root disks."""


@pytest.fixture
def written(site):
    """The site, with something written on each local root disk of the tenant."""
    for row in rows(site.source, "servers"):
        if row["image_id"]:
            with disk(site.source, row).open("r+b") as file:
                file.seek(1 << 20)
                file.write(row["name"].encode() + WRITTEN)
    return site


def rows(cloud, table):
    with cloud.transaction():
        return [dict(row) for row in cloud.table(table)]


def disk(cloud, row):
    return cloud.files.path("disks", row["id"])


def row_of(cloud, name):
    (found,) = [row for row in rows(cloud, "servers") if row["name"] == name]
    return found


def carriers(site):
    """What is there for the way only."""
    return [
        (cloud.name, table, row["name"])
        for cloud in (site.source, site.destination)
        for table in ("images", "volumes", "snapshots")
        for row in rows(cloud, table)
        if str(row["name"]).startswith("pumphouse-carrier")
    ]


def migrate(site, mode, **options):
    plan = site.plan(disk_mode=mode, **options)
    return site.app.run(site.app.start(plan, check_fresh=True).id)


def test_in_image_mode_the_plan_warns_and_the_disk_is_made_anew(written):
    plan = written.plan(disk_mode=DiskMode.IMAGE)
    for one in plan.resources:
        if one.resource.name in COPIED and one.ref.type == "server":
            lost = [problem for problem in one.problems if problem.severity is Severity.LOST]
            assert any("what was written to it stays on the source" in one.summary for one in lost)
            assert (one.mode, one.bytes) == ("image", 0)
    written.app.run(written.app.start(plan, check_fresh=False).id)
    there = row_of(written.destination, "web-1")
    assert WRITTEN not in disk(written.destination, there).read_bytes()


def test_a_snapshot_brings_every_byte_of_the_disk_and_leaves_nothing(written):
    here = {name: disk(written.source, row_of(written.source, name)).read_bytes() for name in COPIED}
    plan = written.plan(disk_mode=DiskMode.SNAPSHOT)
    servers = {one.resource.name: one for one in plan.resources if one.ref.type == "server"}
    assert {name: one.mode for name, one in servers.items()} == dict.fromkeys(COPIED, "snapshot")
    assert all(servers[name].bytes >= 1 << 30 for name in COPIED)
    record = written.app.run(written.app.start(plan, check_fresh=True).id)
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    for name in COPIED:
        assert WRITTEN in here[name]
        assert disk(written.destination, row_of(written.destination, name)).read_bytes() == here[name]
    assert carriers(written) == []
    report = {one.name: one for one in written.app.report(record.id).resources if one.ref.type == "server"}
    for name in COPIED:
        assert report[name].data.startswith("sha512:")
        assert report[name].bytes > len(WRITTEN)
        assert report[name].mode == "snapshot"
        assert report[name].downtime is not None
    assert written.plan(disk_mode=DiskMode.SNAPSHOT).nothing_to_do


def test_in_volume_mode_the_server_boots_from_a_volume_with_its_disk(written):
    before = written.states()
    here = disk(written.source, row_of(written.source, "web-1")).read_bytes()
    record = migrate(written, DiskMode.VOLUME)
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    server = row_of(written.destination, "web-1")
    assert server["image_id"] == ""
    (root,) = [one for one in server["volumes"] if one["boot_index"] == 0]
    moved = written.destination.files.path("volumes", root["volume_id"]).read_bytes()
    assert moved[: len(here)] == here
    assert not any(moved[len(here) :])
    assert carriers(written) == []
    report = written.app.report(record.id)
    volume = next(one for one in report.resources if one.name == "web-1-root")
    assert volume.data.startswith("sha512:")
    assert written.plan(disk_mode=DiskMode.VOLUME).nothing_to_do
    assert written.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert written.states() == before


@pytest.mark.parametrize("mode", [DiskMode.SNAPSHOT, DiskMode.VOLUME])
def test_a_disk_and_the_volumes_of_its_server_are_read_in_turns(written, mode):
    """Compute, which makes an image of the disk, does not help storage with a snapshot meanwhile."""
    written.source.timings |= {"image": 0.5, "snapshot": 0.2}
    record = migrate(written, mode)
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    assert any(volume["attachments"] for volume in rows(written.source, "volumes"))
    assert carriers(written) == []


def test_auto_copies_all_but_what_is_disposable(written):
    source = openstack.connect(cloud="source")
    server = source.compute.find_server("web-2", all_projects=True)
    source.compute.set_server_metadata(server, pumphouse_disk="disposable")
    plan = written.plan(disk_mode=DiskMode.AUTO)
    modes = {one.resource.name: one.mode for one in plan.resources if one.ref.type == "server"}
    assert modes == dict.fromkeys(COPIED, "snapshot") | {"web-2": "image"}


def test_an_override_decides_for_one_server(written):
    rules = [
        {"type": "server", "set": {"disk_mode": "snapshot"}},
        {"type": "server", "when": {"name": "app-1"}, "set": {"disk_mode": "volume"}},
        {"type": "server", "when": {"name": "web-2"}, "set": {"disk_mode": "image"}},
    ]
    plan = written.plan(overrides={"rules": rules})
    modes = {one.resource.name: one.mode for one in plan.resources if one.ref.type == "server"}
    assert modes == {
        "web-1": "snapshot",
        "web-2": "image",
        "app-1": "volume",
        "app-2": "snapshot",
        "db-1": "snapshot",
    }
    rules[0]["set"] = {"disk_mode": "tape"}
    with pytest.raises(errors.BadOverride, match="has no disk_mode 'tape'"):
        written.plan(overrides={"rules": rules})


def test_a_server_whose_image_is_gone_moves_by_snapshot_alone(written):
    source = openstack.connect(cloud="source")
    server = source.compute.find_server("web-1", all_projects=True)
    source.image.delete_image(server.image.id)
    ref = Ref("server", server.id)
    blocked = written.plan(disk_mode=DiskMode.IMAGE).by_ref[ref]
    assert blocked.action is Action.BLOCKED
    assert "--mode snapshot" in " ".join(problem.next_step for problem in blocked.problems)
    here = disk(written.source, row_of(written.source, "web-1")).read_bytes()
    assert migrate(written, DiskMode.SNAPSHOT).state is MigrationState.SUCCEEDED
    assert disk(written.destination, row_of(written.destination, "web-1")).read_bytes() == here


@pytest.mark.crash
@pytest.mark.parametrize(
    ("mode", "request_", "when"),
    [
        ("snapshot", SNAPSHOT, "after"),
        *(
            pytest.param(mode, request, when, marks=pytest.mark.slow)
            for mode in ("snapshot", "volume")
            for request in (SNAPSHOT, UPLOAD, BOOT)
            for when in ("before", "after")
            if (mode, request, when) != ("snapshot", SNAPSHOT, "after")
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1].rpartition("/")[2],
)
def test_a_kill_on_the_way_of_a_disk_leaves_nothing_over(written, mode, request_, when):
    before = written.states()
    here = disk(written.source, row_of(written.source, "web-1")).read_bytes()
    side, kind = request_
    words = ("migrate", "server", "web-1", "--mode", mode)
    record = written.killed(*words, side=side, kind=kind, when=when)
    assert written.app.resume(record.id).state is MigrationState.SUCCEEDED
    assert carriers(written) == []
    if mode == "snapshot":
        assert disk(written.destination, row_of(written.destination, "web-1")).read_bytes() == here
    assert written.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert written.states() == before


@pytest.mark.crash
@pytest.mark.slow
def test_a_roll_back_after_a_kill_leaves_nothing_over(written):
    before = written.states()
    side, kind = UPLOAD
    words = ("migrate", "server", "web-1", "--mode", "snapshot")
    record = written.killed(*words, side=side, kind=kind, when="after")
    assert written.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert carriers(written) == []
    assert written.states() == before
