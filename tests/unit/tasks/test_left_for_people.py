"""What nobody can carry is read, without its secrets, and people are told what to do about it."""

from __future__ import annotations

import json

import openstack
import pytest

from pumphouse.cloud_api import Service
from pumphouse.inventory.collect import collect
from pumphouse.model import Inventory, Side
from pumphouse.registry import Registry
from pumphouse.resource import Policy, Reach

from .harness import Bench

REGISTRY = Registry.load()


class Tenant:
    """A project of the source with a user who has a role there, and another by way of a group."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.project = bench.project("tenant")
        self.anna, self.ci, self.stranger = (bench.user(name) for name in ("anna", "ci", "stranger"))
        roles = bench.source.list(Service.IDENTITY, "/roles", "roles", params={"name": "member"})
        self.role = roles[0]["id"]
        body = {"group": {"name": f"{bench.prefix}-robots", "domain_id": "default"}}
        self.group = bench.source.post(Service.IDENTITY, "/groups", body)["group"]["id"]
        bench.remove_later(Side.SOURCE, Service.IDENTITY, f"/groups/{self.group}")
        bench.source.put(Service.IDENTITY, f"/groups/{self.group}/users/{self.ci}")
        for actor in (f"users/{self.anna}", f"groups/{self.group}"):
            bench.source.put(Service.IDENTITY, f"/projects/{self.project}/{actor}/roles/{self.role}")

    def as_user(self, user: str, project: str = "") -> openstack.connection.Connection:
        return openstack.connect(cloud=self.bench.source.name).connect_as(
            user_id=user,
            username=None,
            password="secret",
            project_id=project or self.project,
            project_name=None,
        )

    def read(self, kind: str, *, people: bool = True) -> list:
        reach = Reach(projects=frozenset({self.project}), people=people)
        found = collect(self.bench.source, REGISTRY, types=(kind,), reach=lambda _: reach)
        return list(found.of_type(kind))


@pytest.fixture
def tenant(bench: Bench) -> Tenant:
    return Tenant(bench)


@pytest.mark.parametrize("who", ["anna", "ci"])
def test_application_credentials_of_the_tenants_users_are_listed_without_their_secrets(tenant, who):
    user = getattr(tenant, who)
    body = {"name": "deploy", "secret": "do-not-read", "expires_at": "2099-01-01T00:00:00.000000"}
    path = f"/users/{user}/application_credentials"
    tenant.as_user(user).identity.post(path, json={"application_credential": body})
    (found,) = tenant.read("application_credential")
    assert (found.name, found.project_id) == ("deploy", tenant.project)
    assert found.fields["user_id"] == user
    assert "do-not-read" not in json.dumps(found.to_dict())
    kind = REGISTRY["application_credential"]
    assert kind.policy(found) is Policy.LEAVE
    (problem,) = kind.refuse(found, collect(tenant.bench.source, REGISTRY, types=("user",)))
    assert f"{tenant.bench.prefix}-{who} makes a new one" in problem.next_step
    assert tenant.read("application_credential", people=False) == []


def calls(cloud, end: str) -> int:
    return sum(count for name, count in cloud.counts.requests.items() if name.endswith(end))


def test_only_users_of_the_tenant_are_asked_for_their_application_credentials(tenant, cloud_pair):
    cloud_pair.source.counts.reset()
    assert tenant.read("application_credential") == []
    assert calls(cloud_pair.source, "/application_credentials") == 2


def trust(tenant: Tenant) -> str:
    """Anna lets the other act in her name in the tenant's project; the trust's id."""
    body = {"trustor_user_id": tenant.anna, "trustee_user_id": tenant.ci, "project_id": tenant.project}
    body |= {"impersonation": True, "roles": [{"id": tenant.role}]}
    answer = tenant.as_user(tenant.anna).identity.post("/OS-TRUST/trusts", json={"trust": body})
    return str(answer.json()["trust"]["id"])


@pytest.mark.parametrize("allowed", [True, False])
def test_trusts_are_listed_all_at_once_or_else_by_their_trustors(tenant, cloud_pair, allowed):
    identity = trust(tenant)
    if not allowed:
        cloud_pair.source.faults.add(
            "status", method="GET", path="/identity/v3/OS-TRUST/trusts", code=403, times=1
        )
    cloud_pair.source.counts.reset()
    (found,) = tenant.read("trust")
    prefix = tenant.bench.prefix
    assert (found.ref.id, found.name) == (identity, f"{prefix}-anna trusts {prefix}-ci")
    assert found.project_id == tenant.project
    assert calls(cloud_pair.source, "/OS-TRUST/trusts") == (1 if allowed else 3)
    (problem,) = REGISTRY["trust"].refuse(found, collect(tenant.bench.source, REGISTRY, types=("user",)))
    assert f"{prefix}-anna makes it again" in problem.next_step
    assert tenant.read("trust", people=False) == []


def test_a_cloud_without_trusts_has_none(tenant, cloud_pair):
    cloud_pair.source.faults.add("status", method="GET", path="/identity/v3/OS-TRUST/trusts", code=404)
    assert tenant.read("trust") == []


def network(bench: Bench, path: str, item: str, **body) -> str:
    made = bench.source.post(Service.NETWORK, path, {item: body})[item]["id"]
    bench.remove_later(Side.SOURCE, Service.NETWORK, f"{path}/{made}")
    return str(made)


def test_what_projects_share_besides_networks_is_listed_by_what_it_says(tenant):
    bench = tenant.bench
    friend = bench.project("friend")
    own = {"project_id": tenant.project}
    shared = {
        "network": network(bench, "/networks", "network", name="net", **own),
        "security_group": network(bench, "/security-groups", "security_group", name="web", **own),
        "address_scope": network(
            bench, "/address-scopes", "address_scope", name="routed", ip_version=4, **own
        ),
    }
    for kind, identity in shared.items():
        body = {"object_type": kind, "object_id": identity, "action": "access_as_shared", **own}
        network(bench, "/rbac-policies", "rbac_policy", target_tenant=friend, **body)
    found = [one for one in tenant.read("rbac_policy") if one.project_id == tenant.project]
    # A network comes with whom it is shared.
    assert {one.name for one in found} == {
        f"security_group web for project {bench.prefix}-friend",
        f"address_scope routed for project {bench.prefix}-friend",
    }
    kind = REGISTRY["rbac_policy"]
    assert {project for one in found for project in kind.tenants(one, Inventory("source"))} == {
        tenant.project,
        friend,
    }


def test_trunks_and_qos_policies_are_listed(tenant):
    bench = tenant.bench
    own = {"project_id": tenant.project}
    where = network(bench, "/networks", "network", name="net", **own)
    parent, child = (network(bench, "/ports", "port", network_id=where, **own) for _ in range(2))
    subs = [{"port_id": child, "segmentation_type": "vlan", "segmentation_id": 7}]
    network(bench, "/trunks", "trunk", name="bundle", port_id=parent, sub_ports=subs, **own)
    slow = network(bench, "/qos/policies", "policy", name="slow", **own)
    limit = {"bandwidth_limit_rule": {"max_kbps": 100}}
    bench.source.post(Service.NETWORK, f"/qos/policies/{slow}/bandwidth_limit_rules", limit)
    (trunk,), (policy,) = tenant.read("trunk"), tenant.read("qos_policy")
    (problem,) = REGISTRY["trunk"].refuse(trunk, Inventory("source"))
    assert "carries 1 more port" in problem.summary
    (problem,) = REGISTRY["qos_policy"].refuse(policy, Inventory("source"))
    assert "bandwidth_limit" in problem.summary
    for found in (trunk, policy):
        assert list(REGISTRY[found.ref.type].tenants(found, Inventory("source"))) == [tenant.project]
