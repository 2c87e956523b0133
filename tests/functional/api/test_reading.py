"""Reading over the API: clouds, types, plans, migrations, events."""

from __future__ import annotations

import csv
import io

import pytest
from serving import ask, ended, make_plan

from pumphouse.api.app import create_app
from pumphouse.service import Pumphouse

SCOPE = {"scope": {"kind": "tenant", "names": ["shop"]}}


def all_pages(client, path, name, **query):
    """Everything in a listing, read in pages."""
    found, marker = [], None
    while True:
        page = client.get(path, query_string=query | ({"marker": marker} if marker else {})).json
        assert len(page[name]) <= query["limit"]
        found += page[name]
        marker = page["next_marker"]
        if marker is None:
            return found


def test_a_cloud_is_read_when_somebody_asks(client):
    before = client.get("/v1/clouds").json["clouds"]
    assert [one["name"] for one in before] == ["destination", "source"]
    assert {one["read_at"] for one in before} == {None}
    unread = client.get("/v1/clouds/source/resources")
    assert (unread.status_code, unread.json["type"]) == (409, "urn:pumphouse:error:NotRead")

    operation = ask(client, "/v1/clouds/source/refresh")
    assert (operation["kind"], operation["cloud"]) == ("refresh", "source")
    assert operation["read"]["source"]["server"] == 6
    read = client.get("/v1/clouds").json["clouds"][1]
    assert read["counts"]["server"] == 6
    assert read["read_at"] > operation["created_at"]


def test_resources_come_in_pages_and_can_be_filtered(client):
    ask(client, "/v1/clouds/source/refresh")
    path = "/v1/clouds/source/resources"
    whole = client.get(path, query_string={"limit": 1000}).json["resources"]
    assert all_pages(client, path, "resources", limit=7) == whole
    types = [one["type"] for one in whole]
    assert types.index("project") < types.index("network") < types.index("server")

    servers = all_pages(client, path, "resources", limit=2, type=["server", "volume"], tenant="shop")
    assert {one["type"] for one in servers} == {"server", "volume"}
    assert {one["project_id"] for one in servers} == {servers[0]["project_id"]}
    named = client.get(path, query_string={"name": "APP-1", "type": "server"}).json["resources"]
    assert [one["name"] for one in named] == ["app-1"]


def test_tenants_are_told_with_what_belongs_to_them(client):
    ask(client, "/v1/clouds/source/refresh")
    tenants = all_pages(client, "/v1/clouds/source/tenants", "tenants", limit=1)
    shop = next(one for one in tenants if one["name"] == "shop")
    path = "/v1/clouds/source/resources"
    for kind, count in shop["counts"].items():
        query = {"type": kind, "tenant": shop["id"], "limit": 1000}
        assert len(client.get(path, query_string=query).json["resources"]) == count
    found = client.get("/v1/clouds/source/tenants", query_string={"name": "sho"}).json["tenants"]
    assert [one["name"] for one in found] == ["shop"]


def test_a_cloud_tells_what_it_offers(client):
    found = client.get("/v1/clouds/source/check").json
    assert found["usable"]
    assert {one["service"] for one in found["services"]} >= {"identity", "compute", "network"}


def test_the_types_are_those_of_the_registry(client, service):
    found = client.get("/v1/resource-types").json["resource_types"]
    assert [one["name"] for one in found] == list(service.registry)


def test_a_plan_is_made_shown_listed_and_forgotten(client):
    made = make_plan(client, SCOPE)
    path = f"/v1/plans/{made['id']}"
    assert made["counts"]["create"] > 10
    assert not made["blocked"]
    again = make_plan(client, SCOPE)
    assert [one["id"] for one in all_pages(client, "/v1/plans", "plans", limit=1)] == [
        again["id"],
        made["id"],
    ]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_a_plan_keeps_to_its_overrides(client):
    overrides = {"projects": {"shop": "market"}}
    made = make_plan(client, SCOPE | {"overrides": overrides})
    names = [one["resource"]["name"] for one in made["resources"] if one["resource"]["type"] == "project"]
    assert "market" in names
    assert made["overrides"]["projects"] == {"shop": "market"}
    wrong = client.post("/v1/plans", json=SCOPE | {"overrides": {"colours": {}}})
    assert (wrong.status_code, wrong.json["type"]) == (400, "urn:pumphouse:error:BadOverride")


