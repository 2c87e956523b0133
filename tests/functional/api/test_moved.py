"""What was moved when, what has changed since, and the choices of a plan."""

from __future__ import annotations

import pytest
from serving import ask, make_plan

from pumphouse.devcloud.client import Client

pytestmark = pytest.mark.timeout(300)
SCOPE = {"scope": {"kind": "tenant", "names": ["shop"]}}


def moved(client):
    found = client.get("/v1/clouds/source/tenants").json["tenants"]
    return {one["name"]: one["moved"] for one in found}


def test_a_tenant_tells_when_it_was_moved_and_what_of_it_has_changed_since(
    client, service, cloud_pair, wait_for
):
    ask(client, "/v1/clouds/source/refresh")
    assert set(moved(client).values()) == {None}
    with service.supervise(at_once=1):
        id = ask(client, "/v1/migrations", {"plan": SCOPE})["migration_id"]
        wait_for(lambda: client.get(f"/v1/migrations/{id}").json["state"] == "SUCCEEDED")
    shop = moved(client)["shop"]
    assert (shop["migration"], shop["destination"], shop["state"]) == (id, "destination", "SUCCEEDED")
    assert shop["changes"] is None, "the source was read before the migration ended"

    ask(client, "/v1/clouds/source/refresh")
    found = moved(client)
    assert found["shop"]["changes"] == {"changed": [], "added": [], "gone": []}
    assert found["lab"] is None

    cloud = cloud_pair.source
    with Client(cloud.url, username="admin", password=cloud.admin_password, project="admin") as admin:
        project = admin.get("identity", "/projects?name=shop")["projects"][0]["id"]
        networks = admin.get("network", f"/networks?project_id={project}&name=web")["networks"]
        admin.put("network", f"/networks/{networks[0]['id']}", {"network": {"description": "changed"}})
        body = {"network": {"name": "new", "project_id": project}}
        new = admin.post("network", "/networks", body)["network"]["id"]
        (address,) = admin.get("network", f"/floatingips?project_id={project}")["floatingips"]
        admin.delete("network", f"/floatingips/{address['id']}")
    ask(client, "/v1/clouds/source/refresh")
    assert moved(client)["shop"]["changes"] == {
        "changed": [f"network:{networks[0]['id']}"],
        "added": [f"network:{new}"],
        "gone": [f"floating_ip:{address['id']}"],
    }


def test_a_plan_keeps_to_what_was_chosen_for_floating_addresses(client, service):
    def plan(**choice):
        made = make_plan(client, SCOPE | choice)
        (action,) = {one["action"] for one in made["resources"] if one["resource"]["type"] == "floating_ip"}
        return made["id"], made["floating_ips"], action

    assert plan()[1:] == ("keep", "create")
    assert plan(floating_ips="new")[1:] == ("new", "create")
    id, *rest = plan(floating_ips="skip")
    assert rest == ["skip", "skip"]
    # Planned again when it begins, and still without.
    migration = ask(client, "/v1/migrations", {"plan_id": id})["migration_id"]
    assert service.plan_of(migration).floating_ips == "skip"
    assert service.migration(migration).options["floating_ips"] == "skip"
    assert client.post("/v1/plans", json=SCOPE | {"floating_ips": "other"}).status_code == 400
