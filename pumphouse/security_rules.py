"""What a security group rule says, in one spelling. Pure.

The network service keeps a protocol as it was given, by name or by number, and takes an address range of all
for none: rules that differ only so are duplicates to it. The same normal form here makes them equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "0": "hopopt",
        "1": "icmp",
        "2": "igmp",
        "4": "ipip",
        "6": "tcp",
        "8": "egp",
        "17": "udp",
        "33": "dccp",
        "41": "ipv6-encap",
        "43": "ipv6-route",
        "44": "ipv6-frag",
        "46": "rsvp",
        "47": "gre",
        "50": "esp",
        "51": "ah",
        "58": "ipv6-icmp",
        "59": "ipv6-nonxt",
        "60": "ipv6-opts",
        "89": "ospf",
        "112": "vrrp",
        "113": "pgm",
        "132": "sctp",
        "136": "udplite",
    }
)
ALL_ADDRESSES: Final = frozenset({"0.0.0.0/0", "::/0"})
ALL_PORTS: Final = (1, 65535)
SAID: Final = (
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
    "remote_address_group_id",
)
"""What tells one rule of a group from another. Its description does not."""


def normal(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule's body with what it says in the normal form; all else is as it was."""
    low, high = rule.get("port_range_min"), rule.get("port_range_max")
    prefix = rule.get("remote_ip_prefix")
    whole = (low, high) == ALL_PORTS
    return {
        **rule,
        "protocol": _protocol(rule.get("protocol"), str(rule["ethertype"])),
        "port_range_min": None if whole else low,
        "port_range_max": None if whole else high,
        "remote_ip_prefix": None if prefix in ALL_ADDRESSES else prefix,
        "remote_group_id": rule.get("remote_group_id") or None,
        "remote_address_group_id": rule.get("remote_address_group_id") or None,
    }


def says(rule: Mapping[str, Any], *, group: str) -> tuple[Any, ...]:
    """What a rule of the group says, comparable between clouds unless it names another group."""
    form = normal(rule)
    return tuple("itself" if group and form[name] == group else form[name] for name in SAID)


def _protocol(value: Any, ethertype: str) -> str | None:
    if value in {None, ""}:
        return None
    name = NAMES.get(str(value), str(value).lower())
    if name == "icmpv6" or (name == "icmp" and ethertype == "IPv6"):
        return "ipv6-icmp"
    return name
