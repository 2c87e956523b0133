"""The kinds of resources that the clouds are asked for: where they live and how they are made."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .world import World

PUBLIC_KEY = (
    "ssh-ed25519 " + base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + b"k" * 32).decode()
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One collection of one service.

    ``item`` is the envelope of one, "" where there is none; ``created`` and ``deleted`` are the statuses of
    POST and DELETE; ``change`` is (method, fields, status) of a change that is allowed; ``again`` is the
    status of making one of the same name; ``needed`` are fields without which it is refused; ``links``
    is where a page says the next one, if not in ``<items>_links``.
    """

    name: str
    service: str
    path: str
    item: str
    items: str
    body: Callable[[World], dict[str, Any]]
    created: int
    deleted: int
    change: tuple[str, Mapping[str, Any], int] | None = None
    again: int | None = None
    needed: Sequence[str] = ()
    listed: str = ""
    links: str = ""
    paged: bool = True
    ready: str = ""
    named_by: str = "id"
    before_removal: Sequence[tuple[str, str, Any]] = field(default=())

    def wrapped(self, body: Mapping[str, Any]) -> Any:
        """A request's body."""
        return {self.item: dict(body)} if self.item else dict(body)

    def unwrapped(self, body: Any) -> dict[str, Any]:
        """The resource in an answer."""
        return body[self.item] if self.item else body

    def identity(self, body: Mapping[str, Any]) -> str:
        """What stands behind the collection's path for one."""
        return str(body[self.named_by])


def _named(**more: Any) -> Callable[[World], dict[str, Any]]:
    return lambda world: {"name": world.fresh(), **more}


def _in_network(**more: Any) -> Callable[[World], dict[str, Any]]:
    return lambda world: {"name": world.fresh(), "network_id": world.one("network")["id"], **more}


def _subnet(world: World) -> dict[str, Any]:
    number = int(world.fresh().rsplit("-", 1)[1]) % 250
    return {
        "name": world.fresh(),
        "network_id": world.one("network")["id"],
        "ip_version": 4,
        "cidr": f"10.77.{number}.0/24",
    }


def _rule(world: World) -> dict[str, Any]:
    number = int(world.fresh().rsplit("-", 1)[1])
    return {
        "security_group_id": world.one("security_group")["id"],
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": "tcp",
        "port_range_min": 1000 + number,
        "port_range_max": 1000 + number,
    }


def _pool(world: World) -> dict[str, Any]:
    return {"name": world.fresh(), "prefixes": ["10.99.0.0/16"], "default_prefixlen": 24}


def _server(world: World) -> dict[str, Any]:
    return {
        "name": world.fresh(),
        "flavorRef": world.one("flavor")["id"],
        "imageRef": world.one("stored_image")["id"],
        "networks": [{"uuid": world.one("subnet")["network_id"]}],
    }


def _snapshot(world: World) -> dict[str, Any]:
    return {"name": world.fresh(), "volume_id": world.one("volume")["id"]}


def _floating_ip(world: World) -> dict[str, Any]:
    return {"floating_network_id": world.external_network()["id"]}


_PUT = ("PUT", {"description": "changed"}, 200)
_PATCH = ("PATCH", {"description": "changed"}, 200)
_DISABLE = ("PATCH", "/domains/{id}", {"domain": {"enabled": False}})
_NETWORK = {"service": "network", "created": 201, "deleted": 204}
_IDENTITY = {"service": "identity", "created": 201, "deleted": 204, "again": 409, "paged": False}

