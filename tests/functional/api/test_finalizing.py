"""Removing for good what a migration has left, over the API: what was seen goes, and nothing else."""

from __future__ import annotations

import os
import signal

import pytest
import requests
from serving import ask, done_over, ended

from pumphouse import errors
from pumphouse.client import Client
from pumphouse.devcloud.client import Client as Cloud
from pumphouse.model import Scope, ScopeKind
from pumphouse.service.finalizable import Part
from pumphouse.store.states import OperationState

pytestmark = pytest.mark.timeout(300)
SERVERS = ["app-1", "app-2", "db-1", "web-1", "web-2"]
VOLUMES = ["backup", "db-data"]


@pytest.fixture
def moved(service):
    """The id of a migration that has moved the demonstration's tenant."""
    plan = service.plan(
        Scope(kind=ScopeKind.TENANT, names=("shop",)), source="source", destination="destination"
    )
    record = service.start(plan, check_fresh=False)
    assert str(service.run(record.id).state) == "SUCCEEDED"
    return record.id


def admin(cloud):
    return Cloud(cloud.url, username="admin", password=cloud.admin_password, project="admin")


def held(cloud, service, path, kind):
    with admin(cloud) as one:
        found = {each["name"] for each in one.get(service, f"{path}?all_tenants=1")[kind]}
    return sorted(found - {"probe", "notes", "rescue-disk"})  # another tenant's


def servers(cloud):
    return held(cloud, "compute", "/servers", "servers")


def volumes(cloud):
    return held(cloud, "volume", "/volumes", "volumes")


def look(client, id, **body):
    asked = ask(client, f"/v1/migrations/{id}/finalizable", body)
    found = client.get(f"/v1/migrations/{id}/finalizable").json
    assert (found["id"], found["migration_id"], asked["migration_id"]) == (asked["id"], id, id)
    return found


def finalize(client, id, listing):
    return client.post(f"/v1/migrations/{id}/finalize", json={"listing": listing["id"]})


def names(listing, part):
    return sorted(one["name"] for one in listing["things"] if one["part"] == part and one["goes"])


def test_what_was_seen_goes_and_there_is_no_way_back(client, cloud_pair, moved):
    before = cloud_pair.source.state(), cloud_pair.destination.state()
    nothing = client.get(f"/v1/migrations/{moved}/finalizable")
    assert (nothing.status_code, nothing.json["type"]) == (409, "urn:pumphouse:error:NotRead")
    listing = look(client, moved)
    assert names(listing, "source-servers") == SERVERS
    assert names(listing, "source-volumes") == VOLUMES
    assert "web-1" in names(listing, "markers")
    (web,) = (one for one in listing["things"] if (one["part"], one["name"]) == ("source-servers", "web-1"))
    assert "what was written to it stays on the source" in web["lost"][0]
    assert (cloud_pair.source.state(), cloud_pair.destination.state()) == before

    there = servers(cloud_pair.destination)
    done = ended(client, finalize(client, moved, listing))
    assert (done["state"], done["kind"], done["left"]) == ("DONE", "finalize", [])
    assert (servers(cloud_pair.source), volumes(cloud_pair.source)) == ([], [])
    assert servers(cloud_pair.destination) == there
    refused = client.post(f"/v1/migrations/{moved}/actions", json={"action": "rollback"})
    assert (refused.status_code, refused.json["type"]) == (409, "urn:pumphouse:error:WrongState")
    assert "was finalised" in refused.json["detail"]
    events = client.get(f"/v1/migrations/{moved}/events?limit=1000").json["events"]
    rules = [one["payload"]["rule"] for one in events if one["kind"] == "audited"]
    assert rules == ["migrations:finalizable", "migrations:finalize"]
    assert look(client, moved)["things"] == []


