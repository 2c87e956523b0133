"""Quotas."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.model import Action, Inventory, Ref, Resource, Side
from pumphouse.resource import Reach, Severity
from pumphouse.steps import Create, step_named

from .harness import finish
from .tenancy import REGISTRY, Tenancy

QUOTA = REGISTRY["quota"]


@pytest.fixture
def tenancy(bench):
    return Tenancy(bench, Service.COMPUTE)


@pytest.fixture
def project(tenancy):
    """A project on both clouds, with limits of its own on the source."""
    project = tenancy.bench.project("shop")
    cloud = tenancy.bench.source
    cloud.put(Service.COMPUTE, f"/os-quota-sets/{project}", {"quota_set": {"cores": 64, "ram": -1}})
    cloud.put(Service.NETWORK, f"/quotas/{project}", {"quota": {"network": 7, "floatingip": 3}})
    cloud.put(Service.VOLUME, f"/os-quota-sets/{project}", {"quota_set": {"volumes": 4, "gigabytes": 400}})
    tenancy.bench.later += [
        lambda: QUOTA.delete(cloud, project),
        lambda: QUOTA.delete(tenancy.bench.destination, tenancy.bench.there("project", project)),
    ]
    return project


def read(tenancy, side, project):
    found = QUOTA.show(tenancy.bench.cloud(side), project, project_id=project)
    assert found is not None
    return found


def carry(tenancy, resource, **more):
    for step in QUOTA.steps:
        tenancy.bench.step(QUOTA, resource, step.name, **more)


def test_the_limits_of_all_services_are_set_and_taken_back(tenancy, project):
    there = tenancy.bench.there("project", project)
    before = read(tenancy, Side.DESTINATION, there).fields
    resource = read(tenancy, Side.SOURCE, project)
    carry(tenancy, resource)
    after = read(tenancy, Side.DESTINATION, there).fields
    assert (after["compute"]["cores"], after["compute"]["ram"]) == (64, -1)
    assert (after["network"]["network"], after["network"]["floatingip"]) == (7, 3)
    assert (after["block-storage"]["volumes"], after["block-storage"]["gigabytes"]) == (4, 400)
    tenancy.bench.undo([QUOTA], {resource.ref: resource})
    assert read(tenancy, Side.DESTINATION, there).fields == before


def test_limits_that_were_set_before_another_one_was_refused_are_taken_back(tenancy, project, monkeypatch):
    cloud = type(tenancy.bench.destination)
    put = cloud.put

    def refuse(self, service, path, body=None, **more):
        if service is Service.VOLUME:
            raise errors.Forbidden("not you", cloud="destination")
        return put(self, service, path, body, **more)

    there = tenancy.bench.there("project", project)
    before = read(tenancy, Side.DESTINATION, there).fields
    resource = read(tenancy, Side.SOURCE, project)
    monkeypatch.setattr(cloud, "put", refuse)
    with pytest.raises(errors.Forbidden):
        carry(tenancy, resource)
    assert read(tenancy, Side.DESTINATION, there).fields != before
    tenancy.bench.undo([QUOTA], {resource.ref: resource})
    assert read(tenancy, Side.DESTINATION, there).fields == before


def test_only_what_differs_is_sent(tenancy, project, monkeypatch):
    sent = []
    put = type(tenancy.bench.destination).put

    def listen(self, service, path, body=None, **more):
        sent.append((str(service), body))
        return put(self, service, path, body, **more)

    there = tenancy.bench.there("project", project)
    have = read(tenancy, Side.DESTINATION, there).fields
    resource = read(tenancy, Side.SOURCE, project)
    monkeypatch.setattr(type(tenancy.bench.destination), "put", listen)
    carry(tenancy, resource)
    wanted = {
        name: {
            limit: value for limit, value in resource.fields[name].items() if have[name].get(limit) != value
        }
        for name in ("compute", "network", "block-storage")
    }
    assert sent == [
        ("compute", {"quota_set": {**wanted["compute"], "force": True}}),
        ("network", {"quota": {**wanted["network"], "force": True}}),
        ("block-storage", {"quota_set": wanted["block-storage"]}),
    ]


def test_limits_of_a_project_that_was_there_are_put_back(tenancy, project):
    there = tenancy.bench.there("project", project)
    cloud = tenancy.bench.destination
    cloud.put(Service.COMPUTE, f"/os-quota-sets/{there}", {"quota_set": {"cores": 33, "instances": 5}})
    before = read(tenancy, Side.DESTINATION, there).fields
    resource = read(tenancy, Side.SOURCE, project)
    changed = ("compute", "network")
    item = tenancy.bench.item(QUOTA, resource, action=Action.UPDATE, destination_id=there, changed=changed)
    step = step_named(QUOTA, "create")(tenancy.bench.context, item)
    finish(step)
    assert read(tenancy, Side.DESTINATION, there).fields["compute"]["cores"] == 64
    step.undo(tenancy.bench.journal.open()[0])
    assert read(tenancy, Side.DESTINATION, there).fields == before


def test_a_limit_below_what_is_in_use_is_put_back_too(tenancy, project):
    there = tenancy.bench.there("project", project)
    cloud = tenancy.bench.destination
    made = cloud.post(Service.NETWORK, "/networks", {"network": {"name": "theirs", "project_id": there}})
    tenancy.bench.remove_later(Side.DESTINATION, Service.NETWORK, f"/networks/{made['network']['id']}")
    cloud.put(Service.NETWORK, f"/quotas/{there}", {"quota": {"network": 0, "force": True}})
    before = read(tenancy, Side.DESTINATION, there).fields
    resource = read(tenancy, Side.SOURCE, project)
    item = tenancy.bench.item(
        QUOTA, resource, action=Action.UPDATE, destination_id=there, changed=("network",)
    )
    step = step_named(QUOTA, "create")(tenancy.bench.context, item)
    finish(step)
    step.undo(tenancy.bench.journal.open()[0])
    assert read(tenancy, Side.DESTINATION, there).fields == before


def test_what_is_unlimited_stays_unlimited(tenancy, project):
    resource = read(tenancy, Side.SOURCE, project)
    assert resource.fields["compute"]["ram"] == -1
    carry(tenancy, resource)
    there = read(tenancy, Side.DESTINATION, tenancy.bench.there("project", project))
    assert there.fields["compute"]["ram"] == -1


def test_limits_of_a_volume_type_are_keyed_by_its_name(tenancy, project):
    name = f"{tenancy.bench.prefix}-fast"
    for side in Side:
        cloud = tenancy.bench.cloud(side)
        made = cloud.post(Service.VOLUME, "/types", {"volume_type": {"name": name}})["volume_type"]["id"]
        tenancy.bench.remove_later(side, Service.VOLUME, f"/types/{made}")
    body = {"quota_set": {f"gigabytes_{name}": 50}}
    tenancy.bench.source.put(Service.VOLUME, f"/os-quota-sets/{project}", body)
    resource = read(tenancy, Side.SOURCE, project)
    assert resource.fields["block-storage"][f"gigabytes_{name}"] == 50
    assert f"volumes_{name}" not in resource.fields["block-storage"]
    carry(tenancy, resource)
    there = tenancy.bench.there("project", project)
    assert read(tenancy, Side.DESTINATION, there).fields["block-storage"][f"gigabytes_{name}"] == 50
    tenancy.bench.undo([QUOTA], {resource.ref: resource})
    assert f"gigabytes_{name}" not in read(tenancy, Side.DESTINATION, there).fields["block-storage"]


def test_a_limit_of_a_volume_type_is_lifted_again_where_other_limits_stay(tenancy, project):
    """What is unlimited is not read, so putting back what was read is not enough."""
    limit = f"gigabytes_{tenancy.bench.prefix}-fast"
    for side in Side:
        body = {"volume_type": {"name": f"{tenancy.bench.prefix}-fast"}}
        made = tenancy.bench.cloud(side).post(Service.VOLUME, "/types", body)["volume_type"]["id"]
        tenancy.bench.remove_later(side, Service.VOLUME, f"/types/{made}")
    there = tenancy.bench.there("project", project)
    for cloud, identity, limits in (
        (tenancy.bench.source, project, {limit: 50}),
        (tenancy.bench.destination, there, {"volumes": 9}),
    ):
        cloud.put(Service.VOLUME, f"/os-quota-sets/{identity}", {"quota_set": limits})
    before = read(tenancy, Side.DESTINATION, there).fields
    resource = read(tenancy, Side.SOURCE, project)
    changed = ("block-storage",)
    item = tenancy.bench.item(QUOTA, resource, action=Action.UPDATE, destination_id=there, changed=changed)
    step = step_named(QUOTA, "create")(tenancy.bench.context, item)
    finish(step)
    assert read(tenancy, Side.DESTINATION, there).fields["block-storage"][limit] == 50
    step.undo(tenancy.bench.journal.open()[0])
    assert read(tenancy, Side.DESTINATION, there).fields == before


def test_only_projects_within_reach_are_asked_for(tenancy, project):
    seen = Inventory("source", [Resource(ref=Ref("project", one), name=one) for one in (project, "other")])
    reach = Reach(projects=frozenset({project}))
    found = list(QUOTA.discover(tenancy.bench.source, seen=seen, reach=reach))
    assert [one.ref for one in found] == [Ref("quota", project)]
    assert found[0].project_id == project


def test_the_defaults_are_surveyed(tenancy):
    defaults = QUOTA.survey(tenancy.bench.source, reach=Reach())
    assert {"cores", "ram", "instances"} <= defaults["compute"].keys()
    assert {"port", "network"} <= defaults["network"].keys()
    assert {"volumes", "gigabytes"} <= defaults["block-storage"].keys()


def test_a_limit_below_what_is_used_or_for_an_unknown_type_blocks(tenancy):
    fields = {
        "project_id": "p",
        "compute": {"cores": 2, "ram": -1},
        "network": {"network": 5},
        "block-storage": {"gigabytes_fast": 5},
    }
    source = Resource(ref=Ref("quota", "p"), name="shop", project_id="p", fields=fields)
    tenancy.bench.ids.put(Ref("project", "p"), "P", made=False)
    used = {"compute": {"cores": 4, "ram": 999}, "network": {"network": 5}, "block-storage": {}}
    there = replace(source, ref=Ref("quota", "P"), project_id="P", facts={"used": used})
    destination = Inventory("destination", [there], facts={"quota": {"block-storage": {"gigabytes": 1000}}})
    want = Create(tenancy.bench.context, tenancy.bench.item(QUOTA, source)).want()
    found = list(QUOTA.check(want, destination, exists=True))
    assert [one.severity for one in found] == [Severity.BLOCK, Severity.BLOCK]
    assert "cores would be 2, but 4 are in use" in found[0].summary
    assert "gigabytes_fast" in found[1].summary


def test_a_quota_is_there_as_long_as_its_project(tenancy):
    assert QUOTA.show(tenancy.bench.source, "0" * 32, project_id=None) is None


def test_limits_that_an_attempt_was_setting_when_it_died_are_taken_back(tenancy, project):
    there = tenancy.bench.there("project", project)
    before = read(tenancy, Side.DESTINATION, there).fields
    resource = read(tenancy, Side.SOURCE, project)
    detail = {"project_id": there}
    tenancy.bench.journal.intend(resource.ref, "create", Side.DESTINATION, detail=detail)
    limits = {"quota_set": {"cores": 64}}
    tenancy.bench.destination.put(Service.COMPUTE, f"/os-quota-sets/{there}", limits)
    tenancy.bench.undo([QUOTA], {resource.ref: resource})
    assert read(tenancy, Side.DESTINATION, there).fields == before
