"""Flavors."""

from __future__ import annotations

from typing import Any

import pytest

from pumphouse.cloud_api import Service
from pumphouse.compare import differences
from pumphouse.model import Action, Side
from pumphouse.tasks.flavor import Flavor

from .harness import Bench

KIND = Flavor()


@pytest.fixture
def make_flavor(bench: Bench):
    def make(side: Side = Side.SOURCE, **given: Any) -> str:
        name = given.pop("name", f"{bench.prefix}-small")
        body = {"name": name, "ram": 64, "vcpus": 1, "disk": 1, **given}
        cloud = bench.cloud(side)
        made = cloud.post(Service.COMPUTE, "/flavors", {"flavor": body}, up_to="2.61")["flavor"]["id"]
        bench.remove_later(side, Service.COMPUTE, f"/flavors/{made}")
        return made

    return make


def carried(bench: Bench, identity: str) -> str:
    """Carry it over; it is removed with the test."""
    resource = bench.read(KIND, identity, Side.SOURCE)
    made = bench.carry(KIND, resource)
    bench.remove_later(Side.DESTINATION, Service.COMPUTE, f"/flavors/{made}")
    want = KIND.resolve(resource.fields, bench.ids.get)
    have = bench.read(KIND, made, Side.DESTINATION)
    assert differences(KIND, want, have.fields) == ()
    return made


def specs(bench: Bench, identity: str, **extra: str) -> None:
    named = {name.replace("__", ":"): value for name, value in extra.items()}
    bench.source.post(Service.COMPUTE, f"/flavors/{identity}/os-extra_specs", {"extra_specs": named})


def test_a_flavor_arrives_with_its_id_and_all_its_values(bench, make_flavor):
    identity = make_flavor(
        **{"swap": 128, "OS-FLV-EXT-DATA:ephemeral": 2, "rxtx_factor": 2.0, "description": "small one"}
    )
    specs(bench, identity, hw__cpu_policy="dedicated", hw__mem_page_size="large")
    assert carried(bench, identity) == identity
    body = bench.destination.get(Service.COMPUTE, f"/flavors/{identity}", up_to="2.61")["flavor"]
    assert (body["swap"], body["OS-FLV-EXT-DATA:ephemeral"], body["rxtx_factor"]) == (128, 2, 2.0)
    assert body["description"] == "small one"
    assert body["extra_specs"] == {"hw:cpu_policy": "dedicated", "hw:mem_page_size": "large"}


def test_an_id_that_another_flavor_has_is_not_kept(bench, make_flavor):
    identity = make_flavor()
    make_flavor(Side.DESTINATION, id=identity, name=f"{bench.prefix}-other")
    assert carried(bench, identity) != identity


def test_a_private_flavor_is_granted_to_moved_projects_alone(bench, make_flavor):
    moved, other = bench.project("moved"), bench.project("other")
    identity = make_flavor(**{"os-flavor-access:is_public": False})
    for project in (moved, other):
        path = f"/flavors/{identity}/action"
        bench.source.post(Service.COMPUTE, path, {"addTenantAccess": {"tenant": project}})
    there = bench.there("project", moved)
    bench.ids.known = {ref: id for ref, id in bench.ids.known.items() if ref.id == moved}
    made = carried(bench, identity)
    access = bench.destination.get(Service.COMPUTE, f"/flavors/{made}/os-flavor-access")["flavor_access"]
    assert [one["tenant_id"] for one in access] == [there]
    assert set(KIND.tenants(bench.read(KIND, identity, Side.SOURCE), None)) == {moved, other}


def test_access_is_added_and_taken_back_without_touching_that_of_others(bench, make_flavor):
    first, second = bench.project("first"), bench.project("second")
    identity = make_flavor(**{"os-flavor-access:is_public": False})
    act = f"/flavors/{identity}/action"
    bench.source.post(Service.COMPUTE, act, {"addTenantAccess": {"tenant": first}})
    make_flavor(Side.DESTINATION, id=identity, **{"os-flavor-access:is_public": False})
    bench.destination.post(
        Service.COMPUTE, act, {"addTenantAccess": {"tenant": bench.there("project", second)}}
    )
    resource = bench.read(KIND, identity, Side.SOURCE)
    more = {"action": Action.UPDATE, "destination_id": identity, "changed": ("access",)}
    bench.step(KIND, resource, "create", **more)
    bench.step(KIND, resource, "verify", **more)
    both = {bench.there("project", first), bench.there("project", second)}
    assert set(bench.read(KIND, identity, Side.DESTINATION).fields["access"]) == both
    (entry,) = bench.journal.open()
    KIND.steps[0](bench.context, bench.item(KIND, resource, **more)).undo(entry)
    assert bench.read(KIND, identity, Side.DESTINATION).fields["access"] == [bench.there("project", second)]


def test_a_changed_flavor_is_set_right(bench, make_flavor):
    identity = make_flavor(description="new")
    specs(bench, identity, hw__cpu_policy="shared")
    make_flavor(Side.DESTINATION, id=identity, description="old")
    bench.destination.post(
        Service.COMPUTE,
        f"/flavors/{identity}/os-extra_specs",
        {"extra_specs": {"hw:cpu_policy": "dedicated", "quota:a": "1"}},
    )
    resource = bench.read(KIND, identity, Side.SOURCE)
    there = bench.read(KIND, identity, Side.DESTINATION)
    changed = tuple(one.field for one in differences(KIND, resource.fields, there.fields))
    assert changed == ("description", "extra_specs")
    bench.step(KIND, resource, "create", action=Action.UPDATE, destination_id=identity, changed=changed)
    there = bench.read(KIND, identity, Side.DESTINATION)
    assert differences(KIND, resource.fields, there.fields) == ()


def test_a_second_attempt_finds_the_first_and_undo_removes_it(bench, make_flavor):
    identity = make_flavor()
    resource = bench.read(KIND, identity, Side.SOURCE)
    bench.journal.intend(resource.ref, "create", Side.DESTINATION, detail={"project_id": None})
    KIND.create(bench.destination, KIND.steps[0](bench.context, bench.item(KIND, resource)).want())
    assert bench.carry(KIND, resource) == identity
    bench.undo([KIND], {resource.ref: resource})
    assert KIND.show(bench.destination, identity, project_id=None) is None
    assert bench.ids.get(resource.ref) is None
