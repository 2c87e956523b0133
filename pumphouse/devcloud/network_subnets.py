"""Subnets: cidr, gateway, allocation pools, and what may not overlap."""

from __future__ import annotations

from typing import Any

from pumphouse.devcloud import addresses, network_ipam, network_pools
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.errors import bad_request, conflict, forbidden, not_found
from pumphouse.devcloud.network import AUTO_DELETED
from pumphouse.devcloud.network_api import COLLECTIONS, STANDARD, Call, Collection, in_use, invalid
from pumphouse.devcloud.network_attributes import (
    REQUIRED,
    UNSET,
    Attribute,
    boolean,
    cidr,
    identifier,
    integer,
    ip_address,
    listed,
    one_of,
    or_none,
    pools,
    read_only,
    routes,
    text,
    unique,
)
from pumphouse.devcloud.table import Row

ROUTER_OWNERS = ("network:router_interface", "network:router_gateway")
MAX_DNS = 5
MAX_ROUTES = 20

_ipv6_mode = one_of("dhcpv6-stateful", "dhcpv6-stateless", "slaac")


class Subnets(Collection):
    """A subnet of a network."""

    singular = "subnet"
    plural = "subnets"
    noun = "Subnet"
    not_found_type = "SubnetNotFound"
    indexes = ("network_id", "name", "subnetpool_id")
    label = ("name", "cidr")
    attributes = (
        *STANDARD,
        *read_only("shared"),
        Attribute(name="name", check=text(255), default=""),
        Attribute(name="network_id", check=identifier, put=False, default=REQUIRED),
        Attribute(name="ip_version", check=one_of(4, 6), put=False, default=REQUIRED),
        Attribute(name="cidr", check=or_none(cidr), put=False),
        Attribute(name="gateway_ip", check=or_none(ip_address)),
        Attribute(name="allocation_pools", check=pools),
        Attribute(name="dns_nameservers", check=unique(listed(ip_address)), default=[]),
        Attribute(name="host_routes", check=routes, default=[]),
        Attribute(name="enable_dhcp", check=boolean, default=True),
        Attribute(name="ipv6_ra_mode", check=or_none(_ipv6_mode), put=False, default=None),
        Attribute(name="ipv6_address_mode", check=or_none(_ipv6_mode), put=False, default=None),
        Attribute(name="service_types", check=unique(listed(text(255))), default=[]),
        Attribute(name="dns_publish_fixed_ip", check=boolean, default=False),
        Attribute(name="subnetpool_id", check=or_none(identifier), put=False, default=None),
        Attribute(name="prefixlen", check=integer(0, 128), put=False, hidden=True),
        Attribute(name="use_default_subnetpool", check=boolean, put=False, default=False, hidden=True),
        Attribute(name="segment_id", check=or_none(identifier), put=False, default=None, policy=True),
    )

    def build(self, call: Call, values: dict[str, Any]) -> Row:
        """A subnet whose cidr is free on its network; a pool gives the cidr when none is asked for."""
        network = COLLECTIONS["networks"].get(call, values["network_id"])
        if not COLLECTIONS["networks"].owned(call, network):
            raise forbidden("rule:create_subnet is disallowed by policy")
        pool = network_pools.pool_for(call, values)
        prefix_length, _ = values.pop("prefixlen"), values.pop("use_default_subnetpool")
        if pool is not None:
            values["cidr"] = network_pools.allocate(call.cloud, pool, values["cidr"] or None, prefix_length)
            values["subnetpool_id"] = pool["id"]
        elif not values["cidr"]:
            raise bad_request(
                "Bad subnets request: a subnetpool must be specified in the absence of a cidr.",
                type="BadRequest",
            )
        _check_cidr(call.cloud, network, values)
        _check_ipv6(values)
        if values["gateway_ip"] is UNSET:
            values["gateway_ip"] = addresses.default_gateway(values["cidr"])
        _check_gateway(values["cidr"], values["gateway_ip"])
        if values["allocation_pools"] is UNSET:
            values["allocation_pools"] = addresses.default_pools(values["cidr"], values["gateway_ip"])
        else:
            _check_pools(values["cidr"], values["allocation_pools"], values["gateway_ip"])
        _check_lists(values, values["ip_version"])
        return self.row(call, values)

    def insert(self, call: Call, row: Row) -> None:
        """The network lists its subnets."""
        super().insert(call, row)
        call.cloud.table("networks")[row["network_id"]]["subnets"].append(row["id"])

    def change(self, call: Call, row: Row, changes: dict[str, Any]) -> None:
        """A new gateway or pool must fit, and the old gateway must not be a router's address."""
        gateway = changes.get("gateway_ip", row["gateway_ip"])
        if gateway != row["gateway_ip"]:
            _check_gateway(row["cidr"], gateway)
            self._check_old_gateway(call.cloud, row)
        if "allocation_pools" in changes:
            _check_pools(row["cidr"], changes["allocation_pools"], gateway)
        elif gateway != row["gateway_ip"]:
            _check_gateway_outside(gateway, row["allocation_pools"])
        _check_lists(changes, row["ip_version"])
        super().change(call, row, changes)

    def _check_old_gateway(self, cloud: DevCloud, row: Row) -> None:
        old = row["gateway_ip"]
        port_id = network_ipam.holder(cloud, row["id"], old) if old else None
        if port_id and cloud.table("ports")[port_id]["device_owner"] in ROUTER_OWNERS:
            raise in_use(
                f"Current gateway ip {old} already in use by port {port_id}. Unable to update.",
                "GatewayIpInUse",
            )

    def remove(self, call: Call, row: Row) -> None:
        """Refused while a port has an address of it; automatic ports lose theirs."""
        ports = COLLECTIONS["ports"]
        found = [ports.table(call.cloud)[port_id] for port_id in network_ipam.ports_on(call.cloud, row["id"])]
        automatic = is_automatic(row)
        for port in found:
            keeps = port["device_owner"] in ROUTER_OWNERS or not automatic
            if keeps and port["device_owner"] not in AUTO_DELETED:
                raise in_use(
                    f"Unable to complete operation on subnet {row['id']}: One or more ports have an IP "
                    "allocation "
                    "from this subnet.",
                    "SubnetInUse",
                )
        for port in found:
            gone = [fixed for fixed in port["fixed_ips"] if fixed["subnet_id"] == row["id"]]
            network_ipam.release(call.cloud, gone)
            left = [fixed for fixed in port["fixed_ips"] if fixed not in gone]
            ports.save(call.cloud, port, {"fixed_ips": left})
        call.cloud.table("networks")[row["network_id"]]["subnets"].remove(row["id"])
        super().remove(call, row)

    def visible(self, call: Call, row: Row) -> bool:
        """Own subnets and those of visible networks, external ones aside."""
        if super().visible(call, row):
            return True
        network = call.cloud.table("networks")[row["network_id"]]
        return COLLECTIONS["networks"].view(call, network)["shared"] is True

    def owned(self, call: Call, row: Row) -> bool:
        """The network's owner may change its subnets too."""
        network = call.cloud.table("networks")[row["network_id"]]
        return super().owned(call, row) or bool(network["project_id"] == call.project)


