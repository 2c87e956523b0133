"""Removing for good what a migration has left."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path

import pytest

from pumphouse.devcloud.fill import fill

from .conftest import admin

pytestmark = pytest.mark.timeout(300)

DESCRIPTIONS = Path(__file__).parents[3] / "etc" / "pumphouse" / "devcloud"
SERVERS = ["app-1", "app-2", "db-1", "web-1", "web-2"]
VOLUMES = ["backup", "db-data"]
ALL = ("--source-servers", "--source-volumes", "--markers")


@pytest.fixture
def moved(pumphouse, cloud_pair, operator):
    """The id of a migration that has moved the demonstration's tenant."""
    fill(cloud_pair.source, DESCRIPTIONS / "demo-source.yaml")
    fill(cloud_pair.destination, DESCRIPTIONS / "demo-destination.yaml")
    ended = pumphouse("migrate", "tenant", "shop", "--yes")
    assert ended.returncode == 0, ended
    return re.search(r"\bm-\w{6}\b", ended.stdout)[0]


def finalize(pumphouse, id, *options):
    ended = pumphouse("migration", "finalize", id, *options, "-f", "json")
    return ended, [tuple(row.values()) for row in json.loads(ended.stdout or "[]")]


def names(rows, what, goes):
    return sorted(row[1] for row in rows if row[0] == what and row[3] == goes)


def held(cloud, service, path, kind):
    with admin(cloud) as client:
        found = {one["name"] for one in client.get(service, f"{path}?all_tenants=1")[kind]}
        return sorted(found - {"probe", "notes", "rescue-disk"})  # another tenant's


def servers(cloud):
    return held(cloud, "compute", "/servers", "servers")


def volumes(cloud):
    return held(cloud, "volume", "/volumes", "volumes")


def until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def server(cloud, name):
    with admin(cloud) as client:
        (found,) = client.get("compute", f"/servers?all_tenants=1&name=^{name}$")["servers"]
        return found["id"]


def act(cloud, name, action, status):
    with admin(cloud) as client:
        path = f"/servers/{server(cloud, name)}"
        client.post("compute", f"{path}/action", {action: None})
        client.wait("compute", path, lambda found: found["server"]["status"] == status)


def volume(cloud, name):
    with admin(cloud) as client:
        found = client.get("volume", f"/volumes?all_tenants=1&name={name}")["volumes"]
        return found[0]["id"]


