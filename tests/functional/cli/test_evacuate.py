"""Emptying a hypervisor inside its cloud, and moving its servers to another one."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest

from pumphouse.devcloud.compute_model import add_host
from pumphouse.devcloud.fill import fill

from .conftest import SHARED, admin, network, server, tenant

pytestmark = pytest.mark.timeout(180)
HOST = "compute-1"


@pytest.fixture
def cloud(cloud_pair, operator):
    """A cloud whose first host has servers in several states; the second has the rest."""
    source = cloud_pair.source
    names = ("off", "held", "web-1", "web-2", "web-3")
    servers = [server(name, "web") for name in names]
    servers[0]["state"], servers[1]["state"] = "stopped", "paused"
    with admin(source) as client:
        switch(client, "compute-2", "disabled")
        fill(
            source,
            {**SHARED, "tenants": {"shop": tenant("shop", networks=[network("web")], servers=servers)}},
        )
        switch(client, "compute-2", "enabled")
    assert set(hosts(source)) == set(names)
    return source


def request(client, path, body, version):
    headers = {"OpenStack-API-Version": f"compute {version}"}
    return client.request("compute", "PUT", path, body, headers=headers).json


def service(client, host):
    headers = {"OpenStack-API-Version": "compute 2.53"}
    found = client.request("compute", "GET", f"/os-services?host={host}", headers=headers).json
    return found["services"][0]


def switch(client, host, status):
    request(client, f"/os-services/{service(client, host)['id']}", {"status": status}, "2.53")


def hosts(cloud):
    """Each server's host and status."""
    with admin(cloud) as client:
        found = client.get("compute", "/servers/detail?all_tenants=1")["servers"]
    return {one["name"]: (one["OS-EXT-SRV-ATTR:host"], one["status"]) for one in found}


def compute_service(cloud, host=HOST):
    with admin(cloud) as client:
        found = service(client, host)
    return found["status"], found["disabled_reason"]


def identity(cloud, name):
    with admin(cloud) as client:
        (found,) = client.get("compute", f"/servers?all_tenants=1&name=^{name}$")["servers"]
    return found["id"]


def act(cloud, name, action, body=None):
    with admin(cloud) as client:
        client.post("compute", f"/servers/{identity(cloud, name)}/action", {action: body})


