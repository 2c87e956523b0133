"""What takes more than a moment is asked for, looked at until it is done, and not lost with a process."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
import requests
import sqlalchemy as sa
from serving import ask, ended, make_plan

from pumphouse import errors
from pumphouse.api.app import create_app
from pumphouse.service import Pumphouse
from pumphouse.service.runner import ATTEMPTS
from pumphouse.store.models import OperationRow
from pumphouse.store.owner import Owner
from pumphouse.store.states import OperationState

pytestmark = pytest.mark.timeout(300)
SCOPE = {"scope": {"kind": "tenant", "names": ["shop"]}}
ELSEWHERE = Owner(host="elsewhere.example", pid=1, started=0.0)


@pytest.fixture
def idle(service):
    """Requests to an application that does nothing of what it is asked for, as if it were always busy."""
    return create_app(service).test_client()


def test_the_answer_comes_at_once_and_the_operation_tells_how_far_it_is(idle, service, wait_for):
    answer = idle.post("/v1/plans", json=SCOPE)
    assert answer.status_code == 202
    assert answer.headers["Retry-After"] == "1"
    where = answer.headers["Location"]
    assert where == f"/v1/operations/{answer.json['id']}"
    waiting = idle.get(where).json
    assert (waiting["kind"], waiting["state"], waiting["read"]) == ("plan", "WAITING", {})
    assert waiting["asked_by"]
    with service.runner():
        done = ended(idle, answer)
    assert done["state"] == "DONE"
    assert set(done["read"]) == {"source", "destination"}
    assert {"project", "server", "network"} <= done["read"]["source"].keys() <= set(service.registry)
    assert done["types"] == len(service.registry)
    assert idle.get(f"/v1/plans/{done['plan_id']}").json["counts"]["create"] > 10


def test_operations_are_listed_newest_first_by_state_and_in_pages(idle, service):
    ids = [idle.post("/v1/plans", json=SCOPE).json["id"] for _ in range(3)]
    first = idle.get("/v1/operations?limit=2").json
    rest = idle.get(f"/v1/operations?limit=2&marker={first['next_marker']}").json
    assert [one["id"] for one in first["operations"] + rest["operations"]] == ids[::-1]
    assert idle.get("/v1/operations?state=DONE").json["operations"] == []
    assert idle.get("/v1/operations/last").json["id"] == ids[-1]
    unknown = idle.get("/v1/operations/o-none")
    assert (unknown.status_code, unknown.json["type"]) == (404, "urn:pumphouse:error:UnknownMigration")


@pytest.mark.parametrize(("path", "body"), [("/v1/plans", SCOPE), ("/v1/clouds/source/refresh", None)])
def test_the_same_request_sent_again_asks_for_nothing_new(idle, path, body):
    key = {"Idempotency-Key": "7b1f"}
    first, again = (idle.post(path, json=body, headers=key) for _ in range(2))
    assert first.json["id"] == again.json["id"]
    other = idle.post("/v1/migrations", json={"plan": SCOPE}, headers=key)
    assert (other.status_code, other.json["type"]) == (422, "urn:pumphouse:error:KeyReused")
    assert len(idle.get("/v1/operations").json["operations"]) == 1


def test_who_asks_for_a_reading_while_there_is_one_gets_the_same(client, idle):
    one, two = (idle.post("/v1/clouds/source/refresh").json["id"] for _ in range(2))
    assert one == two
    assert idle.post("/v1/clouds/destination/refresh").json["id"] != one
    assert ask(client, "/v1/clouds/source/refresh")["state"] == "DONE"


def test_what_a_process_began_that_died_the_next_one_begins_anew(idle, service):
    """Its host is another one, so its heartbeat tells that it has died."""
    answer = idle.post("/v1/plans", json=SCOPE)
    store = service.store.operations
    assert store.take(answer.json["id"], ELSEWHERE) is not None
    store.tell(answer.json["id"], ELSEWHERE, {"source": {"server": 1}})
    assert idle.get(answer.headers["Location"]).json["read"] == {"source": {"server": 1}}
    assert store.take(answer.json["id"], Owner.this_process()) is None, "it lives"
    age(service, heartbeat_at=timedelta(minutes=1))
    with service.runner():
        done = ended(idle, answer)
    assert done["state"] == "DONE"
    with pytest.raises(errors.Fenced):
        store.end(answer.json["id"], ELSEWHERE, progress={})


def test_what_kills_every_process_is_given_up(idle, service):
    answer = idle.post("/v1/plans", json=SCOPE)
    for _ in range(ATTEMPTS):
        assert service.store.operations.take(answer.json["id"], ELSEWHERE) is not None
        age(service, heartbeat_at=timedelta(minutes=1))
    with service.runner():
        failed = ended(idle, answer)
    assert failed["state"] == "FAILED"
    assert "processes have died" in failed["error"]["detail"]
    assert failed["error"]["next_step"]


def test_a_process_that_ends_gives_back_what_it_has_begun(idle, service, cloud_pair, wait_for):
    cloud_pair.source.faults.add("delay", method="GET", path="*/servers/detail*", seconds=2.0, times=0)
    answer = idle.post("/v1/plans", json=SCOPE)
    with service.runner():
        wait_for(lambda: idle.get(answer.headers["Location"]).json["read"].get("source"))
    left = service.operations.get(answer.json["id"])
    assert (left.state, left.owner, left.attempts) == (OperationState.WAITING, None, 0)
    cloud_pair.source.faults.clear()
    with service.runner():
        assert ended(idle, answer)["state"] == "DONE"


def test_a_migration_is_begun_once_also_if_a_process_dies_right_after(idle, service, monkeypatch, wait_for):
    """The migration is there, and the operation's end was never written."""
    answer = idle.post("/v1/migrations", json={"plan": SCOPE})
    id = answer.json["id"]
    with service.runner(), monkeypatch.context() as patch:
        patch.setattr(type(service.store.operations), "end", lambda *_, **__: None)
        wait_for(service.migrations)
    with service.store.engine.begin() as connection:
        connection.execute(
            sa.update(OperationRow).values(owner_host=ELSEWHERE.host, owner_pid=1, owner_started=0.0)
        )
    age(service, heartbeat_at=timedelta(minutes=1))
    with service.runner():
        done = ended(idle, answer)
    (record,) = service.migrations()
    assert (done["migration_id"], done["plan_id"]) == (record.id, record.plan_id)
    assert len(service.plans()) == 1, f"{id} has not planned again"


