"""Servers of a tenant, in every state that a cloud of one host can make."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection

from .site import WAIT, Ids, ask, make, payload

USER_DATA = base64.b64encode(b"#!/bin/sh\necho hello\n").decode()


@dataclass(frozen=True)
class Server:
    """One of the tenant's; ``action`` brings it to ``status``."""

    name: str
    status: str = "ACTIVE"
    action: str | None = None
    reason: str | None = None
    boots_from: str | None = None
    holds: str | None = None
    disposable: bool = False


SMALL = (
    Server("web-0"),
    Server("web-2", status="SHUTOFF", action="os-stop"),
    Server("legacy", boots_from="root"),
)
ALL = (
    *SMALL,
    Server("web-1", holds="orders"),
    Server("paused", status="PAUSED", action="pause"),
    Server("suspended", status="SUSPENDED", action="suspend"),
    Server("locked", action="lock", reason="do not touch"),
    Server("shelved", status="SHELVED_OFFLOADED", action="shelve"),
)
DISKS = (
    Server("copied", holds="orders"),
    Server("lifted"),
    Server("thrown", disposable=True),
    Server("legacy", boots_from="root"),
)
"""Of the tenant that is about disks: one for each way that a root disk can take."""
GROUP = ("web-0", "web-1")
"""Who is in the server group."""


def public_key(seed: str) -> str:
    """An SSH public key of the ed25519 kind whose private half nobody has."""
    parts = (b"ssh-ed25519", payload(seed, 32))
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {seed}"


def key_pair(owner: Connection, name: str, seed: str) -> str:
    """A user's key pair; its name."""
    key = public_key(seed)
    return str(
        make(owner, "compute", "/os-keypairs", "keypair", name=name, type="ssh", public_key=key)["name"]
    )


def server_group(tenant: Connection, name: str, policy: str, **fields: Any) -> str:
    """A server group; its id."""
    return str(
        make(tenant, "compute", "/os-server-groups", "server_group", name=name, policy=policy, **fields)["id"]
    )


def boot(
    tenant: Connection,
    server: Server,
    *,
    flavor: str,
    image: str,
    key: str,
    ports: Sequence[str],
    volumes: Ids,
    group: str | None,
) -> str:
    """Begin to make a server; its id."""
    body = {
        "name": server.name,
        "description": f"it is {server.status.lower()}",
        "flavorRef": flavor,
        "key_name": key,
        "networks": [{"port": port} for port in ports],
        "metadata": {
            "tier": "web",
            "name": server.name,
            **({"pumphouse_disk": "disposable"} if server.disposable else {}),
        },
        "tags": ["fleet", server.name],
        "user_data": USER_DATA,
        "config_drive": server.name == "web-1",
        **_disks(server, image, volumes),
    }
    hints = {"os:scheduler_hints": {"group": group}} if group and server.name in GROUP else {}
    return str(ask(tenant, "POST", "compute", "/servers", {"server": body, **hints})["server"]["id"])


def settle(tenant: Connection, made: Mapping[Server, str]) -> None:
    """Wait until all run, and bring each to its state."""
    for identity in made.values():
        _wait(tenant, identity, "ACTIVE")
    for server, identity in made.items():
        if server.action:
            body = {"locked_reason": server.reason} if server.reason else None
            ask(tenant, "POST", "compute", f"/servers/{identity}/action", {server.action: body})
    for server, identity in made.items():
        _wait(tenant, identity, server.status)


def _wait(tenant: Connection, identity: str, status: str) -> None:
    found = tenant.compute.get_server(identity)
    tenant.compute.wait_for_server(found, status=status, failures=["ERROR"], interval=1, wait=WAIT)


def _disks(server: Server, image: str, volumes: Ids) -> Mapping[str, Any]:
    if server.boots_from:
        return {"block_device_mapping_v2": [_volume(volumes[server.boots_from], boot_index=0, ends=True)]}
    if not server.holds:
        return {"imageRef": image}
    root = {
        "uuid": image,
        "source_type": "image",
        "destination_type": "local",
        "boot_index": 0,
        "delete_on_termination": True,
    }
    data = {**_volume(volumes[server.holds], boot_index=-1, ends=False), "tag": server.holds}
    return {"imageRef": image, "block_device_mapping_v2": [root, data]}


def _volume(identity: str, *, boot_index: int, ends: bool) -> dict[str, Any]:
    return {
        "uuid": identity,
        "source_type": "volume",
        "destination_type": "volume",
        "boot_index": boot_index,
        "delete_on_termination": ends,
    }