def test_a_plan_is_a_graph_in_three_languages(client):
    plan = make_plan(client, SCOPE)
    graph = client.get(f"/v1/plans/{plan['id']}/graph").json
    generation = {one["ref"]: one["generation"] for one in graph["nodes"]}
    assert graph["edges"]
    assert all(generation[one["needs"]] < generation[one["ref"]] for one in graph["edges"])
    dot = client.get(f"/v1/plans/{plan['id']}/graph?format=dot")
    assert dot.mimetype == "text/vnd.graphviz"
    assert dot.text.count(" -> ") == len(graph["edges"])
    mermaid = client.get(f"/v1/plans/{plan['id']}/graph?format=mermaid")
    assert mermaid.text.startswith("flowchart")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (SCOPE | {"source": "nowhere"}, 404, "UnknownCloud"),
        (SCOPE | {"source": "destination"}, 400, "SameCloud"),
        (SCOPE | {"colour": "red"}, 400, "InvalidRequest"),
        ({"scope": {"kind": "tenant", "names": []}}, 400, "InvalidRequest"),
    ],
)
def test_a_wrong_plan_is_refused_with_what_is_wrong(client, body, status, error):
    found = client.post("/v1/plans", json=body)
    assert (found.status_code, found.json["type"]) == (status, f"urn:pumphouse:error:{error}")
    assert found.mimetype == "application/problem+json"
    assert found.json["detail"]
    assert client.get("/v1/plans").json["plans"] == []
    assert client.get("/v1/operations").json["operations"] == []


def test_what_only_the_cloud_can_tell_is_told_by_the_operation(client):
    found = ended(client, client.post("/v1/plans", json={"scope": {"kind": "tenant", "names": ["nobody"]}}))
    assert (found["state"], found["plan_id"]) == ("FAILED", None)
    assert found["error"]["type"] == "urn:pumphouse:error:UnknownResource"
    assert found["error"]["status"] == 404
    assert "nobody" in found["error"]["detail"]
    assert client.get("/v1/plans").json["plans"] == []


def test_a_migration_is_told_with_its_units_steps_events_and_report(client, service):
    plan = service.stored_plan(make_plan(client, SCOPE)["id"])
    id = service.start(plan, check_fresh=False, name="the shop").id
    path = f"/v1/migrations/{id}"
    planned = client.get(f"{path}/steps?limit=1000").json["steps"]
    assert {one["state"] for one in planned} == {"PENDING"}
    assert client.get(f"{path}/report").json["type"] == "urn:pumphouse:error:WrongState"
    service.run(id)

    found = client.get(path).json
    assert (found["state"], found["name"]) == ("SUCCEEDED", "the shop")
    units = all_pages(client, f"{path}/units", "units", limit=3)
    assert found["units"] == {"SUCCEEDED": len(units)}
    steps = all_pages(client, f"{path}/steps", "steps", limit=50)
    assert [one["step"] for one in steps] == [one["step"] for one in planned]
    assert {one["state"] for one in steps} == {"SUCCESS"}
    assert sum(sum(one.values()) for one in found["steps"].values()) == len(steps)
    assert client.get(f"{path}/steps?state=PENDING").json["steps"] == []

    events, after = [], 0
    while after is not None:
        page = client.get(f"{path}/events", query_string={"after": after, "limit": 40}).json
        events += page["events"]
        after = page["next_after"]
    assert [one["seq"] for one in events] == sorted({one["seq"] for one in events})
    assert events[-1]["payload"]["state"] == "SUCCEEDED"
    everything = client.get("/v1/events?limit=1000").json["events"]
    assert next(one for one in everything if one["migration"]) == events[0]
    assert client.delete(f"/v1/plans/{found['plan_id']}").json["type"] == "urn:pumphouse:error:WrongState"


