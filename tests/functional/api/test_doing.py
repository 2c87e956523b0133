"""Beginning and steering migrations over the API: the supervisor does the work."""

from __future__ import annotations

import pytest
from serving import ask, ended, make_plan

from pumphouse import errors
from pumphouse.engine.control import Control
from pumphouse.service import Pumphouse
from pumphouse.store.states import MigrationState

pytestmark = pytest.mark.timeout(300)
SCOPE = {"scope": {"kind": "tenant", "names": ["shop"]}}


@pytest.fixture
def supervisor(service):
    with service.supervise(at_once=2) as supervisor:
        yield supervisor


def begin(client, **body):
    return ask(client, "/v1/migrations", {"plan": SCOPE} | body)["migration_id"]


def act(client, id, action):
    return client.post(f"/v1/migrations/{id}/actions", json={"action": action})


def sizes(cloud):
    """How much a cloud holds."""
    return {name: len(rows) for name, rows in cloud.state()["tables"].items()}


def state(client, id):
    return client.get(f"/v1/migrations/{id}").json["state"]


@pytest.fixture
def wait_for_state(client, wait_for):
    def wait(id, *states):
        return wait_for(lambda: (now := client.get(f"/v1/migrations/{id}").json)["state"] in states and now)

    return wait


def test_a_migration_is_carried_out_verified_and_taken_back(
    client, supervisor, cloud_pair, wait_for, wait_for_state
):
    before = sizes(cloud_pair.destination)
    id = begin(client, name="the shop", options={"jobs": 3})
    done = wait_for_state(id, "SUCCEEDED", "PARTIAL", "FAILED")
    assert (done["state"], done["name"], done["wanted"]) == ("SUCCEEDED", "the shop", None)
    report = f"/v1/migrations/{id}/report"
    first = client.get(report).json["made_at"]
    assert act(client, id, "verify").status_code == 202
    wait_for(lambda: client.get(report).json["made_at"] > first)
    wait_for(lambda: client.get(f"/v1/migrations/{id}").json["wanted"] is None)

    assert act(client, id, "rollback").status_code == 202
    wait_for_state(id, "ROLLED_BACK")
    assert sizes(cloud_pair.destination) == before
    assert act(client, id, "retry").status_code == 202
    wait_for_state(id, "SUCCEEDED")


def test_a_migration_of_a_stored_plan(client, supervisor, cloud_pair, wait_for_state):
    plan = make_plan(client, SCOPE)["id"]
    id = begin(client, plan=None, plan_id=plan)
    wait_for_state(id, "SUCCEEDED")
    stale = ended(client, client.post("/v1/migrations", json={"plan_id": plan}))
    assert (stale["state"], stale["plan_id"], stale["migration_id"]) == ("FAILED", plan, None)
    assert stale["error"]["type"] == "urn:pumphouse:error:StalePlan"


@pytest.mark.parametrize("body", [{}, {"plan_id": "p-1", "plan": SCOPE}, {"plan_id": "p-1", "colour": 1}])
def test_a_migration_needs_one_plan(client, body):
    answer = client.post("/v1/migrations", json=body)
    assert (answer.status_code, answer.json["type"]) == (400, "urn:pumphouse:error:InvalidRequest")


