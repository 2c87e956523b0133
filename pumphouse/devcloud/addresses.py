"""Arithmetic on addresses: pools, free addresses, MACs. Pure functions over `ipaddress`."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Container, Iterable, Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
Pool = dict[str, str]
"""An allocation pool as the API has it: {"start": address, "end": address}, both included."""

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def subnet(cidr: str) -> Subnet:
    """The network of a CIDR; host bits are dropped, as Neutron does. ValueError when it is none."""
    return ipaddress.ip_network(cidr, strict=False)


def address(text: str) -> Address:
    """An IP address. ValueError when it is none."""
    return ipaddress.ip_address(text)


def normal(text: str) -> str:
    """The one canonical spelling of an address."""
    return str(ipaddress.ip_address(text))


def is_mac(text: str) -> bool:
    """Whether this is a MAC address in lower case with colons."""
    return bool(_MAC.fullmatch(text))


def usable(cidr: str) -> tuple[int, int]:
    """First and last address (as integers) that a host may have in the subnet."""
    net = subnet(cidr)
    first, last = int(net.network_address), int(net.broadcast_address)
    if net.version == 4 and net.prefixlen < 31:
        return first + 1, last - 1
    if net.version == 6 and net.prefixlen < 127:
        return first + 1, last
    return first, last


def default_gateway(cidr: str) -> str:
    """The first usable address."""
    first, _ = usable(cidr)
    return str(_typed(first, subnet(cidr).version))


def default_pools(cidr: str, gateway: str | None) -> list[Pool]:
    """Everything usable except the gateway."""
    version = subnet(cidr).version
    first, last = usable(cidr)
    if gateway is None or not first <= int(address(gateway)) <= last:
        return [_pool(first, last, version)]
    hole = int(address(gateway))
    halves = [(first, hole - 1), (hole + 1, last)]
    return [_pool(start, end, version) for start, end in halves if start <= end]


def _pool(start: int, end: int, version: int) -> Pool:
    return {"start": str(_typed(start, version)), "end": str(_typed(end, version))}


def _typed(value: int, version: int) -> Address:
    return ipaddress.IPv4Address(value) if version == 4 else ipaddress.IPv6Address(value)


def in_pools(text: str, pools: Iterable[Pool]) -> bool:
    """Whether an address lies in one of the pools."""
    value = int(address(text))
    return any(int(address(pool["start"])) <= value <= int(address(pool["end"])) for pool in pools)


def free(pools: Iterable[Pool], taken: Container[str], *, version: int, skip: int = 0) -> str | None:
    """The lowest free address of the pools, None when all are taken.

    `skip` addresses are passed over at first and looked at last: a long run of allocations need not begin at
    the start.
    """
    ranges = [range(int(address(pool["start"])), int(address(pool["end"])) + 1) for pool in pools]
    for values in (*_behind(ranges, skip), *ranges):
        for value in values:
            candidate = str(_typed(value, version))
            if candidate not in taken:
                return candidate
    return None


def _behind(ranges: Iterable[range], skip: int) -> Iterator[range]:
    """The ranges without their first `skip` values in all."""
    for values in ranges:
        yield values[skip:]
        skip = max(0, skip - len(values))


def slaac(cidr: str, mac: str) -> str:
    """The address that a host with this MAC gives itself in the subnet (modified EUI-64, RFC 4291)."""
    octets = [int(part, 16) for part in mac.split(":")]
    identifier = [octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]]
    return str(subnet(cidr).network_address + int.from_bytes(bytes(identifier), "big"))


def new_mac(rng: random.Random) -> str:
    """A MAC address with Neutron's own prefix."""
    return ":".join(["fa", "16", "3e", *(f"{rng.randrange(256):02x}" for _ in range(3))])


def free_subnet(prefixes: Iterable[str], length: int, taken: Iterable[str]) -> str | None:
    """The first subnet of this prefix length inside the prefixes that overlaps none of `taken`."""
    used = [subnet(cidr) for cidr in taken]
    for prefix in prefixes:
        pool = subnet(prefix)
        if pool.prefixlen > length:
            continue
        step = 1 << (pool.max_prefixlen - length)
        value, end = int(pool.network_address), int(pool.broadcast_address)
        while value <= end:
            candidate = subnet(f"{_typed(value, pool.version)}/{length}")
            clash = [other for other in used if other.version == pool.version and other.overlaps(candidate)]
            if not clash:
                return str(candidate)
            # Go on behind the largest clash, on a boundary of this prefix length.
            value = max(value + step, -(-(max(int(c.broadcast_address) for c in clash) + 1) // step) * step)
    return None


def covered(cidr: str, prefixes: Iterable[str]) -> bool:
    """Whether one of the prefixes holds the whole of `cidr`."""
    inner = subnet(cidr)
    return any(_inside(inner, subnet(prefix)) for prefix in prefixes)


def overlap(one: str, other: str) -> bool:
    """Whether two CIDRs of the same version share an address."""
    first, second = subnet(one), subnet(other)
    return first.version == second.version and first.overlaps(second)


def _inside(inner: Subnet, outer: Subnet) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False