def is_automatic(subnet: Row) -> bool:
    """Whether hosts give themselves their addresses (SLAAC or stateless DHCPv6)."""
    return subnet["ipv6_address_mode"] in ("slaac", "dhcpv6-stateless")


def host_may_have(cidr_text: str, address: str) -> bool:
    """Whether an address of the subnet is neither its network's nor its broadcast address."""
    net, value = addresses.subnet(cidr_text), addresses.address(address)
    if value not in net:
        return False
    if net.version == 4 and net.prefixlen < 31:
        return value not in (net.network_address, net.broadcast_address)
    return net.version == 4 or net.prefixlen >= 127 or value != net.network_address


def _check_cidr(cloud: DevCloud, network: Row, values: dict[str, Any]) -> None:
    net = addresses.subnet(values["cidr"])
    if net.version != values["ip_version"]:
        raise invalid(f"cidr '{values['cidr']}' does not match the ip_version '{values['ip_version']}'")
    if net.prefixlen == 0:
        raise invalid("0 is not allowed as CIDR prefix length")
    if values["enable_dhcp"] and net.prefixlen > (30 if net.version == 4 else 126):
        raise invalid("Subnet has a prefix length that is incompatible with DHCP service enabled")
    if values["enable_dhcp"] and (net.is_multicast or net.is_loopback):
        kind = "Multicast" if net.is_multicast else "Loopback"
        raise invalid(f"{kind} IP subnet is not supported if enable_dhcp is True")
    for subnet_id in network["subnets"]:
        if addresses.overlap(cloud.table("subnets")[subnet_id]["cidr"], values["cidr"]):
            raise invalid(
                f"Requested subnet with cidr: {values['cidr']} for network: {network['id']} overlaps with "
                "another subnet"
            )


