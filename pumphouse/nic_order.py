"""Which port is which interface of a server. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def nic_order(
    addresses: Mapping[str, Sequence[Mapping[str, Any]]], ports: Iterable[Mapping[str, Any]]
) -> tuple[list[str], bool]:
    """The ids of a server's ports in the order of its interfaces, and whether that order is certain.

    Compute tells the interfaces only by their addresses, in order but grouped by the name of the network:
    where a group has several, one of another group may stand between them, and a port without addresses is
    not told at all.
    """
    left = {str(port["id"]): port for port in ports}
    order: list[str] = []
    groups: list[set[str]] = []
    for group in addresses.values():
        groups.append(set())
        for address in group:
            found = _port_of(address, left)
            if found is not None:
                groups[-1].add(found)
                if found not in order:
                    order.append(found)
    silent = sorted(set(left) - set(order))
    clear = len(groups) < 2 or all(len(group) < 2 for group in groups)
    return order + silent, clear and len(silent) <= (0 if order else 1)


def _port_of(address: Mapping[str, Any], ports: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The port with a MAC and an address. A floating address has the MAC of its port, and is passed over."""
    for identity, port in ports.items():
        has = {str(fixed["ip_address"]) for fixed in port["fixed_ips"]}
        if port["mac_address"] == address.get("OS-EXT-IPS-MAC:mac_addr") and address["addr"] in has:
            return identity
    return None


def fixed_addresses(addresses: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """The fixed addresses."""
    for group in addresses.values():
        for address in group:
            if address.get("OS-EXT-IPS:type", "fixed") == "fixed":
                yield str(address["addr"])