def test_a_blocked_plan_begins_no_migration_and_can_be_looked_at(client):
    """Two tenants would become one."""
    body = {
        "scope": {"kind": "tenant", "names": ["shop", "lab"]},
        "overrides": {"projects": {"lab": "shop"}},
    }
    plan = make_plan(client, body)
    assert plan["blocked"]
    refused = client.post("/v1/migrations", json={"plan_id": plan["id"]})
    assert (refused.status_code, refused.json["type"]) == (409, "urn:pumphouse:error:PlanBlocked")
    failed = ended(client, client.post("/v1/migrations", json={"plan": body}))
    assert failed["error"]["type"] == "urn:pumphouse:error:PlanBlocked"
    assert client.get(f"/v1/plans/{failed['plan_id']}").json["blocked"]
    assert client.get("/v1/migrations").json["migrations"] == []


def test_a_cloud_that_fails_is_told_with_its_request(client, cloud_pair):
    cloud_pair.source.faults.add("status", method="GET", path="*/servers/detail*", code=403, times=0)
    failed = ended(client, client.post("/v1/clouds/source/refresh"))
    assert failed["state"] == "FAILED"
    assert failed["error"]["type"] == "urn:pumphouse:error:Forbidden"
    assert failed["error"]["cloud"] == "source"
    assert failed["error"]["request_id"].startswith("req-")
    (event,) = (one for one in client.get("/v1/events").json["events"] if one["kind"] == "operation_ended")
    assert (event["payload"]["cloud"], event["payload"]["error"]["error"]) == ("source", "Forbidden")


def test_what_nobody_expected_tells_no_secrets(idle, service, monkeypatch):
    def fail(*_args, **_options):
        raise ZeroDivisionError("the password is 1234")

    monkeypatch.setattr(Pumphouse, "plan", fail)
    answer = idle.post("/v1/plans", json=SCOPE)
    with service.runner():
        failed = ended(idle, answer)
    assert failed["error"]["detail"] == "unexpected ZeroDivisionError"


def test_what_ended_long_ago_is_forgotten_but_for_what_began_a_migration(client, service):
    plan = ask(client, "/v1/plans", SCOPE)["id"]
    migration = ask(client, "/v1/migrations", {"plan": SCOPE})["id"]
    age(service, ended_at=timedelta(days=31))
    service.operations.refresh("source")
    known = {one.id for one in service.operations.list()}
    assert migration in known
    assert plan not in known


def test_a_server_that_is_killed_while_it_plans_plans_again(serve, service, cloud_pair, wait_for):
    cloud_pair.source.faults.add("delay", method="GET", path="*/servers/detail*", seconds=3.0, times=0)
    served = serve()
    answer = requests.post(f"{served.url}/v1/plans", json=SCOPE, timeout=60)
    where = answer.headers["Location"]
    wait_for(lambda: requests.get(f"{served.url}{where}", timeout=60).json()["read"])
    os.killpg(served.process.pid, signal.SIGKILL)
    served.process.wait(30)
    cloud_pair.source.faults.clear()
    again = serve()
    done = wait_for(
        lambda: (now := requests.get(f"{again.url}{where}", timeout=60).json())["state"] == "DONE" and now
    )
    assert service.stored_plan(done["plan_id"]).resources
    assert service.operations.get(done["id"]).attempts == 2


def age(service, **columns):
    """Let a time of all operations be so long ago."""
    with service.store.engine.begin() as connection:
        values = {name: datetime.now(UTC) - ago for name, ago in columns.items()}
        connection.execute(sa.update(OperationRow).values(values))