def agrees_after(monkeypatch, meanwhile):
    """Has whoever is asked at the terminal say yes, once all this has happened elsewhere."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

        def readline(self, *_):
            meanwhile()
            return "y\n"

    monkeypatch.setattr(io, "StringIO", Terminal)


def test_without_options_it_lists_and_changes_nothing(pumphouse, cloud_pair, moved):
    before = cloud_pair.source.state(), cloud_pair.destination.state()
    ended, rows = finalize(pumphouse, moved)
    assert ended.returncode == 0
    assert names(rows, "source server", "yes") == SERVERS
    assert names(rows, "source volume", "yes") == VOLUMES
    assert {row[3] for row in rows} == {"yes"}
    assert "web-1" in names(rows, "marker", "yes")
    (reason,) = {row[4] for row in rows if row[:2] == ("source server", "web-1")}
    assert "what was written to it stays on the source" in reason
    assert f"pumphouse migration finalize {moved} --source-servers" in ended.stderr
    assert (cloud_pair.source.state(), cloud_pair.destination.state()) == before
    assert pumphouse("migration", "rollback", moved, "--yes").returncode == 0  # so it may still be taken back


def test_all_of_it_goes_and_there_is_no_way_back(pumphouse, cloud_pair, moved):
    there = servers(cloud_pair.destination), volumes(cloud_pair.destination)
    ended, rows = finalize(pumphouse, moved, *ALL, "--yes")
    assert (ended.returncode, {row[3] for row in rows}) == (0, {"yes"}), ended
    assert f"Removed: {len(rows)}. Not removed: 0." in ended.stderr
    assert servers(cloud_pair.source) == []
    assert volumes(cloud_pair.source) == []
    assert (servers(cloud_pair.destination), volumes(cloud_pair.destination)) == there
    assert not re.search(r"pumphouse.source", json.dumps(cloud_pair.destination.state()))

    assert pumphouse("migration", "verify", moved).returncode == 0
    back = pumphouse("migration", "rollback", moved, "--yes")
    assert back.returncode == 2
    assert "was finalised" in back.stderr
    assert "cannot be rolled back" in back.stderr
    assert "rollback" not in pumphouse("migration", "watch", moved).stdout
    assert (servers(cloud_pair.destination), volumes(cloud_pair.destination)) == there
    again = pumphouse("migrate", "tenant", "shop", "--yes")
    assert "Nothing to do" in again.stdout, again
    assert "There is nothing to remove." in finalize(pumphouse, moved)[0].stderr
    events = pumphouse("migration", "events", moved)
    assert "finalised: it was removed from source" in events.stdout


def test_what_was_used_or_changed_since_stays(pumphouse, cloud_pair, moved):
    source, destination = cloud_pair.source, cloud_pair.destination
    with admin(source) as client:
        path = f"/servers/{server(source, 'app-1')}"
        client.post("compute", f"{path}/metadata", {"metadata": {"tier": "other"}})
        backup = next(
            one["id"]
            for one in client.get("volume", "/volumes?all_tenants=1")["volumes"]
            if one["name"] == "backup"
        )
        client.post("volume", "/snapshots", {"snapshot": {"volume_id": backup, "name": "later"}})
    with admin(destination) as client:
        path = f"/servers/{server(destination, 'app-2')}"
        client.post("compute", f"{path}/metadata", {"metadata": {"tier": "spoilt"}})
    time.sleep(1)  # compute tells times in seconds
    act(source, "db-1", "os-start", "ACTIVE")
    act(source, "web-2", "os-start", "ACTIVE")
    act(source, "web-2", "os-stop", "SHUTOFF")

    ended, rows = finalize(pumphouse, moved, "--source-servers", "--source-volumes", "--yes")
    assert ended.returncode == 3
    assert servers(source) == ["app-1", "app-2", "db-1", "web-2"]
    assert volumes(source) == VOLUMES
    reasons = {row[1]: row[4] for row in rows if row[3] == "no"}
    assert reasons["app-1"].startswith("it has changed since: metadata")
    assert reasons["app-2"].endswith("it differs")
    assert reasons["db-1"] == "it is ACTIVE on the source"
    assert reasons["web-2"].startswith("it was used since it was moved, at 20")
    assert reasons["backup"].startswith("it has snapshots: ")
    assert reasons["db-data"].startswith("it is attached to a server that is to stay: ")


def test_what_is_broken_on_the_destination_keeps_its_source(pumphouse, cloud_pair, moved):
    destination = cloud_pair.destination
    with admin(destination) as client:
        path = f"/servers/{server(destination, 'web-1')}/action"
        client.post("compute", path, {"os-resetState": {"state": "error"}})
        for name, status in (("backup", "error"), ("db-data", "deleting")):
            path = f"/volumes/{volume(destination, name)}/action"
            client.post("volume", path, {"os-reset_status": {"status": status}})

    checked = pumphouse("migration", "verify", moved, "-f", "json")
    assert checked.returncode == 1
    told = {row["Name"]: row["Reason"] for row in json.loads(checked.stdout) if row["Outcome"] == "differs"}
    expected = {"web-1": "ERROR", "backup": "error", "db-data": "deleting"}
    assert told == {name: f"its status is {status}" for name, status in expected.items()}
    _, rows = finalize(pumphouse, moved, "--source-servers", "--source-volumes", "--yes")
    reasons = {row[1]: row[4] for row in rows if row[3] == "no"}
    assert reasons.keys() == expected.keys()
    for name, status in expected.items():
        assert reasons[name].endswith(f"not as it should be: its status is {status}")
    assert servers(cloud_pair.source) == ["web-1"]
    assert volumes(cloud_pair.source) == VOLUMES


def test_volumes_that_would_go_with_a_server_keep_it(pumphouse, cloud_pair, moved):
    ended, rows = finalize(pumphouse, moved, "--source-volumes", "--yes")
    assert ended.returncode == 3
    assert names(rows, "source volume", "yes") == ["backup"]
    assert volumes(cloud_pair.source) == ["db-data"]
    assert servers(cloud_pair.source) == SERVERS


def test_nobody_is_asked_twice_and_a_no_changes_nothing(pumphouse, cloud_pair, moved, monkeypatch):
    before = cloud_pair.source.state()
    ended = pumphouse("migration", "finalize", moved, "--source-servers")
    assert ended.returncode == 2
    assert "--yes" in ended.stderr
    monkeypatch.setattr(io, "StringIO", type("Terminal", (io.StringIO,), {"isatty": lambda _self: True}))
    ended = pumphouse("migration", "finalize", moved, "--source-servers", stdin="n\n")
    assert ended.returncode == 1
    assert "for good? It cannot be undone" in ended.stderr
    assert "Nothing was removed." in ended.stderr
    assert cloud_pair.source.state() == before


def test_a_roll_back_while_the_question_waits_keeps_the_source(
    pumphouse, process, cloud_pair, moved, monkeypatch, tmp_path
):
    def roll_back():
        other = process("migration", "rollback", moved, "--yes", cwd=tmp_path)
        other.communicate(timeout=120)
        assert other.returncode == 0

    agrees_after(monkeypatch, roll_back)
    ended = pumphouse("migration", "finalize", moved, *ALL)
    assert ended.returncode == 2, ended
    assert "is ROLLED_BACK: only what succeeded can be finalised" in ended.stderr
    assert servers(cloud_pair.source) == SERVERS
    assert volumes(cloud_pair.source) == VOLUMES
    assert servers(cloud_pair.destination) == []
    assert pumphouse("migration", "retry", moved).returncode == 0
    assert pumphouse("migration", "rollback", moved, "--yes").returncode == 0  # it was not finalised


def test_what_is_used_or_lost_while_the_question_waits_stays(pumphouse, cloud_pair, moved, monkeypatch):
    source, destination = cloud_pair.source, cloud_pair.destination

    def meanwhile():
        act(source, "db-1", "os-start", "ACTIVE")
        with admin(source) as client:
            body = {"snapshot": {"volume_id": volume(source, "backup"), "name": "later"}}
            client.post("volume", "/snapshots", body)
            client.delete("compute", f"/servers/{server(source, 'app-2')}")
        with admin(destination) as client:
            client.delete("compute", f"/servers/{server(destination, 'app-1')}")
        until(lambda: "app-1" not in servers(destination) and "app-2" not in servers(source))

    agrees_after(monkeypatch, meanwhile)
    ended = pumphouse("migration", "finalize", moved, "--source-servers", "--source-volumes")
    assert ended.returncode == 3, ended
    assert servers(source) == ["app-1", "db-1"]
    assert volumes(source) == VOLUMES
    told = dict(re.findall(r"not removed: \w+ '(\S+)' \(\S+\) on source: (.+)", ended.stderr))
    assert told["db-1"] == "it is ACTIVE on the source"
    assert told["app-1"].endswith("is not as it should be: it is not on the destination")
    assert told["app-2"] == "it is not there any longer"
    assert told["backup"].startswith("it has snapshots: ")
    assert told["db-data"].startswith("it is attached to a server that is to stay: ")
    assert "Removed: 2. Not removed: 5." in ended.stderr


def test_when_all_of_it_must_stay_after_all_it_can_still_be_taken_back(
    pumphouse, cloud_pair, operator, make_tenant, monkeypatch
):
    make_tenant(cloud_pair.source)
    assert pumphouse("migrate", "tenant", "shop", "--yes").returncode == 0
    agrees_after(monkeypatch, lambda: act(cloud_pair.source, "web-0", "os-start", "ACTIVE"))
    assert pumphouse("migration", "finalize", "last", "--source-servers").returncode == 3
    assert servers(cloud_pair.source) == ["web-0"]
    assert pumphouse("migration", "rollback", "last", "--yes").returncode == 0


def test_a_server_that_is_used_right_before_its_turn_stays(process, cloud_pair, moved, tmp_path):
    source = cloud_pair.source
    last = max(SERVERS, key=lambda name: server(source, name))
    time.sleep(1)  # compute tells times in seconds
    source.holds.set(1, when="before")
    removing = process("migration", "finalize", moved, "--source-servers", "--yes", cwd=tmp_path)
    source.holds.wait_held(60)  # the removal of the first of them
    act(source, last, "os-start", "ACTIVE")
    source.holds.release()
    _, told = removing.communicate(timeout=60)
    assert removing.returncode == 3
    assert re.search(rf"not removed: server '{last}' .*: it was used since it was looked at, at 20", told)
    assert servers(source) == [last]


def test_only_what_succeeded_is_finalised(pumphouse, cloud_pair, operator, make_tenant):
    make_tenant(cloud_pair.source, servers=2)
    cloud_pair.destination.faults.add("server_error", path="web-1")
    assert pumphouse("migrate", "tenant", "shop", "--yes").returncode == 3
    ended, rows = finalize(pumphouse, "last", "--source-servers", "--yes")
    assert ended.returncode == 0
    assert names(rows, "source server", "yes") == ["web-0"]
    assert names(rows, "source server", "no") == []
    assert servers(cloud_pair.source) == ["web-1"]
    assert pumphouse("migration", "retry", "last").returncode == 0
    assert servers(cloud_pair.destination) == ["web-0", "web-1"]
    assert finalize(pumphouse, "last", "--source-servers", "--yes")[0].returncode == 0
    assert servers(cloud_pair.source) == []


def test_one_that_was_rolled_back_is_refused(pumphouse, cloud_pair, operator, make_tenant):
    make_tenant(cloud_pair.source)
    assert pumphouse("migrate", "tenant", "shop", "--yes").returncode == 0
    assert pumphouse("migration", "rollback", "last", "--yes").returncode == 0
    ended, _ = finalize(pumphouse, "last", *ALL, "--yes")
    assert ended.returncode == 2
    assert "is ROLLED_BACK: only what succeeded can be finalised" in ended.stderr
    assert servers(cloud_pair.source) == ["web-0"]


@pytest.mark.parametrize("number", [1, 4, 6, 7])
def test_killed_in_the_middle_it_is_completed_by_running_it_again(
    pumphouse, process, cloud_pair, moved, number, tmp_path
):
    cloud_pair.source.holds.set(number, when="after" if number % 2 else "before")
    first = process("migration", "finalize", moved, *ALL, "--yes", cwd=tmp_path)
    cloud_pair.source.holds.wait_held(60)
    first.kill()
    first.communicate()
    cloud_pair.source.holds.release()
    assert pumphouse("migration", "rollback", moved, "--yes").returncode == 2
    ended, _ = finalize(pumphouse, moved, *ALL, "--yes")
    assert ended.returncode == 0, ended
    assert servers(cloud_pair.source) == []
    assert volumes(cloud_pair.source) == []
    assert pumphouse("migration", "verify", moved).returncode == 0


def test_what_the_cloud_refuses_to_remove_is_told_and_tried_again(pumphouse, cloud_pair, moved):
    gone = f"*/servers/{server(cloud_pair.source, 'web-1')}"
    fault = cloud_pair.source.faults.add("status", method="DELETE", path=gone, code=409, times=1)
    ended, _ = finalize(pumphouse, moved, "--source-servers", "--source-volumes", "--yes")
    assert ended.returncode == 3
    assert "not removed: server 'web-1' (" in ended.stderr
    assert fault.hits == 1
    assert servers(cloud_pair.source) == ["web-1"]
    assert finalize(pumphouse, moved, "--source-servers", "--yes")[0].returncode == 0
    assert servers(cloud_pair.source) == []


def test_what_was_to_go_before_is_looked_at_as_closely_again(pumphouse, cloud_pair, moved):
    source, destination = cloud_pair.source, cloud_pair.destination
    fault = source.faults.add("status", method="DELETE", path="*/servers/*", code=409, times=0)
    assert finalize(pumphouse, moved, "--source-servers", "--yes")[0].returncode == 3
    source.faults.clear()
    assert fault.hits == len(SERVERS)
    time.sleep(1)  # compute tells times in seconds
    act(source, "web-1", "os-start", "ACTIVE")
    act(source, "web-1", "os-stop", "SHUTOFF")
    with admin(source) as client:
        path = f"/servers/{server(source, 'web-2')}"
        client.post("compute", f"{path}/metadata", {"metadata": {"tier": "other"}})
    with admin(destination) as client:
        client.delete("compute", f"/servers/{server(destination, 'app-1')}")
    until(lambda: "app-1" not in servers(destination))

    ended, rows = finalize(pumphouse, moved, "--source-servers", "--yes")
    assert ended.returncode == 3
    reasons = {row[1]: row[4] for row in rows if row[3] == "no"}
    assert reasons["web-1"].startswith("it was used since it was moved, at 20")
    assert reasons["web-2"].startswith("it has changed since: metadata")
    assert reasons["app-1"].endswith("it is not on the destination")
    assert servers(source) == sorted(reasons)


def test_a_volume_whose_server_went_before_it_goes_unless_it_was_used_since(pumphouse, cloud_pair, moved):
    source = cloud_pair.source
    gone = f"*/volumes/{volume(source, 'db-data')}"

    def refused():
        source.faults.add("status", method="DELETE", path=gone, code=409, times=1)
        ended, rows = finalize(pumphouse, moved, "--source-servers", "--source-volumes", "--yes")
        assert ended.returncode == 3
        return rows

    refused()
    assert (servers(source), volumes(source)) == ([], ["db-data"])
    assert names(refused(), "source volume", "yes") == ["db-data"]
    with admin(source) as client:
        path = f"/volumes/{volume(source, 'db-data')}/action"
        client.post("volume", path, {"os-reserve": {}})
        client.post("volume", path, {"os-unreserve": {}})
    ended, rows = finalize(pumphouse, moved, "--source-volumes", "--yes")
    assert ended.returncode == 3
    assert [row[4][:31] for row in rows] == ["it was used since it was moved,"]
    assert volumes(source) == ["db-data"]


def test_a_server_that_is_called_gone_once_is_not_told_to_be_removed(pumphouse, cloud_pair, moved, operator):
    operator.write_text(operator.read_text().replace("[engine]", "[engine]\ndelete_timeout = 1"))
    gone = f"*/servers/{server(cloud_pair.source, 'web-1')}"
    fault = cloud_pair.source.faults.add("status", method="DELETE", path=gone, code=404, times=1)
    ended, _ = finalize(pumphouse, moved, "--source-servers", "--yes")
    assert fault.hits == 1
    assert servers(cloud_pair.source) == ["web-1"]
    assert ended.returncode == 3, ended
    assert re.search(r"not removed: server 'web-1' .* is still there", ended.stderr)
    assert "Removed: 4. Not removed: 1." in ended.stderr
    assert finalize(pumphouse, moved, "--source-servers", "--yes")[0].returncode == 0
    assert servers(cloud_pair.source) == []


def test_a_volume_that_is_called_gone_once_is_looked_for_again(pumphouse, cloud_pair, moved):
    looked = f"*/volumes/{volume(cloud_pair.source, 'backup')}"
    fault = cloud_pair.source.faults.add("status", method="GET", path=looked, code=404, times=1)
    ended, _ = finalize(pumphouse, moved, "--source-volumes", "--yes")
    assert fault.hits == 1
    assert "Removed: 1. Not removed: 1." in ended.stderr
    assert volumes(cloud_pair.source) == ["db-data"]
