"""What Neutron refuses."""

from __future__ import annotations

import pytest

from .refusals import World, table


def one(kind, **values):
    return {kind: values}


def subnet(**change):
    return one("subnet", **{"network_id": "{empty}", "ip_version": 4, "cidr": "10.9.0.0/24", **change})


def subnet6(**change):
    return subnet(ip_version=6, **{"cidr": "2001:db8::/64", **change})


def port(**change):
    return one("port", **{"network_id": "{web}", **change})


def rule(**change):
    return one("security_group_rule", **{"security_group_id": "{group}", "direction": "ingress", **change})


def gateway(**info):
    return one("router", external_gateway_info={"network_id": "{public}", **info})


BASE = "/network/v2.0"


def make(world, name, who, path, body):
    return world.make(name, who, f"POST {BASE}{path}", body)


def _networks(world):
    """Networks, ports and groups."""
    make(world, "public", "admin", "/networks", one("network", name="public", **{"router:external": True}))
    make(world, "public6", "admin", "/networks", one("network", name="public6", **{"router:external": True}))
    make(
        world,
        "out",
        "admin",
        "/subnets",
        subnet(network_id="{public}", cidr="203.0.113.0/24", enable_dhcp=False),
    )
    for name, cidr in (("web", "10.0.0.0/24"), ("data", "10.1.0.0/24"), ("twin", "10.0.0.0/25")):
        make(world, name, "ann", "/networks", one("network", name=name))
        make(world, f"{name}-v4", "ann", "/subnets", subnet(network_id=f"{{{name}}}", cidr=cidr))
    make(world, "empty", "ann", "/networks", one("network", name="empty"))
    make(world, "blind", "ann", "/subnets", subnet(network_id="{empty}", cidr="10.7.0.0/24", gateway_ip=None))
    make(world, "theirs", "bob", "/networks", one("network", name="theirs"))
    make(world, "theirs-v4", "bob", "/subnets", subnet(network_id="{theirs}", cidr="10.8.0.0/24"))
    make(world, "common", "admin", "/networks", one("network", name="common", shared=True))
    make(world, "common-v4", "admin", "/subnets", subnet(network_id="{common}", cidr="10.6.0.0/24"))
    make(world, "group", "ann", "/security-groups", one("security_group", name="group"))
    make(world, "default", "ann", "/ports", port(name="own"))
    groups = world.cloud.table("security_groups").find(project_id=world.ids["shop"], name="default")
    world.ids["default"] = groups[0]["id"]
    make(
        world, "addresses", "ann", "/address-groups", one("address_group", name="a", addresses=["10.0.0.0/8"])
    )
    make(
        world,
        "rule",
        "ann",
        "/security-group-rules",
        rule(protocol="tcp", remote_address_group_id="{addresses}"),
    )
    make(world, "port", "ann", "/ports", port(name="port", security_groups=["{group}"]))
    make(
        world,
        "pair",
        "ann",
        "/ports",
        port(fixed_ips=[{"ip_address": "10.0.0.50"}, {"ip_address": "10.0.0.51"}]),
    )
    make(world, "naked", "ann", "/ports", port(fixed_ips=[]))
    make(world, "their-port", "bob", "/ports", port(network_id="{theirs}"))
    make(world, "bound", "admin", "/ports", port(project_id="{shop}", **{"binding:host_id": "compute-1"}))


