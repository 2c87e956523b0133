"""Servers, key pairs and server groups; and that the source is what it was."""

from __future__ import annotations

from typing import Any

from listing import Change, changes
from tenant.servers import ALL, GROUP

from .moved import Moved, equal

_OF_THE_MOMENT = {
    "OS-EXT-SRV-ATTR:host",
    "OS-EXT-SRV-ATTR:hypervisor_hostname",
    "OS-EXT-SRV-ATTR:instance_name",
    "OS-EXT-SRV-ATTR:reservation_id",
    "OS-EXT-SRV-ATTR:root_device_name",
    "OS-EXT-STS:power_state",
    "OS-EXT-STS:task_state",
    "OS-EXT-STS:vm_state",
    "OS-SRV-USG:launched_at",
    "addresses",
    "created",
    "hostId",
    "host_status",
    "image",
    "os-extended-volumes:volumes_attached",
    "pinned_availability_zone",
    "progress",
    "scheduler_hints",
    "status",
    "updated",
    "user_id",
}
_REST = {one.name: one.status for one in ALL}
_AT_REST = {
    "servers": {"status", "OS-EXT-STS:power_state", "OS-EXT-STS:vm_state"},
    "ports": {"status"},
}


def servers(moved: Moved) -> str:
    """State, name, key, metadata, tags, image, volumes, interfaces."""
    here, _ = moved.pair("servers")
    there = moved.same("servers", own=_OF_THE_MOMENT)
    states = {name: one["status"] for name, one in there.items()}
    equal("states", states, {name: _REST[name] for name in here})
    for name, server in here.items():
        other = there[name]
        if name != "shelved":  # each cloud has its own image of what was shelved
            images = [moved.plain(one["image"], there=one is other) for one in (server, other)]
            equal(f"{name}: image", *(one and one["id"] for one in images))
        equal(f"{name}: interfaces", _interfaces(other), _interfaces(server))
        equal(f"{name}: volumes", _attached(moved, name, there=True), _attached(moved, name, there=False))
        if name == "web-0":
            equal(f"{name}: networks", [network for network, _, _ in _interfaces(other)], ["front", "back"])
    return (
        f"{len(there)} servers are in the states that they had ({', '.join(sorted(set(states.values())))}), "
        "with key pair, metadata, tags, user data, lock, interfaces in their order, and volumes."
    )


def _interfaces(server: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Network, MAC and addresses of each, in the server's order."""
    found: dict[tuple[str, str], list[str]] = {}
    for network, addresses in server["addresses"].items():
        for one in addresses:
            if one["OS-EXT-IPS:type"] == "fixed":
                found.setdefault((network, one["OS-EXT-IPS-MAC:mac_addr"]), []).append(one["addr"])
    return [(network, mac, sorted(addresses)) for (network, mac), addresses in found.items()]


def _attached(moved: Moved, name: str, *, there: bool) -> list[tuple[Any, ...]]:
    listed = moved.there if there else moved.here
    server = moved.pair("servers")[there][name]
    return sorted(
        (listed["volumes"][one["volumeId"]]["name"], one["device"], one["tag"], one["delete_on_termination"])
        for one in listed["attachments"][server["id"]]
    )


def key_pairs(moved: Moved) -> str:
    """Of every user."""
    keys = [_keys(moved, there=there) for there in (False, True)]
    equal("key pairs", keys[1], keys[0])
    assert keys[0], "no user has a key pair on the source"
    return f"Key pairs of {len(keys[0])} users have their names, types, keys and fingerprints."


def _keys(moved: Moved, *, there: bool) -> dict[str, Any]:
    listed = moved.there if there else moved.here
    users = {one["id"]: one["name"] for one in listed["users"].values()}
    fields = ("name", "type", "fingerprint", "public_key")
    return {
        users[user]: [tuple(one["keypair"][field] for field in fields) for one in found]
        for user, found in listed["key pairs"].items()
        if found and users[user].startswith(f"{moved.source.name}-")
    }


def server_groups(moved: Moved) -> str:
    """Policy, rules, members."""
    there = moved.same("server groups", own={"user_id"})
    if "together" in there:
        members = sorted(moved.plain(there["together"]["members"], there=True))
        equal("who is together", members, sorted(f"servers {name}" for name in GROUP))
    return f"{len(there)} server groups have their policies, rules and members."


def source_untouched(moved: Moved) -> str:
    """The source's servers are shut down, and nothing else there has changed."""
    here, _ = moved.pair("servers")
    wanted = {name: "SHELVED_OFFLOADED" if name == "shelved" else "SHUTOFF" for name in here}
    equal("states", {name: one["status"] for name, one in here.items()}, wanted)
    others = [one for one in changes(moved.before, moved.here) if not _of_rest(moved, one)]
    equal("what else changed on the source", others, [])
    return "The source's servers are at rest; field by field, nothing else there has changed."


def _of_rest(moved: Moved, change: Change) -> bool:
    """Whether a change of the source is what shutting down the tenant's servers changes."""
    return change.field in _AT_REST.get(change.collection, set()) and any(
        body["id"] == change.identity for body in moved.pair(change.collection)[0].values()
    )
