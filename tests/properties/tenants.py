"""Made-up tenants as descriptions that fill an embedded cloud (see pumphouse.devcloud.fill)."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFVXm1V4ltDOF2TEf+1kT5s19YutYgZ0ryPzVtgO0MUD someone"
CLOUD = {
    "flavors": [
        {"name": "tiny", "ram": 256, "vcpus": 1, "disk": 1},
        {"name": "own", "ram": 512, "vcpus": 2, "disk": 1, "public": False, "access": ["shop"]},
    ],
    "networks": [
        {
            "name": "public",
            "router:external": True,
            "subnets": [{"name": "public", "cidr": "203.0.113.0/24", "enable_dhcp": False}],
        }
    ],
    "images": [{"name": "linux", "visibility": "public", "content": {"seed": "linux", "kib": 8}}],
}
Description = dict[str, Any]


@st.composite
def tenants(draw: st.DrawFn) -> Description:
    """A tenant with some of everything, whose parts need each other in any way."""
    networks = [_network(draw, number) for number in range(draw(st.integers(1, 3)))]
    subnets = [subnet["name"] for network in networks for subnet in network["subnets"]]
    groups = [f"group-{number}" for number in range(draw(st.integers(0, 3)))]
    images = ["linux", *(f"image-{number}" for number in range(draw(st.integers(0, 2))))]
    users = [f"user-{number}" for number in range(draw(st.integers(1, 2)))]
    keyed = draw(st.booleans())
    apart = draw(st.booleans())
    return {
        "description": draw(st.sampled_from(["", "made up", "ünïcode & <marks>"])),
        "users": [{"name": name, "password": f"{name}-secret", "roles": ["member"]} for name in users],
        "quotas": {"compute": {"cores": draw(st.integers(40, 60))}},
        "keypairs": [{"name": "key", "public_key": KEY}] if keyed else [],
        "networks": networks,
        "routers": _routers(draw, subnets),
        "security_groups": [{"name": name, "rules": _rules(draw, groups)} for name in groups],
        "images": [
            {"name": name, "visibility": "private", "content": {"seed": name, "kib": draw(st.integers(1, 9))}}
            for name in images[1:]
        ],
        "server_groups": [{"name": "apart", "policy": "soft-anti-affinity"}] if apart else [],
        "volumes": [
            {"name": f"volume-{number}", "size": 1, "content": {"seed": f"volume-{number}", "kib": 8}}
            for number in range(draw(st.integers(0, 2)))
        ],
        "servers": [
            {
                "name": f"server-{number}",
                "flavor": draw(st.sampled_from(["tiny", "own"])),
                "image": draw(st.sampled_from(images)),
                "ports": _ports(draw, networks, groups),
                **({"key_name": "key"} if keyed and draw(st.booleans()) else {}),
                **({"group": "apart"} if apart and draw(st.booleans()) else {}),
                "metadata": draw(st.sampled_from([{}, {"tier": "web"}])),
            }
            for number in range(draw(st.integers(0, 3)))
        ],
    }


def _network(draw: st.DrawFn, number: int) -> Description:
    return {
        "name": f"net-{number}",
        "subnets": [
            {"name": f"net-{number}-{place}", "cidr": f"10.{number}.{place}.0/24"}
            for place in range(draw(st.integers(1, 2)))
        ],
    }


def _routers(draw: st.DrawFn, subnets: list[str]) -> list[Description]:
    """Each subnet has one router at most, for which its gateway's address is free."""
    count = draw(st.integers(0, 2))
    inside: dict[int, list[str]] = {number: [] for number in range(count)}
    for subnet in subnets:
        where = draw(st.sampled_from([None, *inside]))
        if where is not None:
            inside[where].append(subnet)
    return [
        {
            "name": f"router-{number}",
            "interfaces": names,
            **({"gateway": "public"} if draw(st.booleans()) else {}),
        }
        for number, names in inside.items()
    ]


def _rules(draw: st.DrawFn, groups: list[str]) -> list[Description]:
    """Towards any group, itself included."""
    rules = []
    for number in range(draw(st.integers(0, 2))):
        port = {"protocol": "tcp", "port_range_min": 80 + number, "port_range_max": 80 + number}
        far = draw(st.sampled_from([None, *groups]))
        rules.append({**port, "remote_group": far} if far else {**port, "remote_ip_prefix": "192.0.2.0/24"})
    return rules


def _ports(draw: st.DrawFn, networks: list[Description], groups: list[str]) -> list[Description]:
    chosen = draw(
        st.lists(st.sampled_from(networks), min_size=1, max_size=2, unique_by=lambda one: one["name"])
    )
    named = st.lists(st.sampled_from(groups), max_size=2, unique=True) if groups else st.just([])
    ports = []
    for network in chosen:
        told = draw(named)
        ports.append({"network": network["name"], **({"groups": told} if told else {})})
    return ports
