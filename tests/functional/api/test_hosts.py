"""Emptying a hypervisor inside its cloud, over the API."""

from __future__ import annotations

import os
import signal

import pytest
import requests
from serving import ended

from pumphouse import errors
from pumphouse.client import Client
from pumphouse.devcloud.client import Client as Cloud

pytestmark = pytest.mark.timeout(300)
HOST, OTHER = "compute-1", "compute-2"
PATH = f"/v1/clouds/source/hosts/{HOST}"


def admin(cloud):
    return Cloud(cloud.url, username="admin", password=cloud.admin_password, project="admin")


def placed(cloud):
    """Each server's host and status."""
    with admin(cloud) as client:
        found = client.get("compute", "/servers/detail?all_tenants=1")["servers"]
    return {one["name"]: (one["OS-EXT-SRV-ATTR:host"], one["status"]) for one in found}


def there(cloud, host=HOST):
    return sorted(name for name, (where, _) in placed(cloud).items() if where == host)


def act(cloud, name, action):
    with admin(cloud) as client:
        (found,) = client.get("compute", f"/servers?all_tenants=1&name=^{name}$")["servers"]
        client.post("compute", f"/servers/{found['id']}/action", {action: None})
        path = f"/servers/{found['id']}"
        client.wait("compute", path, lambda body: body["server"]["OS-EXT-STS:task_state"] is None)


@pytest.fixture
def cloud(config_file, cloud_pair):
    """The source, whose first host has several servers."""
    assert len(there(cloud_pair.source)) >= 2
    return cloud_pair.source


def compute_service(client, host=HOST):
    found = client.get("/v1/clouds/source/hosts").json["hosts"]
    return next(one for one in found if one["name"] == host)


def test_a_host_is_emptied_and_stays_disabled(client, cloud):
    before = placed(cloud)
    listed = client.get("/v1/clouds/source/hosts").json["hosts"]
    assert [(one["name"], one["up"], one["enabled"]) for one in listed] == [
        (HOST, True, True),
        (OTHER, True, True),
    ]
    moves = client.get(f"{PATH}/moves").json["moves"]
    assert [one["name"] for one in moves] == there(cloud)
    assert {one["state"] for one in moves} == {"WAITING"}
    assert placed(cloud) == before

    done = ended(client, client.post(f"{PATH}/evacuate", json={"at_once": 1}))
    assert (done["state"], done["kind"], done["cloud"]) == ("DONE", "evacuate", "source")
    found = client.get(f"/v1/evacuations/{done['evacuation_id']}").json
    assert (found["state"], found["host"], found["process"]) == ("DONE", HOST, None)
    assert [one["name"] for one in found["moves"]] == [one["name"] for one in moves]
    assert {(one["state"], one["to"]) for one in found["moves"]} == {("MOVED", OTHER)}
    assert placed(cloud) == {name: (OTHER, status) for name, (_, status) in before.items()}
    service = compute_service(client)
    assert not service["enabled"]
    assert found["id"] in service["reason"]
    assert client.get("/v1/evacuations?cloud=source").json["evacuations"] == [found]
    assert client.get("/v1/evacuations?cloud=destination").json["evacuations"] == []
    stopped = client.post("/v1/evacuations/last/stop")
    assert (stopped.status_code, stopped.json["type"]) == (409, "urn:pumphouse:error:WrongState")


def test_what_cannot_be_moved_is_told_before_anything_is_done(client, cloud):
    name = next(name for name, (host, status) in placed(cloud).items() if (host, status) == (HOST, "ACTIVE"))
    act(cloud, name, "suspend")
    before = placed(cloud)
    failed = ended(client, client.post(f"{PATH}/evacuate", json={}))
    assert failed["error"]["type"] == "urn:pumphouse:error:PlanBlocked"
    assert f"such as {name}: its status is SUSPENDED" in failed["error"]["detail"]
    assert placed(cloud) == before
    assert client.get("/v1/evacuations").json["evacuations"] == []

    done = ended(client, client.post(f"{PATH}/evacuate", json={"partly": True}))
    found = client.get(f"/v1/evacuations/{done['evacuation_id']}").json
    assert (found["state"], there(cloud)) == ("FAILED", [name])
    assert compute_service(client)["enabled"]


def test_it_can_be_stopped(client, cloud):
    count = len(there(cloud))
    cloud.holds.set(2)  # the first move; before it the compute service is disabled
    answer = client.post(f"{PATH}/evacuate", json={"at_once": 1})
    where = answer.headers["Location"]
    cloud.holds.wait_held(60)
    now = client.get(where).json
    assert now["state"] == "RUNNING"
    id = now["evacuation_id"]
    busy = client.post(f"{PATH}/evacuate", json={})
    assert (busy.status_code, busy.json["type"]) == (409, "urn:pumphouse:error:MigrationBusy")
    asked = client.post(f"/v1/evacuations/{id}/stop")
    assert (asked.status_code, asked.json["stopping"]) == (202, True)
    cloud.holds.release()
    ended(client, answer)
    found = client.get(f"/v1/evacuations/{id}").json
    assert (found["state"], len(there(cloud))) == ("STOPPED", count - 1)
    assert compute_service(client)["enabled"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/clouds/source/hosts/compute-9", "UnknownResource"),
        ("/v1/clouds/none/hosts/compute-1", "UnknownCloud"),
    ],
)
def test_what_is_not_there_is_told(client, cloud, path, kind):
    refused = client.get(f"{path}/moves")
    assert (refused.status_code, refused.json["type"]) == (404, f"urn:pumphouse:error:{kind}")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_ends_in_the_middle_goes_on_when_it_is_back(serve, service, cloud, number, wait_for):
    served = serve()
    cloud.holds.set(2, when="after")
    answer = requests.post(f"{served.url}{PATH}/evacuate", json={"at_once": 1}, timeout=60)
    assert answer.status_code == 202
    cloud.holds.wait_held(60)
    os.kill(served.process.pid, number) if number == signal.SIGTERM else os.killpg(served.process.pid, number)
    cloud.holds.release()
    served.process.wait(60)
    left = service.operations.get(answer.json()["id"])
    assert not left.state.ended
    assert not service.evacuation("last").state.ended
    serve()
    wait_for(lambda: service.operations.get(answer.json()["id"]).state.ended)
    assert (str(service.evacuation("last").state), there(cloud)) == ("DONE", [])
    assert len(service.evacuations()) == 1


def test_a_script_empties_a_host(serve, cloud):
    with Client(serve().url) as api:
        assert [one.name for one in api.hosts("source")] == [HOST, OTHER]
        assert [one.name for one in api.moves("source", HOST)] == there(cloud)
        assert api.evacuate("source", HOST, at_once=2).state == "DONE"
        assert [one.state for one in api.evacuations(cloud="source")] == ["DONE"]
        with pytest.raises(errors.WrongState):
            api.stop_evacuation("last")
