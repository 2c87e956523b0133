"""Security groups and their rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.model import Ref, Side
from pumphouse.resource import Severity
from pumphouse.security_rules import normal, says
from pumphouse.steps import Create

from .tenancy import REGISTRY, Tenancy

GROUP = REGISTRY["security_group"]
RULE = REGISTRY["security_group_rule"]


@pytest.fixture
def tenancy(bench):
    return Tenancy(bench, Service.NETWORK)


@pytest.fixture
def project(bench):
    return bench.project("shop")


def make_group(tenancy, project, name, **more):
    return tenancy.network(
        "/security-groups", {"security_group": {"name": name, "project_id": project, **more}}
    )


def make_rule(tenancy, project, group, **more):
    body = {
        "security_group_id": group,
        "project_id": project,
        "direction": "ingress",
        "ethertype": "IPv4",
        **more,
    }
    return tenancy.network("/security-group-rules", {"security_group_rule": body})


def rules(tenancy, group, side=Side.DESTINATION):
    """What the rules of a group say, sorted."""
    body = tenancy.get(f"/security-groups/{group}", side=side)
    return sorted((says(rule, group=group) for rule in body["security_group_rules"]), key=repr)


def drop_rules(tenancy, group, direction):
    for rule in tenancy.get(f"/security-groups/{group}", side=Side.SOURCE)["security_group_rules"]:
        if rule["direction"] == direction:
            tenancy.bench.source.delete(Service.NETWORK, f"/security-group-rules/{rule['id']}")


def carry_with_rules(tenancy, group):
    """Carry a group and then its rules, as a plan orders them."""
    tenancy.look()
    made = tenancy.carry("security_group", group)
    for rule in tenancy.seen.of_type("security_group_rule"):
        if rule.fields["security_group_id"] == group:
            tenancy.carry("security_group_rule", rule.ref.id)
    return made


def test_a_group_has_exactly_the_rules_of_the_source(tenancy, project):
    group = make_group(tenancy, project, "web", description="the front")
    make_rule(
        tenancy, project, group, protocol="tcp", port_range_min=443, port_range_max=443, description="https"
    )
    make_rule(tenancy, project, group, protocol="icmp", remote_ip_prefix="10.0.0.0/8")
    made = carry_with_rules(tenancy, group)
    assert rules(tenancy, made) == rules(tenancy, group, Side.SOURCE)
    body = tenancy.get(f"/security-groups/{made}")
    assert body["description"] == "the front"
    assert "https" in [rule["description"] for rule in body["security_group_rules"]]
    assert tenancy.shown("security_group", made).made_from == group
    tenancy.undo()
    assert tenancy.shown("security_group", made) is None


def test_automatic_egress_rules_that_the_source_lacks_are_removed_at_once(tenancy, project):
    group = make_group(tenancy, project, "closed")
    drop_rules(tenancy, group, "egress")
    made = tenancy.carry("security_group", group)
    assert rules(tenancy, made) == []


def test_running_again_keeps_the_rules_that_came_since(tenancy, project):
    group = make_group(tenancy, project, "closed")
    drop_rules(tenancy, group, "egress")
    make_rule(tenancy, project, group, protocol="tcp", port_range_min=22, port_range_max=22)
    made = carry_with_rules(tenancy, group)
    tenancy.bench.step(GROUP, tenancy.resource("security_group", group), "create")
    assert rules(tenancy, made) == rules(tenancy, group, Side.SOURCE)


def test_a_stateless_group_stays_so(tenancy, project):
    made = tenancy.carry("security_group", make_group(tenancy, project, "fast", stateful=False))
    assert tenancy.get(f"/security-groups/{made}")["stateful"] is False


def test_groups_that_name_each_other(tenancy, project):
    web, app = make_group(tenancy, project, "web"), make_group(tenancy, project, "app")
    to_app = make_rule(tenancy, project, app, protocol="tcp", remote_group_id=web)
    to_web = make_rule(tenancy, project, web, protocol="udp", remote_group_id=app)
    made = [tenancy.carry("security_group_rule", rule) for rule in (to_app, to_web)]
    there = [tenancy.shown("security_group_rule", rule).fields for rule in made]
    web_there, app_there = (tenancy.bench.there("security_group", group) for group in (web, app))
    assert [(one["security_group_id"], one["remote_group_id"]) for one in there] == [
        (app_there, web_there),
        (web_there, app_there),
    ]
    tenancy.bench.step(GROUP, tenancy.resource("security_group", web), "create")  # again, after a pause
    assert tenancy.shown("security_group_rule", made[1]) is not None
    tenancy.undo()


def test_the_default_group_becomes_the_sources(tenancy, project):
    cloud = tenancy.bench.source
    params = {"project_id": project}
    (group,) = cloud.list(Service.NETWORK, "/security-groups", "security_groups", params=params)
    drop_rules(tenancy, group["id"], "ingress")
    make_rule(tenancy, project, group["id"], protocol="tcp", port_range_min=80, port_range_max=80)
    made = carry_with_rules(tenancy, group["id"])
    assert tenancy.get(f"/security-groups/{made}")["name"] == "default"
    assert rules(tenancy, made) == rules(tenancy, group["id"], Side.SOURCE)
    assert not [one for one in rules(tenancy, made) if "itself" in one]
    tenancy.undo()
    with pytest.raises(errors.NotFound):
        tenancy.get(f"/security-groups/{made}")


def test_an_equal_rule_that_is_there_is_used_and_never_removed(tenancy, project):
    group = make_group(tenancy, project, "web")
    tenancy.look()
    made = tenancy.carry("security_group", group)
    egress = [
        one for one in tenancy.seen.of_type("security_group_rule") if one.fields["security_group_id"] == group
    ]
    ids = {tenancy.carry("security_group_rule", rule.ref.id) for rule in egress}
    before = {rule["id"] for rule in tenancy.get(f"/security-groups/{made}")["security_group_rules"]}
    assert ids == before
    adopted = [one.detail.get("adopted") for one in tenancy.bench.journal.open() if one.ref.type == RULE.name]
    assert adopted == [True, True]


def test_a_rule_keeps_its_spelling_and_is_the_same_in_another(tenancy, project):
    group = make_group(tenancy, project, "web")
    rule = make_rule(tenancy, project, group, protocol="6", remote_ip_prefix="0.0.0.0/0")
    made = carry_with_rules(tenancy, group)
    resource = tenancy.resource("security_group_rule", rule)
    there = RULE.show(
        tenancy.bench.destination, tenancy.bench.there("security_group_rule", rule), project_id=None
    )
    for found in (resource, there):
        assert (found.fields["protocol"], found.fields["remote_ip_prefix"]) == ("6", "0.0.0.0/0")
    other = replace(there, fields={**there.fields, "protocol": "tcp", "remote_ip_prefix": None})
    assert RULE.identity(other.fields) == RULE.identity(there.fields)
    changed = {field.name for field in RULE.carried() if RULE.may_change(field, resource, other)}
    assert changed >= {"protocol", "remote_ip_prefix"}
    assert not RULE.may_change(
        next(field for field in RULE.carried() if field.name == "protocol"),
        resource,
        replace(there, fields={**there.fields, "protocol": "udp"}),
    )
    assert resource.name == "web: ingress IPv4 tcp from any"
    step = Create(tenancy.bench.context, tenancy.bench.item(RULE, resource))
    assert RULE.find(tenancy.bench.destination, step.want()) == tenancy.bench.there(
        "security_group_rule", rule
    )
    assert rules(tenancy, made) == rules(tenancy, group, Side.SOURCE)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"protocol": "17"}, {"protocol": "udp"}),
        ({"protocol": 6}, {"protocol": "tcp"}),
        ({"protocol": "TCP"}, {"protocol": "tcp"}),
        ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp"}),
        ({"protocol": "1", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp"}),
        ({"protocol": "icmpv6", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp"}),
        ({"protocol": "200"}, {"protocol": "200"}),
        ({"remote_ip_prefix": "::/0"}, {"remote_ip_prefix": None}),
        ({"remote_ip_prefix": "10.0.0.0/8"}, {"remote_ip_prefix": "10.0.0.0/8"}),
        (
            {"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535},
            {"port_range_min": None, "port_range_max": None},
        ),
        ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 65535}, {"port_range_min": 0}),
    ],
)
def test_spellings(given, meant):
    form = normal({"direction": "ingress", "ethertype": "IPv4", **given})
    assert {name: form[name] for name in meant} == meant


def test_a_rule_with_an_address_group_blocks():
    body = {
        "id": "1",
        "security_group_id": "g",
        "direction": "ingress",
        "ethertype": "IPv4",
        "remote_address_group_id": "a",
    }
    (problem,) = RULE.refuse(RULE.read(body), None)
    assert problem.severity is Severity.BLOCK


def test_a_rule_of_others_and_one_with_an_address_group_are_not_taken_for_ours(tenancy, project):
    group = make_group(tenancy, project, "web")
    rule = make_rule(tenancy, project, group, protocol="tcp")
    made = tenancy.carry("security_group", group)
    there = tenancy.bench.there("project", project)
    addresses = {"name": "offices", "addresses": ["192.0.2.0/24"], "project_id": there}
    offices = tenancy.network("/address-groups", {"address_group": addresses}, side=Side.DESTINATION)
    body = {"security_group_id": made, "project_id": there, "direction": "ingress", "ethertype": "IPv4"}
    body |= {"protocol": "tcp"}
    narrow = {"security_group_rule": {**body, "remote_address_group_id": offices}}
    tenancy.network("/security-group-rules", narrow, side=Side.DESTINATION)
    resource, cloud = tenancy.resource("security_group_rule", rule), tenancy.bench.destination
    want = Create(tenancy.bench.context, tenancy.bench.item(RULE, resource)).want()
    assert RULE.find(cloud, want) is None
    theirs = tenancy.network("/security-group-rules", {"security_group_rule": body}, side=Side.DESTINATION)
    assert RULE.find(cloud, want) == theirs
    assert RULE.find(cloud, replace(want, others=frozenset({theirs}))) is None


def test_a_rule_belongs_to_its_groups_project_whoever_made_it(tenancy, project):
    group = make_group(tenancy, project, "web")
    rule = make_rule(tenancy, tenancy.bench.source.project_id, group, protocol="tcp")
    made = tenancy.carry("security_group_rule", rule)
    assert tenancy.resource("security_group_rule", rule).project_id == project
    body = tenancy.get(f"/security-group-rules/{made}")
    assert body["project_id"] == tenancy.bench.there("project", project)


def test_an_interrupted_group_is_found_among_those_of_its_name(tenancy, project):
    group = make_group(tenancy, project, "web")
    tenancy.network(
        "/security-groups",
        {"security_group": {"name": "web", "project_id": tenancy.bench.there("project", project)}},
        side=Side.DESTINATION,
    )
    resource = tenancy.resource("security_group", group)
    step = Create(tenancy.bench.context, tenancy.bench.item(GROUP, resource))
    assert GROUP.find(tenancy.bench.destination, step.want()) is None
    made = GROUP.create(tenancy.bench.destination, step.want())
    tenancy.bench.journal.intend(Ref("security_group", group), "create", Side.DESTINATION)
    assert tenancy.carry("security_group", group) == made