def test_the_same_request_sent_again_makes_no_second_migration(client):
    key = {"Idempotency-Key": "7b1f"}
    body = {"plan": SCOPE}
    first = client.post("/v1/migrations", json=body, headers=key)
    again = client.post("/v1/migrations", json=body, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Location"] == first.headers["Location"]
    assert ended(client, first) == ended(client, again)
    last = client.post("/v1/migrations", json=body, headers=key)
    assert last.json["migration_id"] == ended(client, first)["migration_id"]
    other = client.post("/v1/migrations", json=body | {"name": "other"}, headers=key)
    assert (other.status_code, other.json["type"]) == (422, "urn:pumphouse:error:KeyReused")
    assert len(client.get("/v1/migrations").json["migrations"]) == 1


def test_what_waits_can_be_paused_and_resumed_and_cancelled(client):
    """Nobody supervises: everything waits."""
    id = begin(client)
    assert client.get(f"/v1/migrations/{id}").json["wanted"] == "run"
    assert act(client, id, "resume").json["wanted"] == "run"
    assert act(client, id, "pause").json["wanted"] is None
    assert state(client, id) == "PLANNED"
    refused = act(client, id, "retry")
    assert (refused.status_code, refused.json["type"]) == (409, "urn:pumphouse:error:WrongState")
    assert act(client, id, "resume").json["wanted"] == "run"
    assert act(client, id, "cancel").json["state"] == "CANCELLED"
    assert client.get(f"/v1/migrations/{id}").json["wanted"] is None
    assert act(client, id, "retry").json["wanted"] == "retry"
    busy = act(client, id, "rollback")
    assert (busy.status_code, busy.json["type"]) == (409, "urn:pumphouse:error:MigrationBusy")


def test_how_many_steps_run_at_once_can_be_changed_later(client, service):
    id = begin(client, options={"jobs": 2, "transfers": 3, "bandwidth": 1024})
    assert {"jobs": 2, "transfers": 3, "bandwidth": 1024}.items() <= service.migration(id).options.items()
    act(client, id, "pause")
    answer = client.post(f"/v1/migrations/{id}/actions", json={"action": "resume", "jobs": 5})
    assert answer.status_code == 202
    assert service.migration(id).options["jobs"] == 5
    refused = client.post(f"/v1/migrations/{id}/actions", json={"action": "pause", "jobs": 5})
    assert (refused.status_code, refused.json["type"]) == (400, "urn:pumphouse:error:InvalidRequest")


def test_a_pause_holds_until_somebody_resumes(client, service, cloud_pair, wait_for, wait_for_state):
    cloud_pair.destination.timings["build"] = 3.0
    with service.supervise(at_once=1):
        id = begin(client)
        wait_for(lambda: client.get(f"/v1/migrations/{id}/steps?state=RUNNING").json["steps"])
        assert act(client, id, "pause").json["request"] == "pause"
        paused = wait_for_state(id, "PAUSED")
        assert paused["wanted"] is None
    with service.supervise(at_once=1):
        wait_for(lambda: service.store.wishes.open() == ())
        assert state(client, id) == "PAUSED"
        cloud_pair.destination.timings["build"] = 0.02
        act(client, id, "resume")
        wait_for_state(id, "SUCCEEDED")


def test_a_supervisor_that_ends_leaves_the_rest_to_the_next(
    client, service, cloud_pair, wait_for, wait_for_state
):
    cloud_pair.destination.timings["build"] = 3.0
    with service.supervise(at_once=1):
        id = begin(client)
        wait_for(lambda: client.get(f"/v1/migrations/{id}/steps?state=RUNNING").json["steps"])
    left = client.get(f"/v1/migrations/{id}").json
    assert (left["state"], left["wanted"], left["process"]) == ("PAUSED", "run", None)
    cloud_pair.destination.timings["build"] = 0.02
    with service.supervise(at_once=1):
        wait_for_state(id, "SUCCEEDED")


def test_a_cancel_takes_back_what_has_not_ended(client, service, cloud_pair, wait_for, wait_for_state):
    cloud_pair.destination.timings["build"] = 30.0
    with service.supervise(at_once=1):
        id = begin(client)
        wait_for(lambda: client.get(f"/v1/migrations/{id}/steps?state=RUNNING&type=server").json["steps"])
        assert act(client, id, "cancel").json["request"] == "cancel"
        cancelled = wait_for_state(id, "CANCELLED")
        assert cancelled["wanted"] is None
        assert cancelled["units"]["ROLLED_BACK"]


def test_nobody_resumes_what_an_operator_paused_on_the_command_line(
    client, service, supervisor, cloud_pair, wait_for
):
    """Even if it had begun over the API: who takes a migration in hand, has it in hand."""
    control = Control()
    control.pause()
    plan = service.stored_plan(make_plan(client, SCOPE)["id"])
    id = service.start(plan, check_fresh=False).id
    service.run(id, control=control)
    supervisor.look()
    with pytest.raises(AssertionError, match="too long"):
        wait_for(lambda: state(client, id) != "PAUSED", seconds=2)


def test_who_takes_a_migration_in_hand_ends_the_wish(client, service):
    id = begin(client)
    control = Control()
    control.pause()
    service.run(id, control=control)
    record = service.migration(id)
    assert (record.state, record.wanted) == (MigrationState.PAUSED, None)


def test_what_cannot_be_begun_is_told_and_given_up(client, service, cloud_pair, wait_for):
    id = begin(client)
    text = cloud_pair.clouds_yaml.read_text()
    cloud_pair.clouds_yaml.write_text(text.replace("destination:", "elsewhere:"))
    with service.supervise(at_once=1):
        wait_for(lambda: client.get(f"/v1/migrations/{id}").json["wanted"] is None)
        wait_for(lambda: "'destination'" in client.get(f"/v1/migrations/{id}").json["reason"])
    events = client.get(f"/v1/migrations/{id}/events").json["events"]
    (event,) = (one for one in events if one["kind"] == "request_failed")
    assert (event["kind"], event["payload"]["request"]) == ("request_failed", "run")
    assert event["payload"]["error"]["error"] == "UnknownCloud"
    assert state(client, id) == "PLANNED"


def test_what_a_cloud_out_of_reach_holds_up_stays_wanted(client, service, cloud_pair, wait_for, monkeypatch):
    id = begin(client)
    tries = []
    whole = Pumphouse.fulfil

    def fulfil(self, record, *, control):
        tries.append(record.id)
        if len(tries) == 1:
            raise errors.Unavailable("nobody answers")
        whole(self, record, control=control)

    monkeypatch.setattr(Pumphouse, "fulfil", fulfil)
    monkeypatch.setattr("pumphouse.service.supervisor._FIRST_WAIT", 0.2)
    with service.supervise(at_once=1):
        wait_for(lambda: state(client, id) == "SUCCEEDED")
    assert tries == [id, id]
    assert all(
        one["kind"] != "request_failed" for one in client.get(f"/v1/migrations/{id}/events").json["events"]
    )


def test_no_more_run_at_once_than_may(client, service, cloud_pair, wait_for_state):
    cloud_pair.destination.timings["build"] = 2.0
    first = begin(client)
    second = begin(client, plan={"scope": {"kind": "tenant", "names": ["lab"]}})
    with service.supervise(at_once=1):
        wait_for_state(first, "RUNNING")
        seen = set()
        while state(client, first) == "RUNNING":
            seen.add(state(client, second))
        assert seen <= {"PLANNED", "RUNNING"}
        assert service.migration(second).started_at is None or (
            service.migration(second).started_at >= service.migration(first).ended_at
        )
        wait_for_state(second, "SUCCEEDED", "PARTIAL")


def test_a_migration_is_prepared_and_cut_over(client, supervisor, cloud_pair, wait_for_state):
    id = begin(client, options={"prepare": True})
    prepared = wait_for_state(id, "PAUSED", "PARTIAL", "FAILED")
    assert (prepared["state"], prepared["reason"]) == ("PAUSED", "it is prepared, and waits for its cutover")
    assert not cloud_pair.destination.state()["tables"].get("servers")
    assert act(client, id, "cutover").status_code == 202
    assert wait_for_state(id, "SUCCEEDED", "PARTIAL", "FAILED")["state"] == "SUCCEEDED"
    assert act(client, id, "cutover").status_code == 409


def test_a_plan_of_the_api_has_a_disk_mode(client, service):
    plan = ask(client, "/v1/plans", SCOPE | {"disk_mode": "snapshot"})
    shown = client.get(f"/v1/plans/{plan['plan_id']}").json
    assert shown["disk_mode"] == "snapshot"
    servers = [one for one in shown["resources"] if one["resource"]["type"] == "server"]
    assert {(one["mode"], one["mover"]) for one in servers} == {("snapshot", "glance-stream")}
