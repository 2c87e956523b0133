"""Networks, routers, security groups, ports and addresses of a tenant."""

from __future__ import annotations

from typing import Any

from openstack.connection import Connection

from .site import Ids, Site, ask, make

GROUPS = {"front": "web", "back": "database"}
"""The security group of the ports on each network."""
VIP = ("10.50.0.90", "10.50.0.91")
_PATHS = {"policy": "/qos/policies", "rbac_policy": "/rbac-policies"}


def network(cloud: Connection, item: str, **fields: Any) -> dict[str, Any]:
    """Create one of Neutron's."""
    path = _PATHS.get(item, f"/{item.replace('_', '-')}s")
    if item in {"subnetpool", "address_scope"}:
        path = {"subnetpool": "/subnetpools", "address_scope": "/address-scopes"}[item]
    return make(cloud, "network", path, item, **fields)


def security_groups(tenant: Connection) -> Ids:
    """Two that name each other."""
    web = network(tenant, "security_group", name="web", description="open to the world")
    database = network(tenant, "security_group", name="database", description="open to web")
    tcp = {"direction": "ingress", "protocol": "tcp", "port_range_min": 443, "port_range_max": 443}
    for group, remote in (
        (web, {"remote_ip_prefix": "0.0.0.0/0", "description": "HTTPS"}),
        (database, {"remote_group_id": web["id"]}),
        (web, {"remote_group_id": database["id"]}),
    ):
        network(tenant, "security_group_rule", security_group_id=group["id"], **tcp, **remote)
    return {"web": web["id"], "database": database["id"]}