_ALL = (
    Kind(
        name="domain",
        path="/domains",
        item="domain",
        items="domains",
        body=_named(),
        change=_PATCH,
        needed=("name",),
        before_removal=(_DISABLE,),
        **_IDENTITY,
    ),
    Kind(
        name="project",
        path="/projects",
        item="project",
        items="projects",
        body=_named(),
        change=_PATCH,
        needed=("name",),
        **_IDENTITY,
    ),
    Kind(
        name="user",
        path="/users",
        item="user",
        items="users",
        body=_named(password="throw-away"),
        change=("PATCH", {"email": "changed@example.org"}, 200),
        needed=("name",),
        **_IDENTITY,
    ),
    Kind(
        name="group",
        path="/groups",
        item="group",
        items="groups",
        body=_named(),
        change=_PATCH,
        needed=("name",),
        **_IDENTITY,
    ),
    Kind(
        name="role",
        path="/roles",
        item="role",
        items="roles",
        body=_named(),
        change=_PATCH,
        needed=("name",),
        **_IDENTITY,
    ),
    Kind(
        name="flavor",
        service="compute",
        path="/flavors",
        item="flavor",
        items="flavors",
        body=_named(ram=64, vcpus=1, disk=1),
        created=200,
        deleted=202,
        again=409,
        change=_PUT,
        needed=("name", "ram", "vcpus", "disk"),
        listed="/flavors/detail",
    ),
    Kind(
        name="keypair",
        service="compute",
        path="/os-keypairs",
        item="keypair",
        items="keypairs",
        body=_named(public_key=PUBLIC_KEY, type="ssh"),
        created=201,
        deleted=204,
        again=409,
        needed=("name",),
        named_by="name",
    ),
    Kind(
        name="server_group",
        service="compute",
        path="/os-server-groups",
        item="server_group",
        items="server_groups",
        body=_named(policy="soft-affinity"),
        created=200,
        deleted=204,
        needed=("name", "policy"),
        paged=False,
    ),
    Kind(
        name="server",
        service="compute",
        path="/servers",
        item="server",
        items="servers",
        body=_server,
        created=202,
        deleted=204,
        change=_PUT,
        needed=("name", "flavorRef", "networks"),
        listed="/servers/detail",
        ready="ACTIVE",
    ),
    Kind(
        name="image",
        service="image",
        path="/v2/images",
        item="",
        items="images",
        body=_named(disk_format="raw", container_format="bare"),
        created=201,
        deleted=204,
    ),
    Kind(
        name="network",
        path="/v2.0/networks",
        item="network",
        items="networks",
        body=_named(),
        change=_PUT,
        **_NETWORK,
    ),
    Kind(
        name="subnet",
        path="/v2.0/subnets",
        item="subnet",
        items="subnets",
        body=_subnet,
        change=_PUT,
        needed=("network_id", "ip_version", "cidr"),
        **_NETWORK,
    ),
    Kind(
        name="port",
        path="/v2.0/ports",
        item="port",
        items="ports",
        body=_in_network(),
        change=_PUT,
        needed=("network_id",),
        **_NETWORK,
    ),
    Kind(
        name="router",
        path="/v2.0/routers",
        item="router",
        items="routers",
        body=_named(),
        change=_PUT,
        **_NETWORK,
    ),
    Kind(
        name="security_group",
        path="/v2.0/security-groups",
        item="security_group",
        items="security_groups",
        body=_named(),
        change=_PUT,
        **_NETWORK,
    ),
    Kind(
        name="security_group_rule",
        path="/v2.0/security-group-rules",
        item="security_group_rule",
        items="security_group_rules",
        body=_rule,
        again=409,
        needed=("security_group_id", "direction"),
        **_NETWORK,
    ),
    Kind(
        name="subnet_pool",
        path="/v2.0/subnetpools",
        item="subnetpool",
        items="subnetpools",
        body=_pool,
        change=_PUT,
        needed=("name", "prefixes"),
        **_NETWORK,
    ),
    Kind(
        name="address_scope",
        path="/v2.0/address-scopes",
        item="address_scope",
        items="address_scopes",
        body=_named(ip_version=4),
        change=("PUT", {"name": "changed"}, 200),
        needed=("ip_version",),
        **_NETWORK,
    ),
    Kind(
        name="floating_ip",
        path="/v2.0/floatingips",
        item="floatingip",
        items="floatingips",
        body=_floating_ip,
        change=_PUT,
        needed=("floating_network_id",),
        **_NETWORK,
    ),
    Kind(
        name="volume",
        service="block-storage",
        path="/volumes",
        item="volume",
        items="volumes",
        body=_named(size=1),
        created=202,
        deleted=202,
        change=_PUT,
        listed="/volumes/detail",
        ready="available",
    ),
    Kind(
        name="volume_type",
        service="block-storage",
        path="/types",
        item="volume_type",
        items="volume_types",
        body=_named(),
        created=200,
        deleted=202,
        again=409,
        change=_PUT,
        needed=("name",),
        links="volume_type_links",
    ),
    Kind(
        name="snapshot",
        service="block-storage",
        path="/snapshots",
        item="snapshot",
        items="snapshots",
        body=_snapshot,
        created=202,
        deleted=202,
        change=_PUT,
        needed=("volume_id",),
        listed="/snapshots/detail",
        ready="available",
    ),
)

KINDS = {kind.name: kind for kind in _ALL}