def test_what_was_used_since_somebody_looked_stays_and_is_told(client, cloud_pair, moved):
    listing = look(client, moved, parts=["source-servers"])
    assert {one["part"] for one in listing["things"]} == {"source-servers"}
    with admin(cloud_pair.source) as cloud:
        (web,) = cloud.get("compute", "/servers?all_tenants=1&name=^web-1$")["servers"]
        cloud.post("compute", f"/servers/{web['id']}/action", {"os-start": None})
        cloud.wait("compute", f"/servers/{web['id']}", lambda found: found["server"]["status"] == "ACTIVE")
    done = ended(client, finalize(client, moved, listing))
    assert done["state"] == "DONE"
    (left,) = done["left"]
    assert left.startswith("server 'web-1'")
    assert "it is ACTIVE on the source" in left
    assert servers(cloud_pair.source) == ["web-1"]
    assert volumes(cloud_pair.source) == VOLUMES
    (event,) = (
        one
        for one in client.get(f"/v1/migrations/{moved}/events?limit=1000").json["events"]
        if one["kind"] == "operation_ended" and one["payload"]["asked"] == "finalize"
    )
    assert event["payload"]["left"] == done["left"]


def test_only_the_last_listing_of_the_same_migration_is_taken(client, service, cloud_pair, moved):
    before = cloud_pair.source.state()
    first, last = look(client, moved), look(client, moved, parts=["markers"])
    for id in (first["id"], "o-none"):
        refused = finalize(client, moved, {"id": id})
        assert (refused.status_code, refused.json["type"]) == (409, "urn:pumphouse:error:StaleListing")
        assert refused.json["next_step"]
    other = service.start(service.plan_of(moved), check_fresh=False)
    for refused in (
        finalize(client, other.id, last),
        client.post(f"/v1/migrations/{other.id}/finalizable", json={}),
    ):
        assert (refused.status_code, refused.json["type"]) == (409, "urn:pumphouse:error:WrongState")
    assert cloud_pair.source.state() == before


def test_a_script_finalizes(serve, cloud_pair, moved):
    with Client(serve().url) as api:
        listing = api.finalizable(moved, ["source-servers", "source-volumes"])
        assert {one.cloud for one in listing.things} == {"source"}
        assert api.finalize(listing) == []
        assert servers(cloud_pair.source) == []
        with pytest.raises(errors.UnknownMigration):
            api.finalizable("m-none")


@pytest.mark.parametrize("number", [1, 3])
def test_a_server_that_is_killed_in_the_middle_goes_on(serve, cloud_pair, moved, number, wait_for):
    served = serve()
    done_over(served.url, f"/v1/migrations/{moved}/finalizable", {"parts": ["source-servers"]})
    listing = requests.get(f"{served.url}/v1/migrations/{moved}/finalizable", timeout=60).json()
    cloud_pair.source.holds.set(number, when="after")
    answer = requests.post(
        f"{served.url}/v1/migrations/{moved}/finalize", json={"listing": listing["id"]}, timeout=60
    )
    cloud_pair.source.holds.wait_held(60)
    os.killpg(served.process.pid, signal.SIGKILL)
    served.process.wait(30)
    cloud_pair.source.holds.release()
    where = f"{serve().url}{answer.headers['Location']}"
    done = wait_for(lambda: (now := requests.get(where, timeout=60).json())["state"] == "DONE" and now)
    assert done["left"] == []
    assert servers(cloud_pair.source) == []


def test_a_server_that_is_stopped_in_the_middle_leaves_the_rest_to_the_next(
    service, cloud_pair, moved, wait_for
):
    operations, parts = service.operations, {Part.SERVERS}
    with service.runner():
        looked = operations.look_for_finalizable(moved, parts)
        wait_for(lambda: operations.get(looked.id).state.ended)
    cloud_pair.source.holds.set(2)
    with service.runner() as runner:
        asked = operations.finalize(moved, looked.id)
        cloud_pair.source.holds.wait_held(60)
        runner.stop()
        cloud_pair.source.holds.release()
    assert (left := operations.get(asked.id)).state is OperationState.WAITING
    assert (left.attempts, left.left) == (0, ())
    with service.runner():
        wait_for(lambda: operations.get(asked.id).state.ended)
    assert (done := operations.get(asked.id)).state is OperationState.DONE
    assert done.left == ()
    assert servers(cloud_pair.source) == []


def test_who_may_finalize(people, serve, moved):
    url = serve().url

    def status(role, path, body):
        headers = {"X-Auth-Token": people[role]}
        return requests.post(f"{url}/v1/migrations/{moved}/{path}", json=body, headers=headers, timeout=60)

    assert status("reader", "finalizable", {}).status_code == 403
    assert status("operator", "finalizable", {}).status_code == 202
    assert status("operator", "finalize", {"listing": "o-none"}).status_code == 403
    assert status("admin", "finalize", {"listing": "o-none"}).status_code == 409
