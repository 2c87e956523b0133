"""Addresses given out: which port holds which IP and MAC address, in two hidden tables."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from pumphouse.devcloud import addresses
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.errors import conflict
from pumphouse.devcloud.network_api import in_use
from pumphouse.devcloud.services import NETWORK
from pumphouse.devcloud.table import Row, Table

IPS = NETWORK.table(
    "ip_allocations", key=itemgetter("subnet_id", "ip_address"), indexes=("subnet_id", "port_id"), hidden=True
)
MACS = NETWORK.table("mac_allocations", key=itemgetter("network_id", "mac_address"), hidden=True)

# Below this many addresses in use the lowest free one is looked for from the start.
_FEW = 64


@dataclass(frozen=True)
class _Taken:
    """The addresses of a subnet that are in use, as a container."""

    table: Table
    subnet_id: str

    def __contains__(self, address: object) -> bool:
        return (self.subnet_id, address) in self.table


def allocate(cloud: DevCloud, subnet: Row) -> str | None:
    """A free address of the subnet's pools, not yet claimed; None when there is none."""
    table = cloud.table(IPS)
    used = table.count("subnet_id", subnet["id"])
    return addresses.free(
        subnet["allocation_pools"],
        _Taken(table, subnet["id"]),
        version=subnet["ip_version"],
        skip=used if used > _FEW else 0,
    )


def holder(cloud: DevCloud, subnet_id: str, address: str) -> str | None:
    """The port that holds an address."""
    row = cloud.table(IPS).get((subnet_id, address))
    return None if row is None else str(row["port_id"])


def claim(cloud: DevCloud, port: Row, fixed_ips: list[dict[str, str]]) -> None:
    """Give a port its addresses; 409 IpAddressInUse (and nothing claimed) when one is taken."""
    table = cloud.table(IPS)
    for fixed in fixed_ips:
        if (fixed["subnet_id"], fixed["ip_address"]) in table:
            raise in_use(
                f"Unable to complete operation for network {port['network_id']}. The IP address "
                f"{fixed['ip_address']} is in use.",
                "IpAddressInUse",
            )
    for fixed in fixed_ips:
        table.add({**fixed, "port_id": port["id"]})


def release(cloud: DevCloud, fixed_ips: list[dict[str, str]]) -> None:
    """Take addresses back."""
    for fixed in fixed_ips:
        cloud.table(IPS).remove((fixed["subnet_id"], fixed["ip_address"]))


def ports_on(cloud: DevCloud, subnet_id: str) -> list[str]:
    """The ids of the ports with an address of the subnet."""
    found = (row["port_id"] for row in cloud.table(IPS).find(subnet_id=subnet_id))
    return list(dict.fromkeys(found))


def used(cloud: DevCloud, subnet_id: str) -> int:
    """How many addresses of a subnet are in use."""
    return cloud.table(IPS).count("subnet_id", subnet_id)


def claim_mac(cloud: DevCloud, port: Row, wanted: Any) -> str:
    """Give a port the MAC address it wants (409 MacAddressInUse when it is taken), or a new one."""
    table = cloud.table(MACS)
    network_id = port["network_id"]
    if wanted:
        if (network_id, wanted) in table:
            raise in_use(
                f"Unable to complete operation for network {network_id}. The mac address {wanted} is in use.",
                "MacAddressInUse",
            )
        mac = str(wanted)
    else:
        while (network_id, mac := addresses.new_mac(cloud.random)) in table:
            pass
    table.add({"network_id": network_id, "mac_address": mac, "port_id": port["id"]})
    return mac


def release_mac(cloud: DevCloud, port: Row) -> None:
    """Take a port's MAC address back."""
    cloud.table(MACS).remove((port["network_id"], port["mac_address"]))


def exhausted(network_id: str) -> Exception:
    """No address is left."""
    return conflict(
        f"No more IP addresses available on network {network_id}.", type="IpAddressGenerationFailure"
    )
