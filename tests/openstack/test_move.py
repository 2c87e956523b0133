"""The acceptance: the command line moves a tenant with everything, and other means look at it."""

from __future__ import annotations

import time

from checks import check
from listing import changes
from tenant import fill_with_everything
from tenant.networks import network
from tenant.site import ask


def test_a_tenant_moves_once_follows_a_change_and_comes_back(pair, tenant):
    name = tenant(pair, fill_with_everything)
    before = pair.listings()
    first = moves(pair, name, before["source"])
    does_nothing_again(pair, name, first)
    second = follows_a_change(pair, name)
    comes_back(pair, name, before, [second, first])


def both(name):
    """The tenant's projects."""
    return name, f"{name}-partner"


def moves(pair, name, before):
    """Migrate it and look at it; the migration."""
    began = time.monotonic()
    pair.migrate(*both(name))
    first, report = pair.last(), pair.report()
    pair.record["move"] = {"name": name, "seconds": round(time.monotonic() - began), "report": report}
    assert first["State"] == "SUCCEEDED"
    assert report["verified"]
    pair.record["checks"] = check(pair.moved(name, before, pair.listings()))
    return first["ID"]


def does_nothing_again(pair, name, first):
    """Run it again: no revision and no time of a change moves."""
    before = pair.listings()
    assert "Nothing to do" in pair.migrate(*both(name))
    assert pair.last()["ID"] == first
    after = pair.listings()
    for side in after:
        assert changes(before[side], after[side], volatile=True) == []


def follows_a_change(pair, name):
    """Change two things on the source: those alone are done; the migration."""
    before = pair.listings()["destination"]
    change(pair.site("source", name))
    acting = pair.plan(*both(name))
    assert sorted((one["Action"], one["Type"]) for one in acting) == [
        ("create", "security_group_rule"),
        ("update", "network"),
    ]
    pair.migrate(*both(name))
    found = changes(before, pair.listings()["destination"])
    assert sorted((one.collection, one.field) for one in found) == [
        ("networks", "description"),
        ("security group rules", ""),
        ("security groups", "security_group_rules"),
    ]
    pair.record["change"] = sorted((one["Action"], one["Type"], one["Name"]) for one in acting)
    return pair.last()["ID"]


def comes_back(pair, name, before, migrations):
    """Roll everything back: both clouds are as they were."""
    for one in migrations:
        pair.roll_back(one)
    change_back(pair.site("source", name))
    after = pair.listings()
    for side in after:
        assert changes(before[side], after[side]) == []
    pair.record["rolled back"] = {side: sum(map(len, after[side].values())) for side in after}


def change(site):
    """One thing that is otherwise on the source, and one that is new."""
    tenant = site.login("alice")
    back = tenant.network.find_network("back")
    tenant.network.update_network(back, description="for the database alone")
    group = tenant.network.find_security_group("web", project_id=tenant.current_project_id)
    network(
        tenant,
        "security_group_rule",
        security_group_id=group.id,
        direction="ingress",
        protocol="tcp",
        port_range_min=8443,
        port_range_max=8443,
        remote_ip_prefix="192.0.2.0/24",
    )


def change_back(site):
    tenant = site.login("alice")
    back = tenant.network.find_network("back")
    tenant.network.update_network(back, description="the back network")
    query = f"/security-group-rules?port_range_min=8443&project_id={tenant.current_project_id}"
    for rule in ask(tenant, "GET", "network", query)["security_group_rules"]:
        ask(tenant, "DELETE", "network", f"/security-group-rules/{rule['id']}")