def _what_hangs_on_them(world):
    """Routers, floating addresses, pools, policies, trunks and sharing."""
    make(world, "router", "ann", "/routers", one("router", name="router", **gateway()["router"]))
    world.ask("ann", f"PUT {BASE}/routers/{{router}}/add_router_interface", {"subnet_id": "{web-v4}"})
    world.ids["interface"] = next(
        row["id"] for row in world.cloud.table("ports") if row["device_owner"] == "network:router_interface"
    )
    route = {"routes": [{"destination": "10.99.0.0/24", "nexthop": "10.0.0.9"}]}
    world.ask("ann", f"PUT {BASE}/routers/{{router}}", one("router", **route))
    make(world, "idle", "ann", "/routers", one("router", name="idle"))
    make(
        world,
        "floating",
        "ann",
        "/floatingips",
        one("floatingip", floating_network_id="{public}", port_id="{port}"),
    )
    make(world, "scope", "ann", "/address-scopes", one("address_scope", name="scope", ip_version=4))
    make(
        world,
        "open",
        "admin",
        "/address-scopes",
        one("address_scope", name="open", ip_version=4, shared=True),
    )
    make(
        world,
        "pool",
        "ann",
        "/subnetpools",
        one(
            "subnetpool",
            name="pool",
            prefixes=["10.64.0.0/16"],
            default_prefixlen=24,
            min_prefixlen=20,
            max_prefixlen=28,
            address_scope_id="{scope}",
        ),
    )
    make(
        world,
        "cut",
        "ann",
        "/subnets",
        one("subnet", network_id="{data}", ip_version=4, subnetpool_id="{pool}", cidr="10.64.0.0/24"),
    )
    make(
        world,
        "first",
        "admin",
        "/subnetpools",
        one("subnetpool", name="first", prefixes=["10.65.0.0/16"], is_default=True),
    )
    make(world, "policy", "admin", "/qos/policies", one("policy", name="policy", shared=True))
    limit = one("bandwidth_limit_rule", max_kbps=1000)
    make(world, "limit", "admin", "/qos/policies/{policy}/bandwidth_limit_rules", limit)
    make(world, "slow", "ann", "/ports", port(qos_policy_id="{policy}"))
    make(world, "parent", "ann", "/ports", port(name="parent"))
    make(world, "sub", "ann", "/ports", port(name="sub"))
    make(
        world,
        "trunk",
        "ann",
        "/trunks",
        one("trunk", port_id="{parent}", sub_ports=[{"port_id": "{sub}", "segmentation_id": 7}]),
    )
    sharing = one(
        "rbac_policy",
        object_type="network",
        object_id="{data}",
        action="access_as_shared",
        target_tenant="{lab}",
    )
    make(world, "sharing", "ann", "/rbac-policies", sharing)
    make(world, "guest", "bob", "/ports", port(network_id="{data}"))
    make(
        world,
        "external",
        "admin",
        "/rbac-policies",
        one(
            "rbac_policy",
            object_type="network",
            object_id="{common}",
            action="access_as_external",
            target_tenant="{shop}",
        ),
    )
    make(
        world,
        "way-out",
        "ann",
        "/routers",
        one("router", name="w", external_gateway_info={"network_id": "{common}"}),
    )
    none = dict.fromkeys(("router", "subnetpool"), 0)
    world.ask("admin", f"PUT {BASE}/quotas/{{lab}}", {"quota": none})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A project's networks, a router between them, all that hangs on it, and somebody else's."""
    world = World(tmp_path_factory.mktemp("network"))
    _networks(world)
    _what_hangs_on_them(world)
    yield world
    world.stop()


@table(
    "/network/v2.0",
    ("nobody", "GET /networks", None, 401, "requires authentication"),
    ("rita", "POST /networks", one("network", name="x"), 403, "rule:create_network is disallowed by policy"),
    ("ann", "POST /networks", [], 400, "Resource body required"),
    ("ann", "POST /networks", b"{", 400, "malformed"),
    ("ann", "POST /networks", {}, 400, "Unable to find 'network' in request body"),
    ("ann", "POST /networks", {"networks": []}, 400, "Resources required"),
    ("ann", "POST /networks", one("network", paint="red"), 400, "Unrecognized attribute(s) 'paint'"),
    ("ann", "POST /networks", one("network", status="UP"), 400, "Attribute 'status' not allowed in POST"),
    ("ann", "POST /networks", one("network", name=5), 400, "'5' is not a valid string"),
    (
        "ann",
        "POST /networks",
        one("network", admin_state_up="perhaps"),
        400,
        "Invalid input for admin_state_up",
    ),
    ("ann", "POST /networks", one("network", mtu="much"), 400, "'much' is not an integer"),
    ("ann", "POST /networks", one("network", mtu=-1), 400, "is not in the range"),
    ("ann", "POST /networks", one("network", shared=True), 403, "create_network:shared"),
    ("ann", "POST /networks", one("network", project_id="{lab}"), 403, "rule:create_network is disallowed"),
    ("ann", "POST /networks", one("network", project_id="{lab}", tenant_id="{shop}"), 400, "do not match"),
    ("ann", "POST /networks", one("network", availability_zone_hints=["mars"]), 404, "AvailabilityZone mars"),
    ("ann", "POST /networks", one("network", qos_policy_id="{nope}"), 404, "QoS policy {nope} could not be"),
    ("ann", "GET /networks/{theirs}", None, 404, "Network {theirs} could not be found"),
    ("ann", "GET /networks?paint=red", None, 400, "['paint'] is invalid attribute for filtering"),
    ("ann", "GET /networks?limit=all", None, 400, "Limit must be an integer 0 or greater and not 'all'"),
    ("ann", "GET /networks?marker={nope}&limit=1", None, 400, "'{nope}' is unknown"),
    ("ann", "GET /networks?marker={nope}&sort_key=name", None, 400, "'{nope}' is unknown"),
    ("ann", "PUT /networks/{common}", one("network", name="x"), 403, "(rule:update_network) is disallowed"),
    ("ann", "PUT /networks/{web}", one("network", id="{nope}"), 400, "Cannot update read-only attribute id"),
    ("ann", "PUT /networks/{web}", one("network", shared=True), 403, "update_network:shared"),
    ("ann", "DELETE /networks/{common}", None, 403, "(rule:delete_network) is disallowed"),
    ("ann", "DELETE /networks/{web}", None, 409, "There are one or more ports still in use"),
    (
        "admin",
        "PUT /networks/{web}",
        {"network": {"provider:segmentation_id": 9}},
        400,
        "not support updating",
    ),
    ("ann", "PUT /networks/{common}/tags/x", None, 403, "update_networks_tags"),
    ("ann", "PUT /networks/{web}/tags", {}, 400, "Invalid tags body"),
    ("ann", "PUT /networks/{web}/tags", {"tags": "blue"}, 400, "'blue' is not a list"),
    ("ann", "PUT /networks/{web}/tags", {"tags": ["a", "a"]}, 400, "Duplicate items in the list"),
    ("ann", "PUT /networks/{web}/tags/" + "x" * 61, None, 400, "exceeds maximum length of 60"),
    ("ann", "GET /networks/{web}/tags/no", None, 404, "Tag no could not be found"),
    ("ann", "DELETE /networks/{web}/tags/no", None, 404, "Tag no could not be found"),
    ("ann", "GET /extensions/no", None, 404, "Extension with alias no does not exist"),
    ("ann", "GET /agents", None, 403, "get_agent"),
    ("ann", "GET /network-ip-availabilities", None, 403, "get_network_ip_availability"),
)
def test_networks_that_are_refused(world, case):
    world.check(case)


@table(
    "/network/v2.0/subnets",
    ("ann", "POST ", one("subnet", ip_version=4), 400, "Required attribute 'network_id' not specified"),
    ("ann", "POST ", subnet(network_id="no"), 400, "'no' is not a valid UUID"),
    ("ann", "POST ", subnet(network_id="{nope}"), 404, "Network {nope} could not be found"),
    ("ann", "POST ", subnet(network_id="{common}"), 403, "is disallowed by policy"),
    ("ann", "POST ", subnet(cidr="10.9.0.0/33"), 400, "is not a valid IP subnet"),
    ("ann", "POST ", subnet(ip_version=5), 400, "'5' is not in [4, 6]"),
    ("ann", "POST ", subnet(ip_version=6), 400, "does not match the ip_version '6'"),
    ("ann", "POST ", subnet(cidr="0.0.0.0/0"), 400, "0 is not allowed as CIDR prefix length"),
    ("ann", "POST ", subnet(cidr="10.9.0.0/31"), 400, "incompatible with DHCP"),
    ("ann", "POST ", subnet(cidr="224.0.0.0/24"), 400, "Multicast IP subnet is not supported"),
    ("ann", "POST ", subnet(cidr="127.0.0.0/24"), 400, "Loopback IP subnet is not supported"),
    ("ann", "POST ", subnet(cidr="10.7.0.128/25"), 400, "overlaps with another subnet"),
    ("ann", "POST ", subnet(gateway_ip="no"), 400, "'no' is not a valid IP address"),
    ("ann", "POST ", subnet(gateway_ip="2001:db8::1"), 400, "gateway_ip '2001:db8::1' does not match"),
    ("ann", "POST ", subnet(gateway_ip="10.9.0.255"), 400, "Gateway is not valid on subnet"),
    ("ann", "POST ", subnet(allocation_pools=[{"start": "10.9.0.9"}]), 400, "Expected keys not found: end"),
    (
        "ann",
        "POST ",
        subnet(allocation_pools=[{"start": "10.9.0.9", "end": "10.9.0.5"}]),
        400,
        "is not valid",
    ),
    (
        "ann",
        "POST ",
        subnet(allocation_pools=[{"start": "10.9.0.9", "end": "10.9.1.5"}]),
        400,
        "spans beyond",
    ),
    (
        "ann",
        "POST ",
        subnet(
            allocation_pools=[
                {"start": "10.9.0.5", "end": "10.9.0.9"},
                {"start": "10.9.0.9", "end": "10.9.0.20"},
            ]
        ),
        409,
        "Found overlapping allocation pools",
    ),
    (
        "ann",
        "POST ",
        subnet(gateway_ip="10.9.0.9", allocation_pools=[{"start": "10.9.0.5", "end": "10.9.0.9"}]),
        409,
        "conflicts with allocation pool",
    ),
    (
        "ann",
        "POST ",
        subnet(dns_nameservers=[f"9.9.9.{n}" for n in range(6)]),
        400,
        "DNS nameservers exceeds",
    ),
    (
        "ann",
        "POST ",
        subnet(dns_nameservers=["2001:db8::1"]),
        400,
        "dns_nameserver '2001:db8::1' does not match",
    ),
    (
        "ann",
        "POST ",
        subnet(host_routes=[{"destination": f"10.{n}.0.0/16", "nexthop": "10.9.0.5"} for n in range(21)]),
        400,
        "host routes exceeds the limit",
    ),
    (
        "ann",
        "POST ",
        subnet(host_routes=[{"destination": "10.0.0.0/16", "nexthop": "2001:db8::1"}]),
        400,
        "nexthop '2001:db8::1' does not match",
    ),
    ("ann", "POST ", subnet(ipv6_ra_mode="slaac"), 400, "ipv6_ra_mode is not valid when ip_version is 4"),
    ("ann", "POST ", subnet6(ipv6_ra_mode="slaac", ipv6_address_mode="dhcpv6-stateful"), 400, "same value"),
    ("ann", "POST ", subnet6(ipv6_ra_mode="slaac", enable_dhcp=False), 400, "enable_dhcp is set to False"),
    ("ann", "POST ", subnet6(ipv6_address_mode="slaac", cidr="2001:db8::/80"), 400, "EUI-64"),
    ("ann", "POST ", subnet(subnetpool_id="{nope}"), 404, "Subnet pool {nope} could not be found"),
    (
        "ann",
        "POST ",
        one("subnet", network_id="{empty}", ip_version=6, subnetpool_id="{pool}"),
        400,
        "another IP version",
    ),
    (
        "ann",
        "POST ",
        one("subnet", network_id="{empty}", ip_version=6, use_default_subnetpool=True),
        400,
        "no default subnetpool found for IPv6",
    ),
    (
        "ann",
        "POST ",
        one("subnet", network_id="{empty}", ip_version=4, subnetpool_id="{pool}", prefixlen=16),
        400,
        "minimum allowed prefix is 20",
    ),
    (
        "ann",
        "POST ",
        one("subnet", network_id="{empty}", ip_version=4, subnetpool_id="{pool}", prefixlen=30),
        400,
        "maximum allowed prefix is 28",
    ),
    (
        "ann",
        "POST ",
        subnet(subnetpool_id="{pool}", cidr="10.64.0.0/25"),
        500,
        "Cannot allocate requested subnet",
    ),
    (
        "ann",
        "PUT /{web-v4}",
        one("subnet", cidr="10.5.0.0/24"),
        400,
        "Cannot update read-only attribute cidr",
    ),
    (
        "ann",
        "PUT /{web-v4}",
        one("subnet", gateway_ip="10.0.0.77"),
        409,
        "Current gateway ip 10.0.0.1 already in use",
    ),
    ("ann", "PUT /{data-v4}", one("subnet", gateway_ip="10.1.0.77"), 409, "conflicts with allocation pool"),
    ("ann", "DELETE /{web-v4}", None, 409, "One or more ports have an IP allocation from this subnet"),
    ("bob", "GET /{web-v4}", None, 404, "Subnet {web-v4} could not be found"),
)
def test_subnets_that_are_refused(world, case):
    world.check(case)


@table(
    "/network/v2.0/ports",
    ("ann", "POST ", port(network_id="{theirs}"), 404, "Network {theirs} could not be found"),
    ("ann", "POST ", port(mac_address="no"), 400, "'no' is not a valid MAC address"),
    ("ann", "POST ", port(fixed_ips=[{"paint": "x"}]), 400, "Unexpected keys supplied: paint"),
    ("ann", "POST ", port(fixed_ips=["x"]), 400, "'x' is not a dictionary"),
    ("ann", "POST ", port(fixed_ips=[{}]), 400, "requires subnet_id or ip_address"),
    ("ann", "POST ", port(fixed_ips=[{"subnet_id": "{data-v4}"}]), 400, "included invalid subnet"),
    ("ann", "POST ", port(fixed_ips=[{"subnet_id": "{nope}"}]), 404, "Subnet {nope} could not be found"),
    (
        "ann",
        "POST ",
        port(fixed_ips=[{"ip_address": "10.0.0.50"}]),
        409,
        "The IP address 10.0.0.50 is in use",
    ),
    ("ann", "POST ", port(fixed_ips=[{"ip_address": "192.0.2.1"}]), 400, "any of the subnets"),
    (
        "ann",
        "POST ",
        port(fixed_ips=[{"subnet_id": "{web-v4}", "ip_address": "10.0.0.255"}]),
        400,
        "for the specified subnet",
    ),
    (
        "admin",
        "POST ",
        port(network_id="{public6}", fixed_ips=[{"ip_address": "10.0.0.1"}]),
        400,
        "requires subnets for network",
    ),
    ("ann", "POST ", port(network_id="{common}", mac_address="fa:16:3e:00:00:01"), 403, "mac_address"),
    ("ann", "POST ", port(network_id="{common}", fixed_ips=[{"ip_address": "10.6.0.9"}]), 403, "fixed_ips"),
    ("ann", "POST ", port(network_id="{common}", device_owner="network:dhcp"), 403, "device_owner"),
    ("ann", "POST ", port(**{"binding:host_id": "compute-1"}), 403, "binding:host_id"),
    ("admin", "POST ", port(**{"binding:profile": "x"}), 400, "'x' is not a dictionary"),
    ("ann", "POST ", port(security_groups=["{nope}"]), 404, "Security group {nope} does not exist"),
    (
        "ann",
        "POST ",
        port(port_security_enabled=False, security_groups=["{group}"]),
        400,
        "Port security must be enabled",
    ),
    (
        "ann",
        "POST ",
        port(allowed_address_pairs=[{"ip_address": "no"}]),
        400,
        "'no' is not a valid IP address or subnet",
    ),
    (
        "ann",
        "POST ",
        port(allowed_address_pairs=[{"mac_address": "fa:16:3e:00:00:01"}]),
        400,
        "keys not found: ip_address",
    ),
    (
        "ann",
        "POST ",
        port(allowed_address_pairs=[{"ip_address": f"10.0.0.{n}"} for n in range(11)]),
        400,
        "exceeds the maximum 10",
    ),
    (
        "ann",
        "POST ",
        port(allowed_address_pairs=[{"ip_address": "10.0.0.9"}] * 2),
        400,
        "duplicate address pair",
    ),
    (
        "ann",
        "POST ",
        port(port_security_enabled=False, allowed_address_pairs=[{"ip_address": "10.0.0.9"}]),
        409,
        "in order to have allowed address pairs",
    ),
    ("ann", "POST ", port(dns_name="a b"), 400, "not a valid PQDN or FQDN"),
    ("ann", "POST ", port(**{"binding:vnic_type": "odd"}), 400, "'odd' is not in"),
    (
        "ann",
        "PUT /{guest}",
        one("port", device_owner="network:dhcp", network_id="x"),
        400,
        "read-only attribute network_id",
    ),
    ("bob", "PUT /{guest}", one("port", device_owner="network:dhcp"), 403, "device_owner"),
    (
        "ann",
        "PUT /{port}",
        one("port", port_security_enabled=False),
        409,
        "Port has security group associated",
    ),
    (
        "ann",
        "PUT /{port}",
        one("port", security_groups=["{nope}"]),
        404,
        "Security group {nope} does not exist",
    ),
    ("ann", "PUT /{port}", one("port", fixed_ips=[{"ip_address": "10.0.0.50"}]), 409, "is in use"),
    ("ann", "PUT /{bound}", one("port", mac_address="fa:16:3e:00:00:02"), 409, "port is already bound"),
    ("ann", "DELETE /{interface}", None, 409, "cannot be deleted directly via the port API"),
    ("ann", "DELETE /{parent}", None, 409, "is currently in use and is not eligible for removal"),
    ("bob", "GET /{port}", None, 404, "Port {port} could not be found"),
)
def test_ports_that_are_refused(world, case):
    world.check(case)


ADD, REMOVE = "PUT /{router}/add_router_interface", "PUT /{router}/remove_router_interface"


@table(
    "/network/v2.0/routers",
    ("bob", "POST ", one("router", name="x"), 409, "Quota exceeded for resources: ['router']"),
    (
        "ann",
        "POST ",
        one("router", external_gateway_info={"network_id": "{web}"}),
        400,
        "is not an external network",
    ),
    (
        "ann",
        "POST ",
        one("router", external_gateway_info={"enable_snat": True}),
        400,
        "keys not found: network_id",
    ),
    ("ann", "POST ", gateway(enable_snat=False), 403, "external_gateway_info:enable_snat"),
    (
        "admin",
        "POST ",
        gateway(external_fixed_ips=[{"ip_address": "203.0.113.1"}]),
        400,
        "same as the gateway IP",
    ),
    (
        "ann",
        "PUT /{router}",
        one("router", external_gateway_info=None),
        409,
        "required by one or more floating IPs",
    ),
    ("ann", "DELETE /{router}", None, 409, "has ports still attached"),
    ("ann", ADD, {}, 400, "Either subnet_id or port_id must be specified"),
    ("ann", ADD, {"subnet_id": "no"}, 400, "'no' is not a valid UUID"),
    (
        "ann",
        ADD,
        {"subnet_id": "{data-v4}", "port_id": "{port}"},
        400,
        "Cannot specify both subnet-id and port-id",
    ),
    ("ann", ADD, {"subnet_id": "{web-v4}"}, 400, "Router already has a port on subnet {web-v4}"),
    ("ann", ADD, {"subnet_id": "{twin-v4}"}, 400, "overlaps with cidr 10.0.0.0/24"),
    ("ann", ADD, {"subnet_id": "{blind}"}, 400, "must have a gateway IP"),
    ("ann", ADD, {"subnet_id": "{common-v4}"}, 400, "is not owned by project"),
    ("ann", ADD, {"port_id": "{interface}"}, 409, "already has an attached device"),
    ("ann", "PUT /{idle}/add_router_interface", {"port_id": "{naked}"}, 400, "at least one fixed IP"),
    (
        "ann",
        "PUT /{idle}/add_router_interface",
        {"port_id": "{pair}"},
        400,
        "Cannot have multiple IPv4 subnets",
    ),
    ("ann", REMOVE, {"port_id": "{port}"}, 404, "does not have an interface with id {port}"),
    (
        "ann",
        REMOVE,
        {"port_id": "{interface}", "subnet_id": "{data-v4}"},
        400,
        "does not match the requested subnet",
    ),
    ("ann", REMOVE, {"subnet_id": "{data-v4}"}, 404, "has no interface on subnet"),
    ("ann", REMOVE, {"subnet_id": "{web-v4}"}, 409, "cannot be deleted, as it is required by one or more"),
    (
        "ann",
        "PUT /{router}",
        one("router", routes=[{"destination": "no", "nexthop": "10.0.0.5"}]),
        400,
        "not a valid IP subnet",
    ),
    (
        "ann",
        "PUT /{router}",
        one("router", routes=[{"destination": "10.5.0.0/24", "nexthop": "10.77.0.1"}]),
        400,
        "not connected with router",
    ),
    (
        "ann",
        "PUT /{router}",
        one("router", routes=[{"destination": "10.5.0.0/24", "nexthop": "10.0.0.1"}]),
        400,
        "nexthop is used by router",
    ),
    (
        "ann",
        "PUT /{router}",
        one("router", routes=[{"destination": f"10.{n}.0.0/24", "nexthop": "10.0.0.5"} for n in range(31)]),
        400,
        "The number of routes exceeds the maximum 30",
    ),
    ("ann", "PUT /{router}/add_extraroutes", one("router", routes=["x"]), 400, "Invalid input for routes"),
    ("bob", "GET /{router}", None, 404, "Router {router} could not be found"),
)
def test_routers_that_are_refused(world, case):
    world.check(case)


def floating(**change):
    return one("floatingip", **{"floating_network_id": "{public}", **change})


@table(
    "/network/v2.0",
    (
        "ann",
        "POST /floatingips",
        floating(floating_network_id="{web}"),
        400,
        "is not a valid external network",
    ),
    (
        "ann",
        "POST /floatingips",
        floating(floating_network_id="{public6}"),
        400,
        "does not contain any IPv4 subnet",
    ),
    ("ann", "POST /floatingips", floating(floating_ip_address="203.0.113.99"), 403, "floating_ip_address"),
    ("ann", "POST /floatingips", floating(fixed_ip_address="10.0.0.5"), 400, "without a port_id"),
    ("ann", "POST /floatingips", floating(port_id="{nope}"), 404, "Port {nope} could not be found"),
    ("ann", "POST /floatingips", floating(port_id="{guest}"), 400, "owned by a different tenant"),
    ("ann", "POST /floatingips", floating(port_id="{interface}"), 400, "unable to be assigned a floating IP"),
    ("ann", "POST /floatingips", floating(port_id="{naked}"), 400, "has no fixed IPv4 addresses"),
    ("ann", "POST /floatingips", floating(port_id="{pair}"), 400, "has multiple fixed IPv4 addresses"),
    (
        "ann",
        "POST /floatingips",
        floating(port_id="{sub}", fixed_ip_address="10.0.0.200"),
        400,
        "does not have fixed ip",
    ),
    (
        "ann",
        "POST /floatingips",
        floating(port_id="{sub}", fixed_ip_address="2001:db8::1"),
        400,
        "is not an IPv4 address",
    ),
    ("ann", "POST /floatingips", floating(port_id="{port}"), 409, "already has a floating IP"),
    ("bob", "POST /floatingips", floating(port_id="{their-port}"), 404, "is not reachable from subnet"),
    (
        "ann",
        "PUT /floatingips/{floating}",
        one("floatingip", fixed_ip_address="10.0.0.5"),
        400,
        "without a port_id",
    ),
    ("bob", "GET /floatingips/{floating}", None, 404, "Floating IP {floating} could not be found"),
    (
        "ann",
        "POST /security-groups",
        one("security_group", name="Default"),
        409,
        "Default security group already",
    ),
    ("ann", "PUT /security-groups/{group}", one("security_group", name="default"), 409, "already exists"),
    (
        "ann",
        "PUT /security-groups/{default}",
        one("security_group", name="x"),
        409,
        "Updating default security",
    ),
    ("ann", "PUT /security-groups/{group}", one("security_group", stateful=False), 409, "in use"),
    ("ann", "DELETE /security-groups/{group}", None, 409, "Security Group {group} in use"),
    ("ann", "DELETE /security-groups/{default}", None, 409, "removing default security group"),
    ("ann", "POST /security-group-rules", rule(security_group_id="{nope}"), 404, "does not exist"),
    ("ann", "POST /security-group-rules", rule(direction="up"), 400, "'up' is not in"),
    ("ann", "POST /security-group-rules", rule(ethertype="IPX"), 400, "ethertype 'IPX' not supported"),
    ("ann", "POST /security-group-rules", rule(protocol="paint"), 400, "protocol paint not supported"),
    (
        "ann",
        "POST /security-group-rules",
        rule(protocol="tcp", port_range_min=70000),
        400,
        "Invalid value for port",
    ),
    (
        "ann",
        "POST /security-group-rules",
        rule(port_range_min=80, port_range_max=80),
        400,
        "Must also specify protocol",
    ),
    (
        "ann",
        "POST /security-group-rules",
        rule(protocol="tcp", port_range_min=9, port_range_max=8),
        400,
        "must be <=",
    ),
    (
        "ann",
        "POST /security-group-rules",
        rule(protocol="gre", port_range_min=9, port_range_max=9),
        400,
        "Ports cannot be specified",
    ),
    (
        "ann",
        "POST /security-group-rules",
        rule(protocol="icmp", port_range_min=300),
        400,
        "It must be 0 to 255",
    ),
    (
        "ann",
        "POST /security-group-rules",
        rule(protocol="icmp", port_range_max=3),
        400,
        "ICMP type (port-range-min) is missing",
    ),
    ("ann", "POST /security-group-rules", rule(remote_ip_prefix="no"), 400, "Invalid CIDR no"),
    (
        "ann",
        "POST /security-group-rules",
        rule(remote_ip_prefix="2001:db8::/64"),
        400,
        "Conflicting value ethertype",
    ),
    (
        "ann",
        "POST /security-group-rules",
        rule(remote_ip_prefix="10.0.0.0/8", remote_group_id="{group}"),
        400,
        "Only one of remote_ip_prefix",
    ),
    (
        "ann",
        "POST /security-group-rules",
        rule(protocol="ipv6-icmp"),
        400,
        "Invalid ethertype IPv4 for protocol",
    ),
    (
        "ann",
        "POST /security-group-rules",
        rule(protocol="tcp", remote_address_group_id="{addresses}"),
        409,
        "already exists",
    ),
    ("ann", "DELETE /address-groups/{addresses}", None, 409, "is in use on one or more security group rules"),
    ("ann", "POST /address-groups", one("address_group", addresses=["no"]), 400, "is not a valid IP subnet"),
)
def test_floating_ips_and_security_groups_that_are_refused(world, case):
    world.check(case)


def pool(**change):
    return one("subnetpool", **{"name": "new", "prefixes": ["10.80.0.0/16"], **change})


def rbac(**change):
    values = {
        "object_type": "network",
        "object_id": "{web}",
        "action": "access_as_shared",
        "target_tenant": "{lab}",
    }
    return one("rbac_policy", **{**values, **change})


@table(
    "/network/v2.0",
    ("ann", "POST /subnetpools", pool(prefixes=[]), 400, "Empty subnet pool prefix list"),
    (
        "ann",
        "POST /subnetpools",
        pool(prefixes=["10.0.0.0/8", "2001:db8::/48"]),
        400,
        "Cannot mix IPv4 and IPv6",
    ),
    ("ann", "POST /subnetpools", pool(min_prefixlen=24, max_prefixlen=20), 400, "Illegal prefix bounds"),
    ("ann", "POST /subnetpools", pool(default_prefixlen=200), 400, "is not in the range"),
    (
        "ann",
        "POST /subnetpools",
        pool(prefixes=["2001:db8::/48"], address_scope_id="{scope}"),
        400,
        "address scope of another IP version",
    ),
    (
        "ann",
        "POST /subnetpools",
        pool(prefixes=["10.64.1.0/24"], address_scope_id="{scope}"),
        409,
        "must have unique prefixes",
    ),
    ("ann", "POST /subnetpools", pool(shared=True), 403, "create_subnetpool:shared"),
    ("admin", "POST /subnetpools", pool(is_default=True), 400, "Only one default may exist"),
    ("bob", "POST /subnetpools", pool(), 409, "Quota exceeded for resources: ['subnetpool']"),
    ("ann", "PUT /subnetpools/{pool}", one("subnetpool", prefixes=["10.66.0.0/16"]), 400, "must be a subset"),
    ("ann", "PUT /subnetpools/{pool}", one("subnetpool", min_prefixlen=30), 400, "Illegal prefix bounds"),
    ("ann", "DELETE /subnetpools/{pool}", None, 400, "Subnet pool has existing allocations"),
    ("admin", "PUT /address-scopes/{open}", one("address_scope", shared=False), 400, "can't be unshared"),
    ("ann", "DELETE /address-scopes/{scope}", None, 409, "one or more subnet pools in use"),
    ("ann", "POST /rbac-policies", rbac(object_type="paint"), 400, "'paint' is not in"),
    ("ann", "POST /rbac-policies", rbac(object_id="{theirs}"), 404, "Network {theirs} could not be found"),
    ("ann", "POST /rbac-policies", rbac(object_id="{common}"), 403, "create_rbac_policy is disallowed"),
    ("ann", "POST /rbac-policies", rbac(target_tenant="*"), 403, "create_rbac_policy:target_tenant"),
    (
        "ann",
        "POST /rbac-policies",
        rbac(action="access_as_external"),
        400,
        "access_as_external is not valid here",
    ),
    ("ann", "POST /rbac-policies", rbac(object_id="{data}"), 409, "already exists with those values"),
    ("ann", "PUT /rbac-policies/{sharing}", one("rbac_policy", target_tenant="*"), 403, "target_tenant"),
    (
        "ann",
        "PUT /rbac-policies/{sharing}",
        one("rbac_policy", target_tenant="{shop}"),
        409,
        "Multiple tenants",
    ),
    ("ann", "DELETE /rbac-policies/{sharing}", None, 409, "Unable to reconfigure sharing settings"),
    ("admin", "DELETE /rbac-policies/{external}", None, 409, "has existing gateway ports"),
    ("ann", "POST /qos/policies", one("policy", name="x"), 403, "create_policy"),
    ("admin", "DELETE /qos/policies/{policy}", None, 409, "is used by port"),
    ("admin", "POST /qos/policies/{policy}/paint_rules", {}, 404, "could not be found"),
    (
        "admin",
        "POST /qos/policies/{policy}/dscp_marking_rules",
        one("dscp_marking_rule"),
        400,
        "keys not found: dscp_mark",
    ),
    (
        "admin",
        "POST /qos/policies/{policy}/bandwidth_limit_rules",
        one("bandwidth_limit_rule", max_kbps=5),
        409,
        "already exists in QoS policy",
    ),
    ("admin", "DELETE /qos/policies/{policy}/bandwidth_limit_rules/{nope}", None, 404, "QoS rule {nope}"),
    ("ann", "POST /trunks", one("trunk", port_id="{nope}"), 404, "Port {nope} could not be found"),
    ("ann", "POST /trunks", one("trunk", port_id="{parent}"), 409, "in use by another trunk"),
    (
        "ann",
        "PUT /trunks/{trunk}/add_subports",
        {"sub_ports": [{"port_id": "{sub}", "segmentation_id": 8}]},
        409,
        "in use by another trunk",
    ),
    (
        "ann",
        "PUT /trunks/{trunk}/add_subports",
        {"sub_ports": [{"port_id": "{port}", "segmentation_id": 7}]},
        409,
        "segmentation_id 7 already in use",
    ),
    ("ann", "PUT /trunks/{trunk}/add_subports", {"sub_ports": [{}]}, 400, "Invalid input for sub_ports"),
    ("ann", "GET /quotas/{lab}", None, 403, "get_quota"),
    ("ann", "PUT /quotas/{shop}", {"quota": {"port": 1}}, 403, "update_quota"),
    ("admin", "PUT /quotas/{shop}", {"quota": {"paint": 1}}, 400, "Unrecognized attribute(s) 'paint'"),
    ("admin", "PUT /quotas/{shop}", {"quota": {"port": "all"}}, 400, "'all' is not a valid limit"),
    (
        "admin",
        "PUT /quotas/{shop}",
        {"quota": {"port": 1}},
        400,
        "must be greater than or equal to already used",
    ),
    ("admin", "DELETE /quotas/{shop}", None, 404, "Quota for tenant {shop} could not be found"),
)
def test_pools_sharing_qos_and_quotas_that_are_refused(world, case):
    world.check(case)
