"""What a security group rule may say. Pure: checks and comparison of rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pumphouse.devcloud import addresses
from pumphouse.devcloud.errors import bad_request

PROTOCOLS: dict[str, int] = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "igmp": 2,
    "ip": 0,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "icmpv6": 58,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
_WITH_PORTS = {"tcp", "udp", "dccp", "sctp", "udplite", "6", "17", "33", "132", "136"}
_ICMP = {"icmp", "icmpv6", "ipv6-icmp", "1", "58"}
_COMPARED = (
    "direction",
    "ethertype",
    "port_range_min",
    "port_range_max",
    "remote_group_id",
    "remote_address_group_id",
    "security_group_id",
)


def protocol(value: Any) -> str | None:
    """A protocol's name in lower case, or its number as text; ValueError otherwise."""
    if value is None:
        return None
    word = str(value).lower()
    if word in PROTOCOLS or (word.isdigit() and int(word) <= 255):
        return word
    raise bad_request(
        f"Security group rule protocol {value} not supported. Only protocol values "
        f"{[None, *sorted(PROTOCOLS)]} and "
        "integer representations [0 to 255] are supported.",
        type="SecurityGroupRuleInvalidProtocol",
    )


def ethertype(value: Any) -> str:
    """IPv4 or IPv6, in any case."""
    for known in ("IPv4", "IPv6"):
        if str(value).lower() == known.lower():
            return known
    raise bad_request(
        f"Security group rule for ethertype '{value}' not supported. Allowed values are ['IPv4', 'IPv6'].",
        type="SecurityGroupRuleInvalidEtherType",
    )


def port(value: Any) -> int | None:
    """A port number (or ICMP type or code), or null."""
    if value is None:
        return None
    if not str(value).lstrip("-").isdigit() or not 0 <= int(value) <= 65535:
        raise bad_request(f"Invalid value for port {value}", type="SecurityGroupInvalidPortValue")
    return int(value)


def prefix(value: Any) -> str | None:
    """A remote prefix as a CIDR; host bits stay, as Neutron keeps them."""
    if not value:
        return None
    try:
        net = addresses.subnet(str(value))
    except ValueError:
        raise bad_request(f"Invalid CIDR {value} given as IP prefix.", type="InvalidCIDR") from None
    return str(value) if "/" in str(value) else f"{value}/{net.max_prefixlen}"


def check(rule: dict[str, Any]) -> None:
    """Refuse (400) what does not fit together; put legacy spellings into their canonical form."""
    _canonical(rule)
    _check_ports(rule)
    _check_remote(rule)


def _canonical(rule: dict[str, Any]) -> None:
    if rule["ethertype"] == "IPv6" and rule["protocol"] in ("icmp", "icmpv6"):
        rule["protocol"] = "ipv6-icmp"
    elif rule["ethertype"] == "IPv6" and rule["protocol"] == "1":
        rule["protocol"] = "58"
    whole_range = rule["port_range_min"] in (1, 0) and rule["port_range_max"] == 65535
    if whole_range and rule["protocol"] in _WITH_PORTS and rule["port_range_min"] == 1:
        rule["port_range_min"] = rule["port_range_max"] = None


def _check_ports(rule: Mapping[str, Any]) -> None:
    low, high, name = rule["port_range_min"], rule["port_range_max"], rule["protocol"]
    if low is None and high is None:
        return
    if not name:
        raise bad_request(
            "Must also specify protocol if port range is given.",
            type="SecurityGroupProtocolRequiredWithPorts",
        )
    if name in _WITH_PORTS:
        if low is None or high is None or low > high or low == 0:
            raise bad_request(
                "Invalid input for operation: For TCP/UDP protocols, port_range_min must be <= "
                "port_range_max.",
                type="SecurityGroupInvalidPortRange",
            )
    elif name in _ICMP:
        _check_icmp(low, high)
    else:
        raise bad_request(
            f"Ports cannot be specified for protocol {name}. Ports are only supported for ['dccp', 'sctp', "
            "'tcp', 'udp', "
            "'udplite'].",
            type="SecurityGroupInvalidProtocolForPort",
        )


def _check_icmp(kind: int | None, code: int | None) -> None:
    for field, attribute, value in (("port_range_min", "type", kind), ("port_range_max", "code", code)):
        if value is not None and value > 255:
            raise bad_request(
                f"Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255.",
                type="SecurityGroupInvalidIcmpValue",
            )
    if kind is None:
        raise bad_request(
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing.",
            type="SecurityGroupMissingIcmpType",
        )


def _check_remote(rule: Mapping[str, Any]) -> None:
    remotes = [
        rule[key] for key in ("remote_ip_prefix", "remote_group_id", "remote_address_group_id") if rule[key]
    ]
    if len(remotes) > 1:
        raise bad_request(
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
            type="SecurityGroupMultipleRemoteEntites",
        )
    if rule["remote_ip_prefix"]:
        version = addresses.subnet(rule["remote_ip_prefix"]).version
        if rule["ethertype"] != f"IPv{version}":
            raise bad_request(
                f"Conflicting value ethertype {rule['ethertype']} for CIDR {rule['remote_ip_prefix']}",
                type="SecurityGroupRuleParameterConflict",
            )
    if rule["ethertype"] == "IPv4" and rule["protocol"] in ("ipv6-icmp", "icmpv6", "58"):
        raise bad_request(
            f"Invalid ethertype {rule['ethertype']} for protocol {rule['protocol']}.",
            type="SecurityGroupEthertypeConflictWithProtocol",
        )


def key(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    """Two rules of one key are the same rule to Neutron (409)."""
    remote = rule["remote_ip_prefix"]
    everywhere = remote in (None, "0.0.0.0/0", "::/0")
    name = rule["protocol"]
    number = None if name is None else str(PROTOCOLS.get(name, name))
    return (*(rule[field] for field in _COMPARED), number, None if everywhere else remote)
