"""The commands that move something: scopes other than a tenant, their options, and what is listed of them."""

import json
import re
import time

import pytest

from .conftest import admin
from .test_reading import check_formats


@pytest.fixture
def shop(cloud_pair, operator, make_tenant):
    return make_tenant(cloud_pair.source, servers=3)


def names(cloud, service, collection, key=None):
    with admin(cloud) as client:
        rows = client.get(service, f"/{collection}")[key or collection.partition("?")[0]]
    return {row["name"] for row in rows}


def servers(cloud):
    with admin(cloud) as client:
        found = client.get("compute", "/servers/detail?all_tenants=1")["servers"]
    return {row["name"]: row["status"] for row in found}


def test_an_identity_an_image_servers_and_hosts_move_one_after_the_other(pumphouse, cloud_pair, shop):
    source, destination = cloud_pair.source, cloud_pair.destination

    assert pumphouse("migrate", "identity", "shop", "--yes").returncode == 0
    assert "ann-shop" in names(destination, "identity", "users")
    assert "web" not in names(destination, "network", "networks")

    assert pumphouse("migrate", "image", "linux", "--yes").returncode == 0
    assert names(destination, "image", "images") == {"linux"}
    assert servers(destination) == {}

    assert pumphouse("migrate", "server", "web-0", "--yes").returncode == 0
    assert servers(destination) == {"web-0": "ACTIVE"}
    assert servers(source) == {"web-0": "SHUTOFF", "web-1": "ACTIVE", "web-2": "ACTIVE"}

    taken, thief = take_address(cloud_pair, "web-1")
    before = len(destination.counts.writes)
    ended = pumphouse("migrate", "server", "web-1", "--yes")
    assert ended.returncode == 4, ended
    assert len(ended.stderr.splitlines()) == 1
    assert taken in ended.stderr
    assert len(destination.counts.writes) == before
    with admin(destination) as client:
        client.delete("network", f"/ports/{thief}")

    with admin(source) as client:
        rows = client.get("compute", "/servers/detail?all_tenants=1")["servers"]
    hosts = {row["OS-EXT-SRV-ATTR:host"] for row in rows}
    assert pumphouse("migrate", "host", *hosts, "--yes").returncode == 0
    assert servers(destination) == dict.fromkeys(("web-0", "web-1", "web-2"), "ACTIVE")


def take_address(pair, name):
    """A port of somebody else's has the address that a server has on the source; address and port."""
    with admin(pair.source) as client:
        (found,) = client.get("compute", f"/servers/detail?all_tenants=1&name={name}")["servers"]
    address = found["addresses"]["web"][0]["addr"]
    with admin(pair.destination) as client:
        (network,) = client.get("network", "/networks?name=web")["networks"]
        port = {"network_id": network["id"], "fixed_ips": [{"ip_address": address}]}
        return address, client.post("network", "/ports", {"port": port})["port"]["id"]


def test_a_plan_that_was_just_made_is_applied_and_only_once(pumphouse, cloud_pair, shop):
    assert pumphouse("plan", "server", "web-1", "-o", "plan.json").returncode == 0
    ended = pumphouse("migrate", "--plan", "plan.json", "--yes")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert servers(cloud_pair.destination) == {"web-1": "ACTIVE"}
    before = len(cloud_pair.destination.counts.writes)
    again = pumphouse("migrate", "--plan", "plan.json", "--yes")
    assert again.returncode == 2
    assert "create has become reuse" in again.stderr
    assert len(cloud_pair.destination.counts.writes) == before


def test_a_plan_is_carried_out_as_the_clouds_are_and_not_as_its_file_says(
    pumphouse, cloud_pair, shop, tmp_path
):
    """What concerns the decision makes it stale; of the rest, the fresh plan counts."""
    pumphouse("plan", "server", "web-1", "-o", "plan.json")
    path = tmp_path / "plan.json"
    data = json.loads(path.read_text())
    for one in data["resources"]:
        one["needs"] = []  # an order in which nothing could be made
        one["seconds"] = 1e9
    path.write_text(json.dumps(data))
    assert pumphouse("migrate", "--plan", "plan.json", "--yes").returncode == 0
    assert servers(cloud_pair.destination) == {"web-1": "ACTIVE"}


def test_an_override_file_is_carried_out(pumphouse, cloud_pair, shop, tmp_path):
    (tmp_path / "over.yaml").write_text(
        "projects: {shop: store}\nrules: [{type: network, when: {name: web}, set: {mtu: 1300}}]"
    )
    words = ("tenant", "shop", "--override", "over.yaml")
    assert pumphouse("migrate", *words, "--yes").returncode == 0
    assert "shop" not in names(cloud_pair.destination, "identity", "projects")
    assert "store" in names(cloud_pair.destination, "identity", "projects")
    with admin(cloud_pair.destination) as client:
        (network,) = client.get("network", "/networks?name=web")["networks"]
    assert network["mtu"] == 1300
    assert "Nothing to do" in pumphouse("migrate", *words, "--yes").stdout