def more_security_groups(tenant: Connection) -> None:
    """One without any rule, one with odd ones, and the default group with rules of its own."""
    closed = network(tenant, "security_group", name="closed", description="nothing passes")
    for rule in closed["security_group_rules"]:
        ask(tenant, "DELETE", "network", f"/security-group-rules/{rule['id']}")
    odd = network(tenant, "security_group", name="odd")
    ask(tenant, "PUT", "network", f"/security-groups/{odd['id']}/tags", {"tags": ["odd"]})
    for rule in (
        {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
        {"protocol": "112", "remote_ip_prefix": "198.51.100.0/24"},
        {"protocol": "ipv6-icmp", "ethertype": "IPv6", "remote_ip_prefix": "2001:db8::/32"},
        {"protocol": "udp", "port_range_min": 6000, "port_range_max": 6100, "remote_group_id": odd["id"]},
        {"protocol": None, "ethertype": "IPv6", "direction": "egress", "remote_ip_prefix": "2001:db8::/64"},
    ):
        fields = {"direction": "ingress", "security_group_id": odd["id"], **rule}
        network(tenant, "security_group_rule", **fields)
    (default,) = ask(tenant, "GET", "network", "/security-groups?name=default")["security_groups"]
    for rule in default["security_group_rules"]:
        if (rule["direction"], rule["ethertype"]) == ("ingress", "IPv6"):
            ask(tenant, "DELETE", "network", f"/security-group-rules/{rule['id']}")
    network(
        tenant,
        "security_group_rule",
        security_group_id=default["id"],
        direction="ingress",
        protocol="tcp",
        port_range_min=22,
        port_range_max=22,
        remote_ip_prefix="203.0.113.0/24",
    )


def networks(tenant: Connection, external: str) -> dict[str, dict[str, Any]]:
    """Two networks behind a router that leads outside; their subnets by the networks' names."""
    front = network(tenant, "network", name="front", description="the front network", mtu=1400)
    back = network(tenant, "network", name="back", description="the back network")
    subnets = {
        "front": network(
            tenant,
            "subnet",
            name="front",
            network_id=front["id"],
            ip_version=4,
            cidr="10.50.0.0/24",
            allocation_pools=[
                {"start": "10.50.0.20", "end": "10.50.0.99"},
                {"start": "10.50.0.150", "end": "10.50.0.199"},
            ],
            dns_nameservers=["9.9.9.9", "1.1.1.1"],
            host_routes=[{"destination": "192.0.2.0/24", "nexthop": "10.50.0.254"}],
        ),
        "back": network(
            tenant,
            "subnet",
            name="back",
            description="without a way out",
            network_id=back["id"],
            ip_version=4,
            cidr="10.51.0.0/24",
            allocation_pools=[{"start": "10.51.0.20", "end": "10.51.0.199"}],
            gateway_ip=None,
            enable_dhcp=False,
        ),
    }
    router = network(tenant, "router", name="edge", external_gateway_info={"network_id": external})
    way = network(
        tenant,
        "port",
        name="edge-back",
        network_id=back["id"],
        fixed_ips=[{"subnet_id": subnets["back"]["id"], "ip_address": "10.51.0.254"}],
    )
    path = f"/routers/{router['id']}"
    for interface in ({"subnet_id": subnets["front"]["id"]}, {"port_id": way["id"]}):
        ask(tenant, "PUT", "network", f"{path}/add_router_interface", interface)
    routes = [{"destination": "192.0.2.0/24", "nexthop": "10.51.0.200"}]
    ask(tenant, "PUT", "network", path, {"router": {"routes": routes}})
    return subnets


def more_networks(site: Site, tenant: Connection, subnets: dict[str, Any], partner_id: str) -> Any:
    """IPv6, prefixes from a pool, no port security, sharing, a policy; the subnet of IPv6."""
    front6 = network(
        tenant,
        "subnet",
        name="front6",
        network_id=subnets["front"]["network_id"],
        ip_version=6,
        cidr="fd00:50::/64",
        ipv6_address_mode="dhcpv6-stateful",
        ipv6_ra_mode="dhcpv6-stateful",
        dns_nameservers=["fd00:50::53", "fd00:50::35"],
    )
    scope = network(tenant, "address_scope", name="scope", ip_version=4)
    pool = network(
        tenant,
        "subnetpool",
        name="pool",
        description="of the branches",
        prefixes=["10.60.0.0/16"],
        default_prefixlen=26,
        min_prefixlen=24,
        address_scope_id=scope["id"],
    )
    pooled = network(tenant, "network", name="pooled")
    network(tenant, "subnet", name="pooled", network_id=pooled["id"], ip_version=4, subnetpool_id=pool["id"])
    flat = network(tenant, "network", name="flat", port_security_enabled=False, admin_state_up=False)
    network(tenant, "subnet", name="flat", network_id=flat["id"], ip_version=4, cidr="10.52.0.0/24")
    network(
        tenant,
        "rbac_policy",
        object_type="network",
        object_id=pooled["id"],
        action="access_as_shared",
        target_tenant=partner_id,
    )
    policy = network(site.admin, "policy", name="slow", project_id=tenant.current_project_id)
    change = {"network": {"qos_policy_id": policy["id"]}}
    ask(site.admin, "PUT", "network", f"/networks/{pooled['id']}", change)
    return front6


def server_ports(
    tenant: Connection, subnets: dict[str, Any], groups: Ids, number: int, front6: Any = None
) -> list[str]:
    """A port on each network for a server, at addresses of its own; their ids."""
    made = []
    for position, (label, group) in enumerate(GROUPS.items()):
        subnet = subnets[label]
        fixed = [{"subnet_id": subnet["id"], "ip_address": f"10.{50 + position}.0.{20 + number}"}]
        if front6 and label == "front":
            fixed.append({"subnet_id": front6["id"], "ip_address": f"fd00:50::{20 + number}"})
        port = network(
            tenant,
            "port",
            name=f"{label}-{number}",
            network_id=subnet["network_id"],
            fixed_ips=fixed,
            security_groups=[groups[group]],
        )
        made.append(port["id"])
    return made


def more_ports(tenant: Connection, subnets: dict[str, Any]) -> str:
    """Ports that no server has; the one with two addresses, by its id."""
    front, back = subnets["front"], subnets["back"]
    vip = network(
        tenant,
        "port",
        name="vip",
        description="moves between servers",
        network_id=front["network_id"],
        fixed_ips=[{"subnet_id": front["id"], "ip_address": one} for one in VIP],
        allowed_address_pairs=[{"ip_address": "10.50.0.200"}, {"ip_address": "10.53.0.0/24"}],
    )
    ask(tenant, "PUT", "network", f"/ports/{vip['id']}/tags", {"tags": ["spare", "virtual"]})
    network(
        tenant,
        "port",
        name="no-groups",
        network_id=front["network_id"],
        fixed_ips=[{"subnet_id": front["id"], "ip_address": "10.50.0.95"}],
        security_groups=[],
    )
    network(
        tenant,
        "port",
        name="open",
        network_id=back["network_id"],
        fixed_ips=[{"subnet_id": back["id"], "ip_address": "10.51.0.95"}],
        port_security_enabled=False,
        mac_address="fa:16:3e:0b:ad:01",
        admin_state_up=False,
    )
    return str(vip["id"])


def floating_ip(tenant: Connection, external: str, **fields: Any) -> None:
    """An address of the external network."""
    network(tenant, "floatingip", floating_network_id=external, **fields)
