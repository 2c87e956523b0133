"""Waves: groups that migrate one after the other."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from pumphouse import config
from pumphouse.devcloud.client import Client
from pumphouse.service import Pumphouse

from .conftest import PASSWORD, admin

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def tenants(cloud_pair, operator, make_tenant):
    """Three tenants, of which shop has three servers."""
    for name, servers in (("shop", 3), ("lab", 1), ("till", 1)):
        make_tenant(cloud_pair.source, name, servers=servers)


@pytest.fixture
def write(tmp_path):
    def write(*groups, **more):
        (tmp_path / "wave.yaml").write_text(json.dumps({"groups": list(groups), **more}))

    return write


def servers(cloud):
    """How many servers each tenant has."""
    with admin(cloud) as client:
        projects = {one["id"]: one["name"] for one in client.get("identity", "/projects")["projects"]}
        found = client.get("compute", "/servers/detail?all_tenants=1")["servers"]
    names = [projects[one["tenant_id"]] for one in found]
    return {name: names.count(name) for name in sorted(names)}


def show(pumphouse):
    return {row["Group"]: row for row in json.loads(pumphouse("wave", "show", "last", "-f", "json").stdout)}


def state(pumphouse):
    (row,) = json.loads(pumphouse("wave", "list", "-f", "json").stdout)
    return row["State"]


def migrate(pumphouse):
    return pumphouse("migrate", "wave", "wave.yaml", "--yes")


def test_groups_migrate_in_their_order_and_are_taken_back_in_the_other(pumphouse, cloud_pair, tenants, write):
    with admin(cloud_pair.destination) as client:
        client.get("network", "/security-groups")  # makes the project's default group
    before = cloud_pair.destination.state()
    write({"name": "first", "tenants": ["lab"]}, {"name": "rest", "tenants": ["shop", "till"]})
    ended = migrate(pumphouse)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert servers(cloud_pair.destination) == {"lab": 1, "shop": 3, "till": 1}
    assert re.search(r"Wave w-\w{6} is SUCCEEDED\n", ended.stdout)
    rows = show(pumphouse)
    assert [row["State"] for row in rows.values()] == ["SUCCEEDED", "SUCCEEDED"]
    assert [row["Moves"] for row in rows.values()] == ["tenant lab", "tenant shop, till"]
    first, rest = (ended.stdout.index(f"Group {name}: migration m-") for name in ("first", "rest"))
    assert first < rest
    names = json.loads(pumphouse("migration", "list", "-f", "json").stdout)
    assert [row["Name"] for row in names] == ["wave.yaml: rest", "wave.yaml: first"]
    assert pumphouse("wave", "resume", "last").returncode == 2  # it has ended

    back = pumphouse("wave", "rollback", "last", "--yes")
    assert back.returncode == 0, back
    assert back.stdout.index("Group rest: ") < back.stdout.index("Group first: ")
    assert cloud_pair.destination.state() == before
    assert state(pumphouse) == "ROLLED_BACK"


def test_a_plan_is_kept_shown_and_begun_later(pumphouse, cloud_pair, tenants, write):
    write({"tenants": ["lab"]}, {"servers": ["web-2"]})
    writes = len(cloud_pair.destination.counts.writes)
    planned = pumphouse("plan", "wave", "wave.yaml")
    assert (planned.returncode, planned.stderr) == (0, "")
    assert "Group tenant lab\n" in planned.stdout
    assert "Group server web-2\n" in planned.stdout
    assert planned.stdout.count("from source to destination") == 2
    assert len(cloud_pair.destination.counts.writes) == writes
    assert state(pumphouse) == "PLANNED"
    again = re.search(r"Begin it with: pumphouse (wave resume w-\w{6})", planned.stdout)[1]
    assert pumphouse(*again.split()).returncode == 0
    assert servers(cloud_pair.destination) == {"lab": 1, "shop": 1}


@pytest.mark.parametrize(("in_the_file", "used"), [({}, "volume"), ({"mode": "snapshot"}, "snapshot")])
def test_the_way_of_disks_is_given_or_the_files(pumphouse, operator, tenants, write, in_the_file, used):
    write({"tenants": ["lab"]}, **in_the_file)
    assert pumphouse("plan", "wave", "wave.yaml", "--mode", "volume").returncode == 0
    with Pumphouse.open(config.load([operator])) as app:
        assert [plan.disk_mode for plan in app.wave_plans("last")] == [used]


def test_a_group_that_asks_waits_for_a_word(pumphouse, cloud_pair, tenants, write):
    write({"name": "a", "tenants": ["lab"]}, {"name": "b", "tenants": ["till"], "start": "ask"})
    ended = migrate(pumphouse)
    assert ended.returncode == 3
    assert "is PAUSED: group b waits for your word" in ended.stdout
    assert servers(cloud_pair.destination) == {"lab": 1}
    assert pumphouse("wave", "resume", "last").returncode == 0
    assert servers(cloud_pair.destination) == {"lab": 1, "till": 1}


def test_a_group_waits_for_its_time(pumphouse, cloud_pair, tenants, write):
    begin = datetime.now(UTC) + timedelta(seconds=15)
    write({"name": "a", "tenants": ["lab"], "start": begin.isoformat(timespec="seconds")})
    ended = migrate(pumphouse)
    assert ended.returncode == 0, ended
    assert "Group a begins at " in ended.stdout
    assert datetime.now(UTC) > begin - timedelta(seconds=1)
    assert servers(cloud_pair.destination) == {"lab": 1}


def test_a_failure_stops_the_wave_and_resuming_tries_it_again(pumphouse, cloud_pair, tenants, write):
    cloud_pair.destination.faults.add("server_error", path="web-1")
    write({"name": "a", "tenants": ["shop"]}, {"name": "b", "tenants": ["till"]})
    ended = migrate(pumphouse)
    assert ended.returncode == 3
    assert re.search(r"is PAUSED: group a is PARTIAL \(migration m-\w{6}\)", ended.stdout)
    assert servers(cloud_pair.destination) == {"shop": 2}
    assert pumphouse("wave", "resume", "last").returncode == 0
    assert servers(cloud_pair.destination) == {"shop": 3, "till": 1}
    assert state(pumphouse) == "SUCCEEDED"


def test_what_has_failed_may_be_left(pumphouse, cloud_pair, tenants, write):
    cloud_pair.destination.faults.add("server_error", path="web-1")
    write({"name": "a", "tenants": ["shop"]}, {"name": "b", "tenants": ["till"]})
    assert migrate(pumphouse).returncode == 3
    ended = pumphouse("wave", "resume", "last", "--skip-failed")
    assert ended.returncode == 3
    assert servers(cloud_pair.destination) == {"shop": 2, "till": 1}
    assert state(pumphouse) == "PARTIAL"


def test_fewer_failures_than_the_rate_do_not_stop_it(pumphouse, cloud_pair, tenants, write):
    cloud_pair.destination.faults.add("server_error", path="web-1")
    write({"name": "a", "tenants": ["shop"]}, {"name": "b", "tenants": ["till"]}, stop_at=50)
    ended = migrate(pumphouse)
    assert ended.returncode == 3, ended
    assert servers(cloud_pair.destination) == {"shop": 2, "till": 1}
    assert state(pumphouse) == "PARTIAL"


@pytest.mark.parametrize("wrong", ["left", "volume"])
def test_other_failures_than_servers_stop_it_whatever_the_rate(pumphouse, cloud_pair, tenants, write, wrong):
    faults = cloud_pair.destination.faults
    if wrong == "left":
        faults.add("server_error", path="web-1")
        faults.add("status", method="DELETE", path="*/servers/*", code=409, times=0)
    else:
        with Client(cloud_pair.source.url, username="ann-shop", password=PASSWORD, project="shop") as ann:
            ann.post("volume", "/volumes", {"volume": {"name": "data", "size": 1}})
        faults.add("status", method="POST", path="*/volumes", code=413)
    write({"name": "a", "tenants": ["shop"]}, {"name": "b", "tenants": ["till"]}, stop_at=100)
    ended = migrate(pumphouse)
    assert ended.returncode == 3, ended
    told = {"left": "could not be taken back, such as server:", "volume": "volume data: "}[wrong]
    assert re.search(rf"is PAUSED: group a is PARTIAL \(migration m-\w{{6}}\): .*{told}", ended.stdout)
    assert "till" not in servers(cloud_pair.destination)


def test_too_many_failures_stop_it_in_the_middle(pumphouse, cloud_pair, tenants, write):
    cloud_pair.destination.faults.add("server_error", path="web-*", times=0)
    write(
        {"name": "a", "tenants": ["shop"]}, {"name": "b", "tenants": ["till"]}, stop_at=30, servers_at_once=1
    )
    ended = migrate(pumphouse)
    assert ended.returncode == 3
    assert servers(cloud_pair.destination) == {}
    units = json.loads(pumphouse("migration", "units", "last", "-f", "json").stdout)
    states = sorted(row["State"] for row in units if row["Unit"].startswith("server "))
    assert states == ["FAILED", "PENDING", "PENDING"]
    assert show(pumphouse)["a"]["State"] == "PAUSED"
    with admin(cloud_pair.source) as client:
        found = client.get("compute", "/servers/detail?all_tenants=1")["servers"]
    assert {one["status"] for one in found} == {"ACTIVE"}
    why = "1 of 3 servers failed, and 30% may not"
    assert f"{why}: stopping when the steps under way are done." in ended.stdout
    assert re.search(rf"is PAUSED: group a is PAUSED \(migration m-\w{{6}}\): {why}\n", ended.stdout)


def test_a_group_that_was_stopped_in_the_middle_is_tried_again(pumphouse, cloud_pair, tenants, write):
    cloud_pair.destination.faults.add("server_error", path="web-*", times=1)
    write(
        {"name": "a", "tenants": ["shop"]}, {"name": "b", "tenants": ["till"]}, stop_at=30, servers_at_once=1
    )
    assert migrate(pumphouse).returncode == 3
    assert servers(cloud_pair.destination) == {}
    ended = pumphouse("wave", "resume", "last")
    assert ended.returncode == 0, ended
    assert servers(cloud_pair.destination) == {"shop": 3, "till": 1}


def test_what_stopped_a_group_in_the_middle_may_be_left(pumphouse, cloud_pair, tenants, write):
    cloud_pair.destination.faults.add("server_error", path="web-*", times=1)
    write(
        {"name": "a", "tenants": ["shop"]}, {"name": "b", "tenants": ["till"]}, stop_at=30, servers_at_once=1
    )
    assert migrate(pumphouse).returncode == 3
    ended = pumphouse("wave", "resume", "last", "--skip-failed")
    assert ended.returncode == 3, ended
    assert servers(cloud_pair.destination) == {"shop": 2, "till": 1}
    assert state(pumphouse) == "PARTIAL"


def test_only_so_many_servers_are_down_at_once(pumphouse, cloud_pair, tenants, write):
    write({"tenants": ["shop"]}, servers_at_once=1)
    assert migrate(pumphouse).returncode == 0
    events = json.loads(pumphouse("migration", "events", "last", "-f", "json").stdout)
    down, most = set(), 0
    for event in events:
        told = event["Event"]
        if "step" not in told and told.get("unit", "").startswith("server:"):
            (down.add if told["state"] == "RUNNING" else down.discard)(told["unit"])
            most = max(most, len(down))
    assert most == 1


def test_what_has_changed_since_is_not_moved_without_a_word(
    pumphouse, cloud_pair, tenants, write, make_tenant
):
    write({"name": "a", "tenants": ["lab"]}, {"name": "b", "tenants": ["shop"]})
    assert pumphouse("plan", "wave", "wave.yaml").returncode == 0
    with admin(cloud_pair.source) as client:
        (network,) = [
            one
            for one in client.get("network", "/networks")["networks"]
            if one["project_id"] == projects(client)["shop"]
        ]
        client.put("network", f"/networks/{network['id']}", {"network": {"description": "new"}})
    ended = pumphouse("wave", "resume", "last")
    assert ended.returncode == 3
    assert "group b has changed since it was planned: network 'web'" in ended.stdout
    assert "--replan" in ended.stdout
    assert servers(cloud_pair.destination) == {"lab": 1}
    assert pumphouse("wave", "resume", "last", "--replan").returncode == 0
    assert servers(cloud_pair.destination) == {"lab": 1, "shop": 3}


def test_a_group_that_cannot_begin_waits_and_may_be_left_out(pumphouse, cloud_pair, tenants, write):
    write(
        {"name": "a", "tenants": ["lab"]},
        {"name": "b", "tenants": ["shop"]},
        {"name": "c", "tenants": ["till"]},
    )
    assert pumphouse("plan", "wave", "wave.yaml").returncode == 0
    with admin(cloud_pair.source) as client:
        path = f"/projects/{projects(client)['shop']}"
        client.request("identity", "PATCH", path, {"project": {"name": "shop-2"}})
    ended = pumphouse("wave", "resume", "last")
    assert ended.returncode == 3, ended
    assert re.search("is PAUSED: group b cannot begin: .*'shop'.*--skip-failed", ended.stdout)
    assert servers(cloud_pair.destination) == {"lab": 1}
    assert pumphouse("wave", "resume", "last").returncode == 3  # it is tried again
    assert servers(cloud_pair.destination) == {"lab": 1}
    ended = pumphouse("wave", "resume", "last", "--skip-failed")
    assert ended.returncode == 3, ended
    assert re.search("is PARTIAL: group b was left out: .*'shop'", ended.stdout)
    assert servers(cloud_pair.destination) == {"lab": 1, "till": 1}
    with admin(cloud_pair.source) as client:
        client.request("identity", "PATCH", path, {"project": {"name": "shop"}})
    assert pumphouse("wave", "resume", "last").returncode == 0
    assert servers(cloud_pair.destination) == {"lab": 1, "shop": 3, "till": 1}


def projects(client):
    return {one["name"]: one["id"] for one in client.get("identity", "/projects")["projects"]}


def test_killed_in_the_middle_it_goes_on(process, pumphouse, cloud_pair, tenants, write, tmp_path):
    write({"name": "a", "tenants": ["lab"]}, {"name": "b", "tenants": ["till"]})
    cloud_pair.destination.holds.set(1, kind="POST /compute/v2.1/servers")
    first = process("migrate", "wave", "wave.yaml", "--yes", "--progress", "none", cwd=tmp_path)
    cloud_pair.destination.holds.wait_held(90)
    first.kill()
    first.communicate()
    cloud_pair.destination.holds.release()
    assert state(pumphouse) == "RUNNING"
    ended = pumphouse("wave", "resume", "last")
    assert ended.returncode == 0, ended
    assert servers(cloud_pair.destination) == {"lab": 1, "till": 1}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_roll_back_that_was_cut_short_goes_on_backwards(
    process, pumphouse, cloud_pair, tenants, write, tmp_path, how
):
    """It touches no group before its time, and gives nobody's word."""
    write(
        {"name": "a", "tenants": ["lab"]},
        {"name": "b", "tenants": ["till"]},
        {"name": "c", "servers": ["web-2"], "start": "ask"},
    )
    assert migrate(pumphouse).returncode == 3
    moved = {"lab": 1, "till": 1}
    assert servers(cloud_pair.destination) == moved
    cloud_pair.destination.holds.set(1)
    words = ("wave", "rollback", "last", "--yes", "--progress", "none")
    back = process(*words, cwd=tmp_path)
    cloud_pair.destination.holds.wait_held(90)
    os.kill(back.pid, how)
    if how == signal.SIGINT:
        time.sleep(0.3)
        cloud_pair.destination.holds.release()
    out, err = back.communicate(timeout=90)
    cloud_pair.destination.holds.release()
    assert state(pumphouse) == "ROLLING_BACK", (out, err)
    if how == signal.SIGINT:
        assert back.returncode == 3
        assert re.search(r"is ROLLING_BACK: group b is PAUSED .*\n  pumphouse wave resume w-\w{6}\n", out)
    assert servers(cloud_pair.destination)["lab"] == 1
    ended = pumphouse("wave", "resume", "last")
    assert ended.returncode == 0, ended
    assert (state(pumphouse), servers(cloud_pair.destination)) == ("ROLLED_BACK", {})


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        ({}, "groups must be a list of groups"),
        ({"groups": []}, "groups must be a list of groups"),
        ({"groups": [{"tenants": ["a"]}], "colour": 1}, "unknown keys: colour"),
        ({"groups": [{"tenants": ["a"], "colour": 1}]}, "group 1: unknown keys: colour"),
        ({"groups": [{"name": "a"}]}, "group 1 needs one of tenants, servers, hosts"),
        ({"groups": [{"tenants": "shop"}]}, "tenants must be a list of names"),
        ({"groups": [{"tenants": ["a"], "start": "soon"}]}, "start must be a time such as"),
        ({"groups": [{"tenants": ["a"], "start": "2026-12-01T02:00:00"}]}, "start has no time zone"),
        ({"groups": [{"tenants": ["a"], "start": ["2026-12-01"]}]}, "start must be a time such as"),
        ({"groups": [{"tenants": ["a"], "start": {}}]}, "start must be a time such as"),
        ({"groups": [{"name": "x", "tenants": ["a"]}, {"name": "x", "tenants": ["b"]}]}, "called x"),
        ({"groups": [{"tenants": ["a"]}], "mode": "fast"}, "mode must be one of image, snapshot"),
        ({"groups": [{"tenants": ["a"]}], "mode": []}, "mode must be one of image, snapshot"),
        ({"groups": [{"tenants": ["a"]}], "servers_at_once": 0}, "a whole number from 1 to 10000"),
        ({"groups": [{"tenants": ["a"]}], "stop_at": 101}, "a whole number from 1 to 100"),
    ],
)
def test_a_bad_description_is_one_clear_line(pumphouse, cloud_pair, operator, tmp_path, wave, reason):
    (tmp_path / "wave.yaml").write_text(json.dumps(wave))
    ended = pumphouse("plan", "wave", "wave.yaml")
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_server_in_two_groups_is_refused(pumphouse, tenants, write):
    write({"name": "a", "tenants": ["lab", "shop"]}, {"name": "b", "servers": ["web-2"]})
    ended = pumphouse("plan", "wave", "wave.yaml")
    assert ended.returncode == 2
    assert "is in group 'a' and in group 'b'" in ended.stderr
