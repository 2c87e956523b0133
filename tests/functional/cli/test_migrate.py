"""Plan, migrate and all that follows, on two embedded clouds."""

import json
import os
import pty
import re

import pytest

from pumphouse.devcloud.client import Client

ODD_NAME = "quote\"'s\nline [bold]\x1b[31m ünï"


@pytest.fixture
def shop(cloud_pair, operator, make_tenant):
    return make_tenant(cloud_pair.source)


def rows(ended):
    return json.loads(ended.stdout)


def migration_of(ended):
    return re.search(r"\bm-\w{6}\b", ended.stdout)[0]


def writes(cloud):
    return len(cloud.counts.writes)


def test_a_tenant_moves_is_proved_moves_no_second_time_and_goes_back(pumphouse, cloud_pair, shop):
    pumphouse("inventory", "destination")  # Neutron makes a project's default group when it is first asked
    before = cloud_pair.destination.state()

    ended = pumphouse("migrate", "tenant", "shop", "--yes")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "server web-0: done in" in ended.stdout
    assert "verified" in ended.stdout
    id = migration_of(ended)

    again = pumphouse("migrate", "tenant", "shop", "--yes")
    assert again.returncode == 0
    assert "Nothing to do" in again.stdout

    report = pumphouse("migration", "report", id, "-f", "json", "--all")
    assert report.returncode == 0
    assert {row["Outcome"] for row in rows(report)} == {"kept", "impossible"}
    assert pumphouse("migration", "verify", id).returncode == 0
    assert rows(pumphouse("migration", "show", id, "-f", "json"))["state"] == "SUCCEEDED"
    assert {row["State"] for row in rows(pumphouse("migration", "units", id, "-f", "json"))} == {"SUCCEEDED"}
    events = rows(pumphouse("migration", "events", id, "-f", "json"))
    assert [event["Number"] for event in events] == sorted(event["Number"] for event in events)
    assert events[-1]["Event"]["state"] == "SUCCEEDED"
    watched = pumphouse("migration", "watch", id, "--progress", "json")
    assert watched.returncode == 0
    assert len(watched.stdout.splitlines()) == len(events)

    back = pumphouse("migration", "rollback", id, "--yes")
    assert back.returncode == 0
    assert "was rolled back" in back.stdout
    assert cloud_pair.destination.state() == before
    assert pumphouse("migration", "watch", id, "--progress", "none").returncode == 1


def test_verify_looks_again_and_the_report_does_not(pumphouse, cloud_pair, shop):
    assert pumphouse("migrate", "tenant", "shop", "--yes").returncode == 0
    destination = cloud_pair.destination
    with Client(
        destination.url, username="admin", password=destination.admin_password, project="admin"
    ) as admin:
        (network,) = admin.get("network", "/networks?name=web")["networks"]
        admin.put("network", f"/networks/{network['id']}", {"network": {"description": "spoilt"}})
    assert pumphouse("migration", "report", "last").returncode == 0
    found = pumphouse("migration", "verify", "last", "-f", "json")
    assert found.returncode == 1
    assert "kept" not in {row["Outcome"] for row in rows(found)}  # unless --all is given
    (row,) = [row for row in rows(found) if row["Outcome"] == "differs"]
    assert (row["Name"], row["Field"], row["Destination"]) == ("web", "description", "spoilt")
    assert pumphouse("migration", "report", "last").returncode == 1  # the new one took its place


def test_a_plan_is_shown_in_each_form_and_writes_nothing(pumphouse, cloud_pair, shop):
    before = writes(cloud_pair.source), writes(cloud_pair.destination)
    table = pumphouse("plan", "tenant", "shop")
    assert (table.returncode, table.stderr) == (0, "")
    assert "from source to destination" in table.stdout
    as_json = rows(pumphouse("plan", "tenant", "shop", "-f", "json"))
    assert {row["Action"] for row in as_json} == {"create", "reuse"}
    assert [row["Name"] for row in as_json if row["Type"] == "server"] == ["web-0"]
    assert pumphouse("plan", "tenant", "shop", "--dot").stdout.startswith("digraph plan {")
    assert pumphouse("plan", "tenant", "shop", "--mermaid").stdout.startswith("flowchart")
    values = pumphouse("plan", "tenant", "shop", "-f", "value", "-c", "Type", "--sort-column", "Type")
    assert values.stdout.splitlines() == sorted(row["Type"] for row in as_json)
    assert (writes(cloud_pair.source), writes(cloud_pair.destination)) == before


def test_a_saved_plan_is_applied_only_while_it_is_fresh(pumphouse, cloud_pair, shop, tmp_path, make_tenant):
    saved = pumphouse("plan", "tenant", "shop", "-o", "plan.json")
    assert "pumphouse migrate --plan plan.json" in saved.stderr
    make_tenant(cloud_pair.destination, "other")  # its flavor is now on both
    before = writes(cloud_pair.destination)

    stale = pumphouse("migrate", "--plan", "plan.json", "--yes")
    assert stale.returncode == 2
    assert "flavor 'small'" in stale.stderr
    assert len(stale.stderr.splitlines()) == 1
    assert writes(cloud_pair.destination) == before

    pumphouse("plan", "tenant", "shop", "-o", "plan.json")
    assert pumphouse("migrate", "--plan", "plan.json", "--yes").returncode == 0


