"""Waves over the API: planned, approved, begun, paused, gone on with and taken back."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
import requests
from serving import ask, done_over, ended

from pumphouse import errors
from pumphouse.api.auth.policy import RULES
from pumphouse.api.v1.waves import WaveAction
from pumphouse.client import Client
from pumphouse.devcloud.client import Client as Cloud
from pumphouse.store.waves import WaveState

pytestmark = pytest.mark.timeout(300)
FIRST, ASKS = {"name": "pilot", "tenants": ["lab"]}, {"name": "rest", "servers": ["web-1"], "start": "ask"}


def create(client, *groups, **more):
    id = ask(client, "/v1/waves", {"name": "night", "groups": list(groups)} | more)["wave_id"]
    found = client.get(f"/v1/waves/{id}").json
    assert (found["state"], found["name"], found["operation_id"]) == ("PLANNED", "night", None)
    return id


def act(client, id, action, **more):
    return client.post(f"/v1/waves/{id}/actions", json={"action": action} | more)


@pytest.fixture
def at_rest(client, wait_for):
    """The wave once nobody is at work on it."""

    def wait(id):
        return wait_for(lambda: (now := client.get(f"/v1/waves/{id}").json)["operation_id"] is None and now)

    return wait


def servers(cloud):
    with Cloud(cloud.url, username="admin", password=cloud.admin_password, project="admin") as one:
        return sorted(each["name"] for each in one.get("compute", "/servers?all_tenants=1")["servers"])


def states(wave):
    return [one["state"] for one in wave["groups"]]


def test_a_wave_is_planned_begun_allowed_and_taken_back(client, cloud_pair, at_rest):
    before = servers(cloud_pair.destination)
    id = create(client, FIRST, ASKS, servers_at_once=1, stop_at=20, mode="volume")
    wave = client.get("/v1/waves/last").json
    assert (wave["id"], wave["servers_at_once"], wave["stop_at"]) == (id, 1, 20)
    assert [(one["kind"], one["names"]) for one in wave["groups"]] == [
        ("tenant", ["lab"]),
        ("server", ["web-1"]),
    ]
    plans = [client.get(f"/v1/plans/{one['plan_id']}").json for one in wave["groups"]]
    assert {one["disk_mode"] for one in plans} == {"volume"}
    assert servers(cloud_pair.destination) == before

    begun = act(client, id, "resume")
    assert (begun.status_code, begun.headers["Location"]) == (202, f"/v1/waves/{id}")
    assert act(client, id, "resume").json["operation_id"] == begun.json["operation_id"]
    busy = act(client, id, "rollback")
    assert (busy.status_code, busy.json["type"]) == (409, "urn:pumphouse:error:MigrationBusy")
    waits = at_rest(id)
    assert (waits["state"], states(waits)) == ("PAUSED", ["SUCCEEDED", "PLANNED"])
    assert waits["reason"] == "group rest waits for your word"
    assert "web-1" not in servers(cloud_pair.destination)
    names = [one["name"] for one in client.get("/v1/migrations").json["migrations"]]
    assert names == ["night: pilot"]

    act(client, id, "resume")
    done = at_rest(id)
    assert (done["state"], states(done)) == ("SUCCEEDED", ["SUCCEEDED", "SUCCEEDED"])
    assert done["groups"][1]["allowed"]
    assert "web-1" in servers(cloud_pair.destination)
    ended_already = act(client, id, "resume")
    assert (ended_already.status_code, ended_already.json["type"]) == (409, "urn:pumphouse:error:WrongState")
    assert act(client, id, "pause").status_code == 409

    act(client, id, "rollback")
    back = at_rest(id)
    assert (back["state"], states(back)) == ("ROLLED_BACK", ["ROLLED_BACK", "ROLLED_BACK"])
    assert servers(cloud_pair.destination) == before
    listed = client.get("/v1/waves").json["waves"]
    assert [one["id"] for one in listed] == [id]


def test_a_failure_stops_it_and_may_be_tried_again_or_left(client, cloud_pair, at_rest):
    cloud_pair.destination.faults.add("server_error", path="web-1")
    id = create(client, {"name": "a", "servers": ["web-1", "web-2"]}, {"name": "b", "tenants": ["lab"]})
    act(client, id, "resume")
    stopped = at_rest(id)
    assert (stopped["state"], states(stopped)) == ("PAUSED", ["PARTIAL", "PLANNED"])
    assert stopped["reason"].startswith("group a is PARTIAL")
    act(client, id, "resume", skip_failed=True)
    partial = at_rest(id)
    assert (partial["state"], states(partial)) == ("PARTIAL", ["PARTIAL", "SUCCEEDED"])
    act(client, id, "resume")
    assert states(at_rest(id)) == ["SUCCEEDED", "SUCCEEDED"]


def test_too_many_failures_stop_it_in_the_middle_and_no_process_goes_on_by_itself(
    client, service, cloud_pair, at_rest
):
    cloud_pair.destination.faults.add("server_error", path="web-*", times=0)
    group = {"name": "a", "servers": ["web-1", "web-2", "app-1"]}
    id = create(client, group, {"name": "b", "tenants": ["lab"]}, stop_at=30, servers_at_once=1)
    act(client, id, "resume")
    assert states(at_rest(id)) == ["PAUSED", "PLANNED"]
    (operation,) = (one for one in service.operations.list() if str(one.kind) == "run_wave")
    assert (str(operation.state), operation.attempts) == ("DONE", 1)


def test_a_wave_that_waits_for_its_time_can_be_paused(client, at_rest, wait_for):
    start = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    id = create(client, FIRST | {"start": start})
    assert act(client, id, "pause").status_code == 409
    act(client, id, "resume")
    wait_for(lambda: client.get(f"/v1/waves/{id}").json["state"] == "RUNNING")
    assert act(client, id, "pause").json["pausing"]
    paused = at_rest(id)
    assert (paused["state"], states(paused)) == ("PAUSED", ["PLANNED"])
    act(client, id, "resume")
    wait_for(lambda: client.get(f"/v1/waves/{id}").json["state"] == "RUNNING")
    assert not client.get(f"/v1/waves/{id}").json["pausing"]
    act(client, id, "pause")
    at_rest(id)


def test_a_pause_stops_the_migration_that_is_under_way(client, cloud_pair, at_rest, wait_for):
    cloud_pair.destination.timings["build"] = 3.0
    id = create(client, {"name": "a", "servers": ["web-1"]}, {"name": "b", "tenants": ["lab"]})
    act(client, id, "resume")
    wait_for(lambda: states(client.get(f"/v1/waves/{id}").json)[0] == "RUNNING")
    act(client, id, "pause")
    paused = at_rest(id)
    assert (paused["state"], states(paused)) == ("PAUSED", ["PAUSED", "PLANNED"])
    cloud_pair.destination.timings["build"] = 0.02
    act(client, id, "resume")
    assert states(at_rest(id)) == ["SUCCEEDED", "SUCCEEDED"]


def test_what_has_changed_since_is_moved_on_somebodys_word(client, cloud_pair, at_rest):
    id = create(client, FIRST)
    cloud = cloud_pair.source
    with Cloud(cloud.url, username="admin", password=cloud.admin_password, project="admin") as one:
        lab = next(each for each in one.get("identity", "/projects")["projects"] if each["name"] == "lab")
        networks = one.get("network", "/networks")["networks"]
        network = next(each for each in networks if each["project_id"] == lab["id"])
        one.put("network", f"/networks/{network['id']}", {"network": {"description": "new"}})
    act(client, id, "resume")
    assert "has changed since it was planned" in at_rest(id)["reason"]
    act(client, id, "resume", replan=True)
    assert at_rest(id)["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"groups": [{"tenants": ["a"]}]}, 400, "InvalidRequest"),
        ({"name": "x", "groups": [{"name": "a"}]}, 400, "BadWave"),
        ({"name": "x", "groups": [{"tenants": ["a"], "start": "soon"}]}, 400, "BadWave"),
        ({"name": "x", "groups": [{"tenants": ["a"]}], "override": "/etc/passwd"}, 400, "InvalidRequest"),
        ({"name": "x", "groups": [{"tenants": ["a"]}], "overrides": {"colour": 1}}, 400, "BadOverride"),
        ({"name": "x", "groups": [{"tenants": ["a"]}], "source": "none"}, 404, "UnknownCloud"),
        ({"name": "x", "groups": [{"tenants": ["a"]}], "source": "destination"}, 400, "SameCloud"),
    ],
)
def test_what_is_wrong_is_refused_at_once(client, body, status, kind):
    answer = client.post("/v1/waves", json=body)
    assert (answer.status_code, answer.json["type"]) == (status, f"urn:pumphouse:error:{kind}")
    assert client.get("/v1/operations").json["operations"] == []


def test_a_wave_whose_plan_is_blocked_does_not_begin(client):
    group = {"tenants": ["shop", "lab"]}
    id = create(client, group, overrides={"projects": {"lab": "shop"}})
    refused = act(client, id, "resume")
    assert (refused.status_code, refused.json["type"]) == (409, "urn:pumphouse:error:PlanBlocked")
    twice = [{"name": "a", "tenants": ["shop"]}, {"name": "b", "servers": ["web-1"]}]
    failed = ended(client, client.post("/v1/waves", json={"name": "x", "groups": twice}))
    assert failed["error"]["type"] == "urn:pumphouse:error:BadWave"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_ends_in_the_middle_goes_on_when_it_is_back(
    serve, service, cloud_pair, number, wait_for
):
    served = serve()
    body = {"name": "night", "groups": [FIRST, {"name": "rest", "servers": ["web-1"]}]}
    id = done_over(served.url, "/v1/waves", body)["wave_id"]
    cloud_pair.destination.timings["build"] = 3.0
    requests.post(f"{served.url}/v1/waves/{id}/actions", json={"action": "resume"}, timeout=60)
    wait_for(lambda: service.wave(id).groups[0].migration_id)
    if number == signal.SIGKILL:
        os.killpg(served.process.pid, number)
        served.process.wait(30)
    else:
        assert served.stop(number) == 0
        assert service.wave(id).state is WaveState.PAUSED
    assert service.operations.of_wave(id) is not None
    cloud_pair.destination.timings["build"] = 0.02
    serve()
    wait_for(lambda: service.wave(id).state is WaveState.SUCCEEDED)
    assert "web-1" in servers(cloud_pair.destination)
    assert len(service.migrations()) == 2


def test_a_script_carries_out_a_wave(serve, wait_for):
    with Client(serve().url) as api:
        wave = api.create_wave("night", [FIRST], key="once")
        assert api.create_wave("night", [FIRST], key="once").id == wave.id
        assert [one.id for one in api.waves()] == [wave.id]
        api.act_on_wave(wave.id, "resume")
        wait_for(lambda: api.wave(wave.id).state is WaveState.SUCCEEDED)
        with pytest.raises(errors.InvalidRequest, match="replan"):
            api.act_on_wave(wave.id, "rollback", replan=True)


def test_every_action_has_a_rule():
    assert {f"waves:{one}" for one in WaveAction} <= RULES.keys()