def _check_ipv6(values: dict[str, Any]) -> None:
    modes = (values["ipv6_ra_mode"], values["ipv6_address_mode"])
    if values["ip_version"] == 4:
        for name in ("ipv6_ra_mode", "ipv6_address_mode"):
            if values[name] is not None:
                raise invalid(f"{name} is not valid when ip_version is 4")
        return
    if None not in modes and modes[0] != modes[1]:
        raise invalid(
            f"ipv6_ra_mode set to '{modes[0]}' with ipv6_address_mode set to '{modes[1]}' is not valid. If "
            "both "
            "attributes are set, they must be the same value"
        )
    if any(modes) and not values["enable_dhcp"]:
        raise invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if {"slaac", "dhcpv6-stateless"} & set(modes) and addresses.subnet(values["cidr"]).prefixlen != 64:
        raise invalid(
            f"Invalid CIDR {values['cidr']} for IPv6 address mode. OpenStack uses the EUI-64 address format"
        )


def _check_gateway(cidr_text: str, gateway: str | None) -> None:
    if gateway is None:
        return
    net, value = addresses.subnet(cidr_text), addresses.address(gateway)
    if value.version != net.version:
        raise invalid(f"gateway_ip '{gateway}' does not match the ip_version '{net.version}'")
    if value in net and not host_may_have(cidr_text, gateway):
        raise invalid("Gateway is not valid on subnet")


def _check_pools(cidr_text: str, wanted: list[dict[str, str]], gateway: str | None) -> None:
    first, last = addresses.usable(cidr_text)
    seen: list[tuple[int, int, dict[str, str]]] = []
    for pool in wanted:
        start, end = (addresses.address(pool[key]) for key in ("start", "end"))
        if start.version != end.version or int(start) > int(end):
            raise bad_request(
                f"The allocation pool {pool['start']}-{pool['end']} is not valid.",
                type="InvalidAllocationPool",
            )
        if int(start) < first or int(end) > last or start.version != addresses.subnet(cidr_text).version:
            raise bad_request(
                f"The allocation pool {pool['start']}-{pool['end']} spans beyond the subnet cidr "
                f"{cidr_text}.",
                type="OutOfBoundsAllocationPool",
            )
        for other_start, other_end, other in seen:
            if int(start) <= other_end and other_start <= int(end):
                raise conflict(
                    f"Found overlapping allocation pools: {other['start']}-{other['end']}, "
                    f"{pool['start']}-{pool['end']} for subnet {cidr_text}.",
                    type="OverlappingAllocationPools",
                )
        seen.append((int(start), int(end), pool))
    _check_gateway_outside(gateway, wanted)


def _check_gateway_outside(gateway: str | None, wanted: list[dict[str, str]]) -> None:
    for pool in wanted:
        if gateway is not None and addresses.in_pools(gateway, [pool]):
            raise in_use(
                f"Gateway ip {gateway} conflicts with allocation pool {pool['start']}-{pool['end']}.",
                "GatewayConflictWithAllocationPools",
            )


def _check_lists(values: dict[str, Any], version: int) -> None:
    servers, hops = values.get("dns_nameservers", []), values.get("host_routes", [])
    if len(servers) > MAX_DNS:
        raise bad_request(
            "Unable to complete operation for new subnet. The number of DNS nameservers exceeds the limit "
            f"{MAX_DNS}.",
            type="DNSNameServersExhausted",
        )
    if len(hops) > MAX_ROUTES:
        raise bad_request(
            "Unable to complete operation for new subnet. The number of host routes exceeds the limit "
            f"{MAX_ROUTES}.",
            type="HostRoutesExhausted",
        )
    for server in servers:
        if addresses.address(server).version != version:
            raise invalid(f"dns_nameserver '{server}' does not match the ip_version '{version}'")
    for hop in hops:
        if addresses.address(hop["nexthop"]).version != version:
            raise invalid(f"nexthop '{hop['nexthop']}' does not match the ip_version '{version}'")


def of_network(cloud: DevCloud, network_id: str) -> list[Row]:
    """The subnets of a network, oldest first; 404 when there is no such network."""
    network = cloud.table("networks").get(network_id)
    if network is None:
        raise not_found(f"Network {network_id} could not be found.", type="NetworkNotFound")
    return [cloud.table("subnets")[subnet_id] for subnet_id in network["subnets"]]


SUBNETS = Subnets()