def test_names_of_every_kind_stay_in_their_row(pumphouse, cloud_pair, operator, make_tenant):
    make_tenant(cloud_pair.source, network=ODD_NAME)
    shown = "quote\"'s\\nline [bold]\\x1b[31m ünï"
    for ended in (
        pumphouse("plan", "tenant", "shop"),
        pumphouse("migrate", "tenant", "shop", "--yes"),
        pumphouse("inventory", "destination", "--tenant", "shop", "--type", "network"),
        pumphouse("inventory", "destination", "--type", "network", "-f", "value"),
    ):
        assert ended.returncode == 0, ended
        assert shown in ended.stdout
        assert "\x1b" not in ended.stdout
    listed = rows(pumphouse("inventory", "destination", "--type", "network", "-f", "json"))
    assert [row["Name"] for row in listed] == [ODD_NAME]


def test_a_blocked_plan_is_shown_and_nothing_is_written(pumphouse, cloud_pair, shop, make_tenant):
    make_tenant(cloud_pair.destination, "shop")  # not of our making
    before = writes(cloud_pair.destination)
    for words in (("plan", "tenant", "shop"), ("migrate", "tenant", "shop", "--yes")):
        ended = pumphouse(*words)
        assert ended.returncode == 4, ended
        assert "Blocked:" in ended.stdout
        assert len(ended.stderr.splitlines()) == 1
        assert "blocked" in ended.stderr
    assert writes(cloud_pair.destination) == before


def test_a_part_that_fails_is_told_and_can_be_retried(pumphouse, cloud_pair, operator, make_tenant):
    make_tenant(cloud_pair.source, servers=2)
    cloud_pair.destination.faults.add("server_error", path="web-1")
    ended = pumphouse("migrate", "tenant", "shop", "--yes")
    assert ended.returncode == 3, ended
    assert "server web-1: create failed" in ended.stdout or "server web-1" in ended.stdout
    id = migration_of(ended)
    assert f"pumphouse migration retry {id}" in ended.stdout
    assert pumphouse("migration", "verify", id).returncode == 1
    assert pumphouse("migration", "retry", id).returncode == 0
    assert pumphouse("migration", "verify", id).returncode == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("password: ", "password: not-"), "credentials"),
        (lambda text: re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:9", text), "Connection refused"),
    ],
)
def test_a_cloud_that_cannot_be_used_is_told(pumphouse, cloud_pair, operator, change, told):
    cloud_pair.clouds_yaml.write_text(change(cloud_pair.clouds_yaml.read_text()))
    ended = pumphouse("migrate", "tenant", "shop", "--yes")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert told in ended.stderr
    assert "admin-secret" not in ended.stderr


def test_a_tenant_that_is_not_there_or_there_twice_is_told(pumphouse, cloud_pair, shop):
    missing = pumphouse("migrate", "tenant", "shopp", "--yes")
    assert missing.returncode == 2
    assert "'shopp'" in missing.stderr


def test_json_progress_leaves_standard_output_to_the_events(pumphouse, shop):
    ended = pumphouse("migrate", "tenant", "shop", "--yes", "--progress", "json")
    assert ended.returncode == 0
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert events[-1]["kind"] == "migration_changed"
    assert "Next:" in ended.stderr
    quiet = pumphouse("migrate", "tenant", "shop", "--yes", "--progress", "none")
    assert "Nothing to do" in quiet.stdout


def test_debug_shows_the_requests_and_no_secret(pumphouse, shop):
    ended = pumphouse("--debug", "migrate", "tenant", "shop", "--yes")
    assert ended.returncode == 0
    assert "destination compute POST /servers: 202" in ended.stderr
    for secret in ("admin-secret", "ann-secret", "gAAAA", "$2b$", "pbkdf2"):
        assert secret not in ended.stderr + ended.stdout


@pytest.mark.parametrize("style", ["plain", "bars", "json"])
def test_a_reader_that_leaves_early_does_not_stop_it(pumphouse, process, cloud_pair, shop, style):
    """As ``| head -1`` does, here of both outputs."""
    ended = {}
    for words in (("migrate", "tenant", "shop"), ("migration", "rollback", "last")):
        reader, writer = os.pipe()
        with process(*words, "--yes", "--progress", style, stdout=writer, stderr=writer) as started:
            os.close(writer)
            os.read(reader, 1)
            os.close(reader)
            ended[words[0]] = started.wait(60)
        shown = pumphouse("migration", "show", "last", "-f", "value", "-c", "state").stdout.strip()
        ended[words[0]] = (ended[words[0]], shown)
    assert ended == {"migrate": (0, "SUCCEEDED"), "migration": (0, "ROLLED_BACK")}


def test_a_listing_whose_reader_leaves_early_ends_quietly(process, cloud_pair, shop):
    reader, writer = os.pipe()
    with process("inventory", "source", "-f", "json", stdout=writer) as started:
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        _, err = started.communicate(timeout=60)
    assert (started.returncode, err) in {(0, ""), (141, "")}


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_it_asks_first(process, cloud_pair, shop, answer, status):
    before = writes(cloud_pair.destination)
    ours, theirs = pty.openpty()
    with process("migrate", "tenant", "shop", stdin=theirs) as started:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        out, err = started.communicate(timeout=60)
    os.close(ours)
    assert (started.returncode, err) == (status, "")
    assert "Write this to destination? [y/N]" in out
    assert (writes(cloud_pair.destination) > before) == (status == 0)
