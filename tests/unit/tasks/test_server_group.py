"""Server groups."""

from __future__ import annotations

import pytest

from pumphouse.cloud_api import Service
from pumphouse.compare import differences
from pumphouse.model import Side
from pumphouse.tasks.server_group import ServerGroup

from .harness import Bench

KIND = ServerGroup()


@pytest.fixture
def project(bench: Bench) -> str:
    return bench.project("groups")


def make(bench: Bench, project: str, name: str = "apart", policy: str = "anti-affinity", **more) -> str:
    body = {"server_group": {"name": name, "policy": policy, **more}}
    cloud = bench.scoped(Side.SOURCE, project)
    return cloud.post(Service.COMPUTE, "/os-server-groups", body, up_to="2.64")["server_group"]["id"]


@pytest.mark.parametrize(
    ("policy", "rules"),
    [("anti-affinity", {"max_server_per_host": 2}), ("affinity", {}), ("soft-anti-affinity", {})],
)
def test_a_group_arrives_in_its_project_with_policy_and_rules(bench, project, policy, rules):
    resource = bench.read(
        KIND, make(bench, project, policy=policy, **({"rules": rules} if rules else {})), Side.SOURCE
    )
    made = bench.carry(KIND, resource)
    there = bench.read(KIND, made, Side.DESTINATION)
    assert differences(KIND, KIND.resolve(resource.fields, bench.ids.get), there.fields) == ()
    assert (there.fields["policy"], there.fields["rules"]) == (policy, rules)
    assert there.project_id == bench.there("project", project)


def test_a_lost_attempt_is_found_by_project_name_and_policy(bench, project):
    resource = bench.read(KIND, make(bench, project), Side.SOURCE)
    step = KIND.steps[0](bench.context, bench.item(KIND, resource))
    cloud = bench.scoped(Side.DESTINATION, bench.there("project", project))
    first = KIND.create(cloud, step.want())
    bench.journal.intend(resource.ref, "create", Side.DESTINATION)
    assert bench.carry(KIND, resource) == first


def test_undo_removes_it_even_when_its_id_was_never_learnt(bench, project):
    resource = bench.read(KIND, make(bench, project), Side.SOURCE)
    step = KIND.steps[0](bench.context, bench.item(KIND, resource))
    there = bench.there("project", project)
    first = KIND.create(bench.scoped(Side.DESTINATION, there), step.want())
    bench.journal.intend(resource.ref, "create", Side.DESTINATION, detail={"project_id": there})
    bench.undo([KIND], {resource.ref: resource})
    assert KIND.show(bench.destination, first, project_id=there) is None
