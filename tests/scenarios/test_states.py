"""Servers in every state arrive in it, with lock, cards and server group; and go back to it."""

from __future__ import annotations

import pytest

from pumphouse import errors
from pumphouse.devcloud.client import Client
from pumphouse.devcloud.fill import fill
from pumphouse.model import Action, ScopeKind
from pumphouse.resource import Severity

pytestmark = pytest.mark.timeout(240)

FOUND = {
    "runs": "ACTIVE",
    "off": "SHUTOFF",
    "held": "PAUSED",
    "asleep": "SUSPENDED",
    "shelved": "SHELVED_OFFLOADED",
}
_STATES = {"off": "stopped", "held": "paused", "asleep": "suspended", "shelved": "shelved"}
NETWORKS = ("front", "back", "side")


@pytest.fixture
def states(site):
    """A tenant with one server in each state; every second one is locked."""
    servers = []
    for number, name in enumerate(FOUND):
        # Not in the order of names, which a cloud might come upon by itself.
        order = NETWORKS[number % 3 :] + NETWORKS[: number % 3]
        one = {"name": name, "flavor": "m1.tiny", "image": "debian-12", "group": "apart"}
        one["ports"] = [{"network": network} for network in order]
        if name in _STATES:
            one["state"] = _STATES[name]
        if number % 2:
            one["lock"] = f"because of {name}"
        servers.append(one)
    tenant = {
        "users": [{"name": "ann", "password": "ann-secret", "roles": ["member"]}],
        "networks": [
            {"name": name, "subnets": [{"name": name, "cidr": f"10.{50 + place}.0.0/24"}]}
            for place, name in enumerate(NETWORKS)
        ],
        "server_groups": [{"name": "apart", "policy": "soft-anti-affinity"}],
        "servers": servers,
    }
    fill(site.source, {"tenants": {"states": tenant}})
    return site


def admin(cloud):
    return Client(cloud.url, username="admin", password=cloud.admin_password, project="admin")


def servers(cloud):
    """What a tenant sees of its servers, by name."""
    with admin(cloud) as client:
        newer = {"OpenStack-API-Version": "compute 2.73"}
        listing = client.request("compute", "GET", "/servers/detail?all_tenants=1", headers=newer).json
        names = {one["id"]: one["name"] for one in client.get("network", "/networks")["networks"]}
        ports = {
            one["mac_address"]: names[one["network_id"]] for one in client.get("network", "/ports")["ports"]
        }
        groups = client.get("compute", "/os-server-groups?all_projects=1")["server_groups"]
    found = {}
    for one in listing["servers"]:
        if one["name"] in FOUND:
            cards = [
                ports[address["OS-EXT-IPS-MAC:mac_addr"]]
                for network in one["addresses"].values()
                for address in network
            ]
            group = [(of["name"], of["policy"]) for of in groups if one["id"] in of["members"]]
            found[one["name"]] = (one["status"], one["locked"], one["locked_reason"], cards, group)
    return found


def test_each_server_arrives_in_the_state_in_which_it_was_found(states):
    before = servers(states.source)
    assert {name: state for name, (state, *_) in before.items()} == FOUND
    migration = states.migrate("states")
    assert migration.state == "SUCCEEDED", migration.reason
    after = servers(states.destination)
    assert after == before
    here = servers(states.source)
    off = dict.fromkeys(FOUND, "SHUTOFF") | {"shelved": "SHELVED_OFFLOADED"}
    assert {name: state for name, (state, *_) in here.items()} == off
    # The locks, the cards and the groups of the source are as they were, too.
    assert {name: rest for name, (_, *rest) in here.items()} == {
        name: rest for name, (_, *rest) in before.items()
    }

    states.app.rollback(migration.id)
    assert servers(states.source) == before
    assert servers(states.destination) == {}


def test_a_server_in_error_or_under_rescue_is_refused(states):
    with admin(states.source) as client:
        ids = {one["name"]: one["id"] for one in client.get("compute", "/servers?all_tenants=1")["servers"]}
        client.post("compute", f"/servers/{ids['off']}/action", {"os-resetState": {"state": "error"}})
        client.post("compute", f"/servers/{ids['runs']}/action", {"rescue": None})
        path = f"/servers/{ids['runs']}"
        client.wait("compute", path, lambda seen: seen["server"]["status"] == "RESCUE")
    plan = states.plan("states")
    blocked = {
        one.resource.name: one.reason for one in plan.doing(Action.BLOCKED) if one.ref.type == "server"
    }
    assert blocked == {"off": "its status is ERROR", "runs": "its status is RESCUE"}
    with pytest.raises(errors.PlanBlocked):
        plan.require_unblocked()


def test_who_parts_a_server_group_is_warned(states):
    def told(*names):
        plan = states.plan(*names, kind=ScopeKind.SERVER)
        return {
            one.resource.name: problem.summary
            for one in plan.doing(Action.CREATE)
            for problem in one.problems
            if problem.severity is Severity.WARNING and "server group" in problem.summary
        }

    found = told("runs", "off")
    assert set(found) == {"runs", "off"}
    assert found["runs"].startswith("it shares a server group with ")
    assert "off" not in found["runs"]
    assert told(*FOUND) == {}

    record = states.app.start(states.plan("runs", kind=ScopeKind.SERVER), check_fresh=False)
    assert states.app.run(record.id).state == "SUCCEEDED"
    assert "runs" not in told("off")["off"]
    rest = [name for name in FOUND if name != "runs"]
    assert told(*rest) == {}
    record = states.app.start(states.plan(*rest, kind=ScopeKind.SERVER), check_fresh=False)
    assert states.app.run(record.id).state == "SUCCEEDED"
    with admin(states.destination) as client:
        (group,) = client.get("compute", "/os-server-groups?all_projects=1")["server_groups"]
    assert len(group["members"]) == len(FOUND)
