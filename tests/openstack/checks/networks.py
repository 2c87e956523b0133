"""Networks and what is in them."""

from __future__ import annotations

from typing import Any

from listing import Listing

from .moved import Moved, equal

_STATE = {"status", "availability_zones", "ipv6_address_scope", "vlan_transparent"}
_PROVIDER = {"provider:network_type", "provider:segmentation_id", "provider:physical_network"}
_BINDING = {
    "device_id",
    "device_owner",
    "status",
    "binding:profile",
    "binding:vif_details",
    "binding:vif_type",
    "binding:host_id",
}
"""Where a port is plugged in: looked at with the servers."""


def networks(moved: Moved) -> str:
    """Networks, subnets, pools and who shares them."""
    networks = moved.same("networks", own={*_STATE, *_PROVIDER, "qos_policy_id"})
    subnets = moved.same("subnets", own=(), ordered={"dns_nameservers"})
    pools = moved.same("subnet pools", own=())
    moved.same("address scopes", own=())
    shared = [
        sorted(
            (moved.names[side].get(one["object_id"], ""), moved.names[side].get(one["target_tenant"], ""))
            for one in listed["RBAC policies"].values()
            if one["project_id"] == project["id"]
        )
        for side, (listed, project) in enumerate(zip((moved.here, moved.there), moved.projects, strict=True))
    ]
    equal("who shares networks", shared[1], shared[0])
    pooled = f", {len(pools)} subnet pool in an address scope" if pools else ""
    return (
        f"{len(networks)} networks, {len(subnets)} subnets{pooled}: every field, DNS servers in their order."
    )


def routers(moved: Moved) -> str:
    """The gateway, interfaces at their addresses, routes."""
    router = moved.same(
        "routers", own={"status", "availability_zones", "external_gateway_info", "external_gateways"}
    )["edge"]
    gateway = router["external_gateway_info"]
    equal("the gateway's network", gateway["network_id"], moved.destination.external)
    found = [
        _interfaces(listed, one["edge"])
        for listed, one in zip((moved.here, moved.there), moved.pair("routers"), strict=True)
    ]
    equal("the router's addresses", found[1], found[0])
    return f"The router has its gateway, {len(found[1])} interfaces at their addresses, and its route."


def _interfaces(listed: Listing, router: dict[str, Any]) -> list[str]:
    return sorted(
        fixed["ip_address"]
        for port in listed["ports"].values()
        if port["device_id"] == router["id"] and port["device_owner"] != "network:router_gateway"
        for fixed in port["fixed_ips"]
    )


def security_groups(moved: Moved) -> str:
    """All rules of all groups, those that name other groups among them, and none besides."""
    groups = moved.same("security groups", own={"security_group_rules"})
    rules = [_rules(moved, there=there) for there in (False, True)]
    equal("the groups' rules", rules[1], rules[0])
    named = {(rule["security_group_id"], rule["remote_group_id"]) for rule in rules[0]}
    web, database = "security groups web", "security groups database"
    assert {(web, database), (database, web)} <= named
    return (
        f"{len(groups)} security groups, the default one among them, have the same {len(rules[1])} rules; "
        "those that name each other still do."
    )


def _rules(moved: Moved, *, there: bool) -> list[dict[str, Any]]:
    listed = moved.there if there else moved.here
    owned = [
        one
        for one in listed["security group rules"].values()
        if one["project_id"] == moved.projects[there]["id"]
    ]
    own = {"id", "created_at", "updated_at", "revision_number", "standard_attr_id", "tags"}
    left_out = own | {"belongs_to_default_sg", "normalized_cidr"}  # only newer releases tell
    plain = [moved.plain(one, there=there) for one in owned]
    return sorted(
        ({name: value for name, value in one.items() if name not in left_out} for one in plain), key=repr
    )


def ports(moved: Moved) -> str:
    """Addresses, MACs, groups and security of each port."""
    own = {*_BINDING, "hardware_offload_type", "device_profile", "numa_affinity_policy", "hints", "trusted"}
    there = moved.same("ports", own=own)
    return f"{len(there)} ports have their addresses, MAC addresses, groups, address pairs and port security."


def floating_ips(moved: Moved) -> str:
    """Associated with the ports and fixed addresses that they had."""
    own = {"floating_ip_address", "floating_network_id", "router_id", "status", "port_details", "dns_name"}
    there = moved.same("floating IPs", own=own)
    networks = {one["floating_network_id"] for one in there.values()}
    equal("their network", networks, {moved.destination.external})
    return f"{len(there)} floating IPs lead where they led, by addresses of the destination."