def wait_for(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def evacuate(pumphouse, *options):
    ended = pumphouse("evacuate", HOST, "--cloud", "source", "--yes", "-f", "json", *options)
    return ended, {row["Name"]: row for row in json.loads(ended.stdout or "[]")}


def test_a_host_is_emptied_and_stays_disabled(pumphouse, cloud):
    before = hosts(cloud)
    ended, rows = evacuate(pumphouse)
    assert ended.returncode == 0, ended
    assert hosts(cloud) == {name: ("compute-2", status) for name, (_, status) in before.items()}
    assert {name: row["Way"] for name, row in rows.items()} == {
        "off": "cold",
        "held": "live",
        "web-1": "live",
        "web-2": "live",
        "web-3": "live",
    }
    assert {(row["State"], row["To"], row["Reason"]) for row in rows.values()} == {("MOVED", "compute-2", "")}
    status, reason = compute_service(cloud)
    assert status == "disabled"
    assert re.fullmatch(r"pumphouse evacuates it \(e-\w{6}\)", reason)
    assert "Host compute-1 is empty, and its compute service is disabled." in ended.stderr
    assert "server off: is confirmed" in ended.stderr

    again, rows = evacuate(pumphouse)
    assert (again.returncode, rows) == (0, {})
    assert compute_service(cloud)[0] == "disabled"


def test_only_so_many_move_at_once(pumphouse, cloud):
    ended, _ = evacuate(pumphouse, "--at-once", "1")
    assert ended.returncode == 0
    lines = [line for line in ended.stderr.splitlines() if line.startswith("server ")]
    moving = 0
    for line in lines:
        moving += " moves " in line
        moving -= " is on " in line
        assert moving <= 1, lines


def test_what_cannot_be_moved_is_told_before_anything_is_done(pumphouse, cloud):
    act(cloud, "web-2", "suspend")
    wait_for(lambda: hosts(cloud)["web-2"][1] == "SUSPENDED")
    before, writes = hosts(cloud), len(cloud.counts.writes)
    ended, rows = evacuate(pumphouse)
    assert ended.returncode == 4
    assert "its status is SUSPENDED: resume it, or shelve it" in ended.stderr
    assert rows["web-2"]["State"] == "STAYS"
    assert hosts(cloud) == before
    assert len(cloud.counts.writes) == writes

    ended, rows = evacuate(pumphouse, "--partly")
    assert ended.returncode == 3
    assert {name for name, (host, _) in hosts(cloud).items() if host == HOST} == {"web-2"}
    assert rows["web-2"]["Reason"] == "its status is SUSPENDED: resume it, or shelve it"
    assert compute_service(cloud) == ("enabled", None)
    assert "pumphouse evacuate compute-1 --cloud source" in ended.stderr


def test_a_move_that_the_cloud_refuses_or_does_not_do_is_told(pumphouse, cloud):
    refused = f"*/servers/{identity(cloud, 'web-1')}/action"
    cloud.faults.add("status", method="POST", path=refused, code=409, times=1)
    cloud.table("servers")[identity(cloud, "web-3")]["pinned_zone"] = "elsewhere"
    ended, rows = evacuate(pumphouse)
    assert ended.returncode == 3
    assert rows["web-1"]["Reason"].endswith("injected fault")
    assert rows["web-3"]["Reason"].startswith("the cloud has not moved it")
    assert {name for name, (host, _) in hosts(cloud).items() if host == HOST} == {"web-1", "web-3"}
    assert compute_service(cloud) == ("enabled", None)


def test_a_service_that_was_disabled_before_stays_so(pumphouse, cloud):
    with admin(cloud) as client:
        switch(client, HOST, "disabled")
    act(cloud, "web-2", "suspend")
    wait_for(lambda: hosts(cloud)["web-2"][1] == "SUSPENDED")
    assert evacuate(pumphouse, "--partly")[0].returncode == 3
    assert compute_service(cloud) == ("disabled", None)


@pytest.mark.parametrize(
    ("host", "status", "said"),
    [("compute-9", 2, "there is no compute host 'compute-9'"), (HOST, 4, "no other compute host is up")],
)
def test_where_nothing_can_be_done_nothing_is(pumphouse, cloud, host, status, said):
    with admin(cloud) as client:
        switch(client, "compute-2", "disabled")
    ended = pumphouse("evacuate", host, "--cloud", "source", "--yes")
    assert ended.returncode == status
    assert said in ended.stderr
    assert compute_service(cloud) == ("enabled", None)


def test_a_host_that_is_down_is_refused(pumphouse, cloud):
    with admin(cloud) as client:
        request(client, f"/os-services/{service(client, HOST)['id']}", {"forced_down": True}, "2.53")
    ended, _ = evacuate(pumphouse)
    assert ended.returncode == 4
    assert "is down, so no server can leave it" in ended.stderr


def test_nobody_is_moved_without_a_word(pumphouse, cloud):
    ended = pumphouse("evacuate", HOST, "--cloud", "source")
    assert ended.returncode == 2
    assert "--yes" in ended.stderr


def all_have_moved(cloud, before):
    return hosts(cloud) == {name: ("compute-2", status) for name, (_, status) in before.items()}


def test_a_confirmation_that_fails_is_sent_again(pumphouse, cloud):
    before = hosts(cloud)
    path = f"*/servers/{identity(cloud, 'off')}/action"
    cloud.faults.add("status", method="POST", path=path, code=500, after=1, times=1)
    ended, rows = evacuate(pumphouse)
    assert ended.returncode == 0, ended
    assert "server off: " in ended.stderr
    assert (rows["off"]["State"], rows["off"]["Reason"]) == ("MOVED", "")
    assert all_have_moved(cloud, before)


def test_a_move_that_takes_too_long_is_confirmed_by_the_next_run(pumphouse, cloud, operator):
    """For ever between two hosts, where its owner cannot start it, it would be else."""
    before = hosts(cloud)
    operator.write_text(operator.read_text().replace("[engine]", "[engine]\nmove_timeout = 1"))
    cloud.timings["resume"] = 4
    ended, rows = evacuate(pumphouse)
    assert ended.returncode == 3, ended
    assert {row["State"] for row in rows.values()} == {"LATE"}
    assert rows["off"]["Reason"] == "its move has not ended within 1 s"
    assert "5 of 5 servers did not end their move in time" in ended.stderr
    assert compute_service(cloud) == ("enabled", None)
    wait_for(lambda: hosts(cloud)["off"] == ("compute-2", "VERIFY_RESIZE"))
    wait_for(lambda: HOST not in {host for host, _ in hosts(cloud).values()})
    ended, rows = evacuate(pumphouse)
    assert ended.returncode == 0, ended
    assert rows["off"]["State"] == "MOVED"
    assert all_have_moved(cloud, before)
    assert evacuate(pumphouse)[1] == {}  # and nothing is taken over twice


def test_moves_are_not_forgotten_when_the_cloud_cannot_be_asked(pumphouse, cloud):
    before = hosts(cloud)
    cloud.faults.add("status", method="GET", path="*/servers/detail", code=403, after=2, times=1)
    ended, _ = evacuate(pumphouse)
    assert ended.returncode == 2, ended
    assert compute_service(cloud) == ("enabled", None)
    wait_for(lambda: hosts(cloud)["off"] == ("compute-2", "VERIFY_RESIZE"))
    ended, _ = evacuate(pumphouse)
    assert ended.returncode == 0, ended
    assert all_have_moved(cloud, before)


def test_a_resize_that_came_after_a_forgotten_move_is_the_owners(pumphouse, cloud, operator):
    operator.write_text(operator.read_text().replace("[engine]", "[engine]\nmove_timeout = 1"))
    cloud.timings["resume"] = 2
    assert evacuate(pumphouse)[0].returncode == 3
    wait_for(lambda: hosts(cloud)["off"] == ("compute-2", "VERIFY_RESIZE"))
    act(cloud, "off", "confirmResize")
    wait_for(lambda: hosts(cloud)["off"][1] == "SHUTOFF")
    row = cloud.table("servers")[identity(cloud, "off")]
    row |= {"vm_state": "resized", "flavor": {**row["flavor"], "name": "large"}}
    ended, rows = evacuate(pumphouse)
    assert ended.returncode == 0, ended
    assert hosts(cloud)["off"][1] == "VERIFY_RESIZE"
    assert rows["off"]["Reason"] == "it was SHUTOFF and is VERIFY_RESIZE now"


def test_what_will_pass_is_waited_for(pumphouse, cloud):
    before = hosts(cloud)
    cloud.timings["power"] = 2
    act(cloud, "web-1", "reboot", {"type": "SOFT"})
    assert hosts(cloud)["web-1"] == (HOST, "REBOOT")
    ended, rows = evacuate(pumphouse)
    assert ended.returncode == 0, ended
    assert all_have_moved(cloud, before)
    assert rows["web-1"]["Way"] == "live"


def test_a_server_that_comes_back_moves_again(process, cloud, tmp_path):
    before = hosts(cloud)
    cloud.holds.set(3)
    started = process("evacuate", HOST, "--cloud", "source", "--yes", "--at-once", "1", cwd=tmp_path)
    cloud.holds.wait_held(60)
    assert hosts(cloud)["held"][0] == "compute-2"
    cloud.table("servers").update(identity(cloud, "held"), host=HOST)
    cloud.holds.release()
    out, err = started.communicate(timeout=120)
    assert started.returncode == 0, (out, err)
    assert all_have_moved(cloud, before)


def test_a_migrations_server_at_rest_is_not_to_be_resumed(process, pumphouse, cloud, cloud_pair, tmp_path):
    cloud_pair.destination.holds.set(1, kind="POST /compute/v2.1/servers")
    words = ("migrate", "server", "web-1", "--yes", "--progress", "none")
    started = process(*words, cwd=tmp_path)
    cloud_pair.destination.holds.wait_held(90)
    ended, rows = evacuate(pumphouse)
    cloud_pair.destination.holds.release()
    started.communicate(timeout=120)
    assert ended.returncode == 4
    assert re.fullmatch(
        r"its status is SUSPENDED: migration m-\w{6} has put it to rest: let that end, or roll it back",
        rows["web-1"]["Reason"],
    )


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_killed_in_the_middle_it_goes_on(process, pumphouse, cloud, number, tmp_path):
    before = hosts(cloud)
    cloud.holds.set(number, when="after" if number % 2 else "before")
    first = process("evacuate", HOST, "--cloud", "source", "--yes", "--at-once", "2", cwd=tmp_path)
    cloud.holds.wait_held(60)
    first.kill()
    first.communicate()
    cloud.holds.release()
    ended, _ = evacuate(pumphouse)
    assert ended.returncode == 0, ended
    assert hosts(cloud) == {name: ("compute-2", status) for name, (_, status) in before.items()}
    assert compute_service(cloud)[0] == "disabled"


def test_a_resize_of_the_tenants_own_is_not_confirmed(pumphouse, cloud):
    act(cloud, "web-1", "migrate")  # as if its owner had
    wait_for(lambda: hosts(cloud)["web-1"] == ("compute-2", "VERIFY_RESIZE"))
    ended, _ = evacuate(pumphouse)
    assert ended.returncode == 0, ended
    assert hosts(cloud)["web-1"] == ("compute-2", "VERIFY_RESIZE")


def test_ctrl_c_lets_what_is_under_way_end_and_enables_the_service(process, cloud, tmp_path):
    cloud.holds.set(2)
    started = process("evacuate", HOST, "--cloud", "source", "--yes", "--at-once", "1", cwd=tmp_path)
    cloud.holds.wait_held(60)
    os.kill(started.pid, signal.SIGINT)
    time.sleep(0.3)
    cloud.holds.release()
    out, err = started.communicate(timeout=60)
    assert started.returncode == 130, (out, err)
    assert compute_service(cloud) == ("enabled", None)
    left = {name for name, (host, _) in hosts(cloud).items() if host == HOST}
    assert len(left) == 4
    assert "4 of 5 servers stay" in err


def test_two_at_once_are_refused(process, pumphouse, cloud, tmp_path):
    cloud.holds.set(2)
    started = process("evacuate", HOST, "--cloud", "source", "--yes", cwd=tmp_path)
    cloud.holds.wait_held(60)
    ended, _ = evacuate(pumphouse)
    assert ended.returncode == 2
    assert "is being evacuated already" in ended.stderr
    cloud.holds.release()
    started.communicate(timeout=60)
    assert started.returncode == 0


def test_the_servers_of_a_host_move_to_another_cloud(pumphouse, cloud, cloud_pair):
    add_host(cloud, "compute-3")
    act(
        cloud,
        "web-3",
        "os-migrateLive",
        {"host": "compute-2", "block_migration": False, "disk_over_commit": False},
    )
    wait_for(lambda: hosts(cloud)["web-3"][0] == "compute-2")
    ended = pumphouse("migrate", "host", HOST, "--source", "source", "--destination", "destination", "--yes")
    assert ended.returncode == 0, ended
    assert {name: status for name, (_, status) in hosts(cloud_pair.destination).items()} == {
        "off": "SHUTOFF",
        "held": "PAUSED",
        "web-1": "ACTIVE",
        "web-2": "ACTIVE",
    }
    assert hosts(cloud)["web-3"] == ("compute-2", "ACTIVE")
    ended = pumphouse("plan", "host", "compute-3")
    assert ended.returncode == 2
    assert "there is no host with servers 'compute-3'" in ended.stderr
