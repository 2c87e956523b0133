"""Networks, address scopes, subnet pools, subnets and ports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.compare import differences
from pumphouse.model import Action, Inventory, Ref, Resource, Side
from pumphouse.resource import Policy, Severity
from pumphouse.steps import Create

from .harness import finish
from .tenancy import REGISTRY, Tenancy

NETWORK = REGISTRY["network"]
PORT = REGISTRY["port"]


@pytest.fixture
def tenancy(bench):
    return Tenancy(bench, Service.NETWORK)


@pytest.fixture
def project(bench):
    return bench.project("shop")


@pytest.fixture
def network(tenancy, project):
    body = {"name": "web", "project_id": project, "description": "the front", "mtu": 1400}
    identity = tenancy.network("/networks", {"network": body})
    tenancy.bench.source.put(Service.NETWORK, f"/networks/{identity}/tags", {"tags": ["blue"]})
    return identity


@pytest.fixture
def subnet(tenancy, project, network):
    body = {
        "name": "web-v4",
        "project_id": project,
        "network_id": network,
        "ip_version": 4,
        "cidr": "10.20.0.0/24",
        "gateway_ip": "10.20.0.254",
        "dns_nameservers": ["9.9.9.9", "1.1.1.1"],
        "allocation_pools": [{"start": "10.20.0.10", "end": "10.20.0.99"}],
        "host_routes": [{"destination": "10.99.0.0/16", "nexthop": "10.20.0.5"}],
        "enable_dhcp": False,
    }
    return tenancy.network("/subnets", {"subnet": body})


@pytest.fixture
def port(tenancy, project, network, subnet):
    group = tenancy.network("/security-groups", {"security_group": {"name": "web", "project_id": project}})
    body = {
        "name": "vip",
        "project_id": project,
        "network_id": network,
        "fixed_ips": [{"subnet_id": subnet, "ip_address": "10.20.0.50"}],
        "mac_address": "fa:16:3e:11:22:33",
        "security_groups": [group],
        "allowed_address_pairs": [{"ip_address": "10.20.0.51"}],
        "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}],
        "admin_state_up": False,
    }
    return tenancy.network("/ports", {"port": body})


def test_a_network_keeps_its_properties_and_tags(tenancy, network):
    made = tenancy.carry("network", network)
    body = tenancy.get(f"/networks/{made}")
    assert (body["name"], body["description"], body["mtu"]) == ("web", "the front", 1400)
    assert sorted(body["tags"]) == ["blue", f"pumphouse-source={network}"]
    assert tenancy.shown("network", made).made_from == network
    tenancy.undo()
    assert tenancy.shown("network", made) is None


@pytest.mark.parametrize("value", [True, False])
def test_port_security_is_kept_explicitly(tenancy, project, value):
    body = {"name": "raw", "project_id": project, "port_security_enabled": value, "admin_state_up": value}
    made = tenancy.carry("network", tenancy.network("/networks", {"network": body}))
    there = tenancy.get(f"/networks/{made}")
    assert (there["port_security_enabled"], there["admin_state_up"]) == (value, value)


@pytest.mark.parametrize("name", ["vlan_transparent", "qinq"])
def test_tags_inside_a_network_still_pass(tenancy, project, name):
    body = {"name": "trunked", "project_id": project, name: True}
    if not tenancy.bench.source.has_extension(name.replace("_", "-")):
        pytest.skip(f"the source has no {name}")
    made = tenancy.carry("network", tenancy.network("/networks", {"network": body}))
    assert tenancy.get(f"/networks/{made}")[name] is True


def test_null_of_an_old_cloud_is_not_sent(tenancy, network):
    resource = tenancy.resource("network", network)
    body = {**tenancy.get(f"/networks/{network}", side=Side.SOURCE), "port_security_enabled": None}
    assert "port_security_enabled" in resource.fields
    assert "port_security_enabled" not in NETWORK.read(body).fields


def test_a_network_is_shared_with_the_same_projects(tenancy, project, network):
    other = tenancy.bench.project("friend")
    stranger = tenancy.bench._project(Side.SOURCE, f"{tenancy.bench.prefix}-stranger")
    for target in (other, stranger):
        body = {
            "object_type": "network",
            "object_id": network,
            "action": "access_as_shared",
            "target_tenant": target,
        }
        tenancy.network("/rbac-policies", {"rbac_policy": body})
    resource = tenancy.resource("network", network)
    assert resource.fields["shared_with"] == sorted((other, stranger))
    made = tenancy.bench.carry(NETWORK, resource)
    friend = tenancy.bench.there("project", other)
    assert tenancy.shown("network", made).fields["shared_with"] == [friend]
    policies = tenancy.bench.destination.list(
        Service.NETWORK, "/rbac-policies", "rbac_policies", params={"object_id": made}
    )
    owner = tenancy.bench.there("project", project)
    assert [one["project_id"] for one in policies] == [owner]
    step = Create(tenancy.bench.context, tenancy.bench.item(NETWORK, resource))
    NETWORK.finish(tenancy.bench.destination, made, step.want(), there=None)
    NETWORK.update(tenancy.bench.destination, made, step.want(), {"shared_with": []})
    assert tenancy.shown("network", made).fields["shared_with"] == []
    tenancy.undo()


def test_a_network_shared_with_the_operators_project_alone_is_not_shared_with_all(tenancy, network):
    ref = Ref("project", tenancy.bench.source.project_id)
    tenancy.bench.ids.put(ref, tenancy.bench.destination.project_id, made=False)
    body = {"object_type": "network", "object_id": network, "action": "access_as_shared"}
    mine = {**body, "target_tenant": tenancy.bench.source.project_id}
    tenancy.network("/rbac-policies", {"rbac_policy": mine})
    assert tenancy.get(f"/networks/{network}", side=Side.SOURCE)["shared"] is True  # to who asks
    made = tenancy.carry("network", network)
    policies = tenancy.bench.destination.list(
        Service.NETWORK, "/rbac-policies", "rbac_policies", params={"object_id": made}
    )
    assert [one["target_tenant"] for one in policies] == [tenancy.bench.destination.project_id]
    tenancy.undo()


def test_an_external_network_is_mapped_by_its_name(tenancy):
    identity = tenancy.external(Side.SOURCE)
    resource = tenancy.resource("network", identity)
    assert NETWORK.policy(resource) is Policy.MAP
    assert NETWORK.identity(resource.fields, policy=Policy.MAP) == (resource.name,)
    (subnet, *_) = [one for one in tenancy.seen.of_type("subnet") if one.fields["network_id"] == identity]
    assert not REGISTRY["subnet"].selectable(subnet)


def test_networks_of_highly_available_routers_are_not_moved():
    body = {"id": "1", "name": "HA network tenant 123", "project_id": "", "router:external": False}
    assert not NETWORK.selectable(NETWORK.read(body))


def test_two_networks_of_one_name_are_told_apart(tenancy, project, network):
    other = tenancy.network("/networks", {"network": {"name": "web", "project_id": project}})
    first = tenancy.carry("network", network)
    resource = tenancy.resource("network", other)
    step = Create(tenancy.bench.context, tenancy.bench.item(NETWORK, resource))
    assert NETWORK.find(tenancy.bench.destination, step.want()) is None
    assert tenancy.carry("network", other) != first
    tenancy.undo()


def test_a_network_whose_tag_was_not_set_is_found(tenancy, network):
    resource = tenancy.resource("network", network)
    step = Create(tenancy.bench.context, tenancy.bench.item(NETWORK, resource))
    made = NETWORK.create(tenancy.bench.destination, step.want())
    tenancy.bench.journal.intend(resource.ref, "create", Side.DESTINATION)
    assert tenancy.carry("network", network) == made
    assert tenancy.get(f"/networks/{made}")["description"] == "the front"
    tenancy.undo()


def test_a_lost_answer_makes_no_second_network(tenancy, network, monkeypatch):
    resource = tenancy.resource("network", network)
    create = type(NETWORK).create
    answers = []

    def lose(self, cloud, want):
        made = create(self, cloud, want)
        answers.append(made)
        if len(answers) == 1:
            raise errors.Unsure("the answer was lost")
        return made

    monkeypatch.setattr(type(NETWORK), "create", lose)
    assert tenancy.bench.carry(NETWORK, resource) == answers[0]
    assert len(answers) == 1


def test_an_unknown_zone_blocks_and_a_large_mtu_warns(tenancy, network):
    resource = tenancy.resource("network", network)
    fields = {**resource.fields, "availability_zone_hints": ["mars"], "mtu": 9000}
    step = Create(tenancy.bench.context, tenancy.bench.item(NETWORK, replace(resource, fields=fields)))
    small = Resource(ref=Ref("network", "x"), name="x", fields={"mtu": 1450})
    destination = Inventory("destination", [small], facts={"network": {"network": ["nova"]}})
    found = {one.field: one.severity for one in NETWORK.check(step.want(), destination, exists=False)}
    assert found == {"availability_zone_hints": Severity.BLOCK, "mtu": Severity.WARNING}


def test_a_subnet_keeps_everything_and_the_order_of_its_name_servers(tenancy, subnet):
    made = tenancy.carry("subnet", subnet)
    body = tenancy.get(f"/subnets/{made}")
    assert body["dns_nameservers"] == ["9.9.9.9", "1.1.1.1"]
    assert body["gateway_ip"] == "10.20.0.254"
    assert body["allocation_pools"] == [{"start": "10.20.0.10", "end": "10.20.0.99"}]
    assert body["enable_dhcp"] is False
    tenancy.undo()
    assert tenancy.shown("subnet", made) is None


def test_another_order_of_name_servers_is_a_difference():
    kind = REGISTRY["subnet"]
    want, have = {"dns_nameservers": ["9.9.9.9", "1.1.1.1"]}, {"dns_nameservers": ["1.1.1.1", "9.9.9.9"]}
    assert [one.field for one in differences(kind, want, have)] == ["dns_nameservers"]


def test_no_gateway_stays_none(tenancy, project, network):
    body = {"project_id": project, "network_id": network, "ip_version": 4, "cidr": "10.30.0.0/24"}
    subnet = tenancy.network("/subnets", {"subnet": {**body, "gateway_ip": None}})
    assert tenancy.get(f"/subnets/{tenancy.carry('subnet', subnet)}")["gateway_ip"] is None


def test_an_ipv6_subnet_keeps_its_modes(tenancy, project, network):
    body = {
        "project_id": project,
        "network_id": network,
        "ip_version": 6,
        "cidr": "fd00:20::/64",
        "ipv6_address_mode": "slaac",
        "ipv6_ra_mode": "slaac",
    }
    made = tenancy.get(f"/subnets/{tenancy.carry('subnet', tenancy.network('/subnets', {'subnet': body}))}")
    assert (made["ipv6_address_mode"], made["ipv6_ra_mode"], made["cidr"]) == (
        "slaac",
        "slaac",
        "fd00:20::/64",
    )


@pytest.mark.parametrize("pooled", [True, False])
def test_a_subnet_of_a_pool(tenancy, project, network, pooled):
    scope = {"name": "routed", "project_id": project, "ip_version": 4}
    scope = tenancy.network("/address-scopes", {"address_scope": scope})
    pool = {"name": "pool", "project_id": project, "prefixes": ["10.64.0.0/16"], "default_prefixlen": 24}
    pool = tenancy.network("/subnetpools", {"subnetpool": {**pool, "address_scope_id": scope}})
    body = {"project_id": project, "network_id": network, "ip_version": 4, "subnetpool_id": pool}
    subnet = tenancy.network("/subnets", {"subnet": body})
    cidr = tenancy.resource("subnet", subnet).fields["cidr"]
    if not pooled:
        tenancy.carry("network", network)
        fields = tenancy.resource("subnet", subnet).fields
        plain = replace(tenancy.resource("subnet", subnet), fields={**fields, "subnetpool_id": None})
        there = tenancy.get(f"/subnets/{tenancy.bench.carry(REGISTRY['subnet'], plain)}")
        assert (there["cidr"], there["subnetpool_id"]) == (cidr, None)
        return
    there = tenancy.get(f"/subnets/{tenancy.carry('subnet', subnet)}")
    assert (there["cidr"], there["subnetpool_id"]) == (cidr, tenancy.bench.there("subnet_pool", pool))
    made = tenancy.shown("subnet_pool", there["subnetpool_id"])
    assert made.fields["address_scope_id"] == tenancy.bench.there("address_scope", scope)
    tenancy.undo()
    assert tenancy.shown("subnet_pool", made.ref.id) is None


def test_prefixes_that_another_pool_of_the_scope_has_block(tenancy):
    kind = REGISTRY["subnet_pool"]
    fields = {"prefixes": ["10.0.0.0/8"], "address_scope_id": "s"}
    pool = Resource(ref=Ref("subnet_pool", "p"), name="pool", fields=fields)
    step = Create(tenancy.bench.context, tenancy.bench.item(kind, pool))
    tenancy.bench.ids.put(Ref("address_scope", "s"), "s", made=True)
    there = Resource(ref=Ref("subnet_pool", "q"), name="other", fields=fields)
    (problem,) = kind.check(step.want(), Inventory("destination", [there]), exists=False)
    assert (problem.severity, problem.field) == (Severity.BLOCK, "prefixes")


def test_a_delegated_prefix_is_no_pool():
    body = {"id": "1", "network_id": "n", "cidr": "::/64", "subnetpool_id": "prefix_delegation"}
    assert REGISTRY["subnet"].read(body).fields["subnetpool_id"] is None


def test_a_subnet_that_overlaps_is_found_beforehand(tenancy, network, subnet):
    made = tenancy.carry("network", network)
    body = {"network_id": made, "ip_version": 4, "cidr": "10.20.0.0/25"}
    tenancy.network("/subnets", {"subnet": body}, side=Side.DESTINATION)
    kind = REGISTRY["subnet"]
    step = Create(tenancy.bench.context, tenancy.bench.item(kind, tenancy.resource("subnet", subnet)))
    (problem,) = kind.check(step.want(), tenancy.destination(), exists=False)
    assert problem.severity is Severity.BLOCK
    assert "10.20.0.0/25" in problem.summary
    assert list(kind.check(step.want(), tenancy.destination(), exists=True)) == []


def test_a_port_is_made_before_its_server_with_all_it_has(tenancy, port):
    made = tenancy.carry("port", port)
    body = tenancy.get(f"/ports/{made}")
    assert body["mac_address"] == "fa:16:3e:11:22:33"
    assert [one["ip_address"] for one in body["fixed_ips"]] == ["10.20.0.50"]
    assert body["security_groups"] == [
        tenancy.bench.there("security_group", tenancy.resource("port", port).fields["security_groups"][0])
    ]
    assert (body["device_id"], body["device_owner"], body["admin_state_up"]) == ("", "", False)
    assert [one["ip_address"] for one in body["allowed_address_pairs"]] == ["10.20.0.51"]
    tenancy.undo()
    assert tenancy.shown("port", made) is None


@pytest.mark.parametrize("secured", [True, False])
def test_no_security_groups_is_not_the_default_one(tenancy, project, network, secured):
    body = {
        "project_id": project,
        "network_id": network,
        "security_groups": [],
        "port_security_enabled": secured,
    }
    made = tenancy.get(f"/ports/{tenancy.carry('port', tenancy.network('/ports', {'port': body}))}")
    assert made["security_groups"] == []
    assert made["port_security_enabled"] is secured


def test_a_port_without_addresses_gets_none(tenancy, project, network, subnet):
    tenancy.look()
    tenancy.carry("subnet", subnet)
    body = {"project_id": project, "network_id": network, "fixed_ips": []}
    port = tenancy.network("/ports", {"port": body})
    tenancy.look()
    assert tenancy.get(f"/ports/{tenancy.carry('port', port)}")["fixed_ips"] == []


def test_what_a_server_makes_of_its_port_is_no_difference(tenancy, port):
    made = tenancy.carry("port", port)
    body = {"port": {"device_id": "some-server", "device_owner": "compute:nova"}}
    tenancy.bench.destination.put(Service.NETWORK, f"/ports/{made}", body)
    tenancy.bench.step(PORT, tenancy.resource("port", port), "verify")


def test_addresses_in_use_are_found_beforehand(tenancy, port, network, subnet):
    there, below = tenancy.carry("network", network), tenancy.carry("subnet", subnet)
    body = {"network_id": there, "fixed_ips": [{"subnet_id": below, "ip_address": "10.20.0.50"}]}
    body |= {"device_owner": "network:dhcp", "device_id": "agent"}
    taker = tenancy.network("/ports", {"port": body}, side=Side.DESTINATION)
    body = {"network_id": there, "mac_address": "fa:16:3e:11:22:33"}
    other = tenancy.network("/ports", {"port": body}, side=Side.DESTINATION)
    step = Create(tenancy.bench.context, tenancy.bench.item(PORT, tenancy.resource("port", port)))
    found = list(PORT.check(step.want(), tenancy.destination(), exists=False))
    assert {one.field: one.severity for one in found} == {
        "mac_address": Severity.BLOCK,
        "fixed_ips": Severity.BLOCK,
    }
    by_field = {one.field: one.summary for one in found}
    assert other in by_field["mac_address"]
    assert taker in by_field["fixed_ips"]
    assert "network:dhcp agent" in by_field["fixed_ips"]


@pytest.mark.parametrize(
    ("owner", "moved"),
    [
        ("", True),
        ("compute:nova", True),
        ("compute:az2", True),
        ("network:dhcp", False),
        ("trunk:subport", False),
    ],
)
def test_which_ports_are_moved(owner, moved):
    body = {"id": "1", "network_id": "n", "mac_address": "m", "device_owner": owner, "device_id": "d"}
    assert PORT.selectable(PORT.read(body)) is moved


def test_a_port_right_on_an_external_network_gets_another_address(tenancy, project):
    public = tenancy.external(Side.SOURCE)
    tenancy.external(Side.DESTINATION)
    port = tenancy.network("/ports", {"port": {"project_id": project, "network_id": public}})
    resource = tenancy.resource("port", port)
    assert [one.severity for one in PORT.refuse(resource, tenancy.seen)] == [Severity.LOST]
    assert len(tenancy.get(f"/ports/{tenancy.carry('port', port)}")["fixed_ips"]) == 1


def test_changed_fields_are_set_and_put_back(tenancy, port):
    made = tenancy.carry("port", port)
    resource = tenancy.resource("port", port)
    fields = {**resource.fields, "name": "new", "security_groups": [], "tags": ["x"]}
    before = {name: tenancy.shown("port", made).fields[name] for name in ("name", "security_groups", "tags")}
    tenancy.bench.journal.entries.clear()
    item = tenancy.bench.item(
        PORT,
        replace(resource, fields=fields),
        action=Action.UPDATE,
        destination_id=made,
        changed=("name", "security_groups", "tags"),
    )
    step = Create(tenancy.bench.context, item)
    assert finish(step) == made
    body = tenancy.get(f"/ports/{made}")
    assert (body["name"], body["security_groups"]) == ("new", [])
    assert sorted(body["tags"]) == [f"pumphouse-source={port}", "x"]
    step.undo(tenancy.bench.journal.open()[0])
    there = tenancy.shown("port", made)
    assert {name: there.fields[name] for name in before} == before


BODIES = {"port": {"fixed_ips": [{"ip_address": "10.0.0.9"}]}, "router": {"gateway": {}}}


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("network", {"qos_policy_id": "slow"}, "qos_policy_id"),
        ("subnet", {"segment_id": "rack-1"}, "segment_id"),
        ("port", {"qos_policy_id": "slow"}, "qos_policy_id"),
        ("port", {"trunk_details": {"trunk_id": "bundle"}}, "trunk_details"),
        ("port", {"on_external": True}, "fixed_ips"),
        ("router", {"qos_policy_id": "slow"}, "qos_policy_id"),
        ("router", {"gateway": {"qos_policy_id": "slow"}}, "qos_policy_id"),
        (
            "router",
            {"gateway": {"external_fixed_ips": [{"ip_address": "203.0.113.7"}]}},
            "external_fixed_ips",
        ),
        ("router", {"conntrack_helpers": [{"helper": "tftp"}]}, "conntrack_helpers"),
        ("router", {"external_gateways": [{}, {}]}, "external_gateways"),
        ("floating_ip", {"qos_policy_id": "slow"}, "qos_policy_id"),
        ("floating_ip", {"port_forwardings": [{"external_port": 80}]}, "port_forwardings"),
    ],
)
def test_what_does_not_come_along_is_told(kind, body, field):
    def told(body):
        facts = REGISTRY[kind].facts({**BODIES.get(kind, {}), **body})
        return list(
            REGISTRY[kind].refuse(Resource(ref=Ref(kind, "x"), name="x", facts=facts), Inventory("source"))
        )

    assert told({}) == []
    (problem,) = told(body)
    assert (problem.severity, problem.field) == (Severity.LOST, field)
    assert problem.next_step