def test_a_plan_is_saved_as_a_file_and_taken_in_again(client, service):
    plan = make_plan(client, SCOPE)["id"]
    file = client.get(f"/v1/plans/{plan}/file").json
    assert file == service.stored_plan(plan).to_dict()
    taken = client.post("/v1/plan-files", json=file)
    assert taken.status_code == 201, taken.text
    assert taken.json["id"] != plan
    assert taken.headers["Location"] == f"/v1/plans/{taken.json['id']}"
    assert service.stored_plan(taken.json["id"]).to_dict() == file | {"id": taken.json["id"]}
    migration = ask(client, "/v1/migrations", {"plan_id": taken.json["id"]})["migration_id"]
    assert service.migration(migration).name == "tenant shop"


def test_a_saved_plan_may_be_larger_than_other_bodies(client, service):
    plan = service.stored_plan(make_plan(client, SCOPE)["id"]).to_dict()
    large = plan | {"resources": [*plan["resources"]]}
    large["resources"][0] = large["resources"][0] | {"reason": "x" * 5_000_000}
    assert client.post("/v1/plan-files", json=large).status_code == 201


@pytest.mark.parametrize(
    "change", [{"format": "other"}, {"version": 99}, {"resources": [{}]}, {"created_at": "yesterday"}]
)
def test_a_damaged_plan_is_not_taken_in(client, service, change):
    plan = service.stored_plan(make_plan(client, SCOPE)["id"]).to_dict()
    refused = client.post("/v1/plan-files", json=plan | change)
    assert (refused.status_code, refused.json["type"]) == (400, "urn:pumphouse:error:BadPlan")


def test_a_page_loads_its_plan_once(client, service, monkeypatch):
    plan = make_plan(client, SCOPE)["id"]
    id = service.start(service.stored_plan(plan), check_fresh=False).id
    loaded, whole = [], type(service.store.plans).document

    def document(self, id):
        loaded.append(id)
        return whole(self, id)

    monkeypatch.setattr(type(service.store.plans), "document", document)
    with Pumphouse.open(service.config) as fresh:
        browser = create_app(fresh).test_client()
        for path in (f"/migrations/{id}", f"/migrations/{id}/live", f"/v1/migrations/{id}/steps"):
            assert browser.get(path).status_code == 200
    assert loaded == [plan]


def test_a_report_is_a_document_a_table_and_a_page(client, service):
    plan = service.stored_plan(make_plan(client, SCOPE)["id"])
    id = service.start(plan, check_fresh=False).id
    service.run(id)
    path = f"/v1/migrations/{id}/report"
    report = client.get(path).json
    assert report["verified"]
    rows = list(csv.DictReader(io.StringIO(client.get(f"{path}?format=csv").text)))
    assert len(rows) == sum(report["fields"].values())
    assert {row["outcome"] for row in rows} == {name for name, count in report["fields"].items() if count}
    page = client.get(f"{path}?format=html")
    assert page.mimetype == "text/html"
    assert all(f">{one['name']}<" in page.text for one in report["resources"] if one["name"].isalnum())


def test_migrations_are_listed_by_state_cloud_and_name(client, service):
    plan = service.stored_plan(make_plan(client, SCOPE)["id"])
    ids = [service.start(plan, check_fresh=False, name=f"number {one}").id for one in range(5)]
    service.cancel(ids[2])
    listed = all_pages(client, "/v1/migrations", "migrations", limit=2)
    assert [one["id"] for one in listed] == ids[::-1]
    cancelled = client.get("/v1/migrations?state=CANCELLED").json["migrations"]
    assert [one["id"] for one in cancelled] == [ids[2]]
    assert len(client.get("/v1/migrations?source=source&destination=destination").json["migrations"]) == 5
    assert client.get("/v1/migrations?source=elsewhere").json["migrations"] == []
    assert [one["name"] for one in client.get("/v1/migrations?name=BER%203").json["migrations"]] == [
        "number 3"
    ]