@pytest.mark.parametrize(("jobs", "more"), [("1", False), ("8", True)])
def test_as_many_steps_at_once_as_there_are_jobs(process, cloud_pair, shop, jobs, more):
    """While a write is held back, others are made only if there is another job for them."""
    holds, counts = cloud_pair.destination.holds, cloud_pair.destination.counts
    holds.set(1, kind="POST /network/v2.0/networks")  # it needs the project alone, as does the image
    with process("migrate", "tenant", "shop", "--yes", "--jobs", jobs) as started:
        holds.wait_held(60)
        # A second is enough to be wrongly busy; how soon the others come depends on the machine.
        others = wait_for_writes(counts, at_least=len(counts.writes) + 1, seconds=30 if more else 1)
        holds.release()
        started.communicate(timeout=60)
    assert started.returncode == 0
    assert others is more


def wait_for_writes(counts, at_least, seconds):
    """Whether so many writes were answered in time."""
    end = time.monotonic() + seconds
    while len(counts.writes) < at_least and time.monotonic() < end:
        time.sleep(0.02)
    return len(counts.writes) >= at_least


def test_migrations_are_named_listed_and_filtered(pumphouse, cloud_pair, shop):
    for name in ("linux", "web-0"):
        kind = "image" if name == "linux" else "server"
        ended = pumphouse("migrate", kind, name, "--yes", "--name", f"move {name}")
        assert ended.returncode == 0
    pumphouse("migration", "rollback", "last", "--yes")

    def listed(*words):
        rows = json.loads(pumphouse("migration", "list", *words, "-f", "json").stdout)
        return [(row["Name"], row["State"]) for row in rows]

    both = [("move web-0", "ROLLED_BACK"), ("move linux", "SUCCEEDED")]
    assert listed() == both
    assert listed("--limit", "1") == both[:1]
    assert listed("--state", "succeeded") == both[1:]
    assert listed("--state", "failed") == []
    (row, _) = json.loads(pumphouse("migration", "list", "-f", "json").stdout)
    assert (row["Source"], row["Destination"]) == ("source", "destination")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["Created"])
    shown = pumphouse("migration", "show", row["ID"][:5], "-f", "value", "-c", "id").stdout.strip()
    assert shown == row["ID"]


def test_every_listing_of_a_migration_has_each_format(pumphouse, cloud_pair, shop, tmp_path):
    assert pumphouse("migrate", "server", "web-0", "--yes").returncode == 0
    for words in (
        ("migration", "list"),
        ("migration", "units", "last"),
        ("migration", "events", "last"),
        ("migration", "report", "last", "--all"),
        ("migration", "verify", "last", "--all"),
    ):
        check_formats(pumphouse, words)
    shown = {
        form: pumphouse("migration", "show", "last", "-f", form).stdout
        for form in ("json", "yaml", "value", "table")
    }
    record = json.loads(shown["json"])
    assert record["state"] == "SUCCEEDED"
    for form in ("yaml", "value", "table"):
        assert record["id"] in shown[form]
        assert "SUCCEEDED" in shown[form]
    events = json.loads(pumphouse("migration", "events", "last", "-f", "json").stdout)
    some = pumphouse(
        "migration", "events", "last", "-f", "json", "--after", str(events[1]["Number"]), "--limit", "3"
    )
    assert json.loads(some.stdout) == events[2:5]
    saved = pumphouse("migration", "report", "last", "-o", "report.json")
    assert "Saved to report.json" in saved.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["migration"] == record["id"]
    assert {one["name"] for one in report["resources"]} >= {"web-0", "web"}


def test_a_tenant_moves_in_two_parts(pumphouse, cloud_pair, shop):
    source, destination = cloud_pair.source, cloud_pair.destination
    ended = pumphouse("migrate", "tenant", "shop", "--yes", "--prepare")
    assert ended.returncode == 0, ended
    assert "is prepared: nothing was brought to rest" in ended.stdout
    id = re.search(r"migration cutover (m-\w+)", ended.stdout)[1]
    assert servers(source) == dict.fromkeys(("web-0", "web-1", "web-2"), "ACTIVE")
    assert servers(destination) == {}
    assert "web" in names(destination, "network", "networks")

    ended = pumphouse("migration", "cutover", id)
    assert ended.returncode == 0, ended
    assert servers(source) == dict.fromkeys(("web-0", "web-1", "web-2"), "SHUTOFF")
    assert servers(destination) == dict.fromkeys(("web-0", "web-1", "web-2"), "ACTIVE")
    assert re.findall(r"^    (web-\d): [\d.]+ (?:m?s|min)", ended.stdout, re.MULTILINE)

    ended = pumphouse("migration", "cutover", id)
    assert ended.returncode == 2
    assert "not prepared" in ended.stderr


def test_the_mode_and_the_way_of_disks_are_shown_and_kept_to(pumphouse, cloud_pair, shop):
    columns = ("-c", "Name", "-c", "Mode", "-c", "Mover", "-f", "json")
    rows = json.loads(pumphouse("plan", "tenant", "shop", "--mode", "auto", *columns).stdout)
    shown = {row["Name"]: (row["Mode"], row["Mover"]) for row in rows}
    assert shown["web-0"] == ("snapshot", "glance-stream")
    ended = pumphouse("plan", "tenant", "shop", "--mode", "tape")
    assert ended.returncode == 2
    limits = ("--transfers", "1", "--bandwidth", "1G")
    ended = pumphouse("migrate", "server", "web-0", "--yes", "--mode", "snapshot", *limits)
    assert ended.returncode == 0, ended
    assert "Root disks of servers: 1 as snapshot." in ended.stdout
    ended = pumphouse("migrate", "server", "web-1", "--yes", "--bandwidth", "fast")
    assert ended.returncode == 2
    assert "not a number of bytes" in ended.stderr
