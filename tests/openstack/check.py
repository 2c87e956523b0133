"""Looks at a tenant that was moved between real clouds, never by pumphouse's own comparison.

Each function proves one thing with openstacksdk, or from a listing of either cloud, and says what it proved.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fill
from listing import Change, Listing, changes
from openstack.connection import Connection

VOLUME_FILE = "PUMPHOUSE_TEST_VOLUME_FILE"
"""Where a cloud keeps a volume's bytes, if that can be read: a path with ``{cloud}`` and ``{id}`` in it."""
GIB = 1 << 30
STATES = {"web-0": "ACTIVE", "web-1": "ACTIVE", "web-2": "SHUTOFF", "legacy": "ACTIVE"}
MARKER = "pumphouse_source"
_AT_REST = {
    "servers": {"status", "OS-EXT-STS:power_state", "OS-EXT-STS:vm_state"},
    "ports": {"status"},
}


@dataclass(frozen=True)
class Moved:
    """A tenant on both clouds, and listings: the source's from before the move, and both from after it."""

    name: str
    source: Connection
    destination: Connection
    before: Listing
    here: Listing
    there: Listing

    @cached_property
    def project(self) -> dict[str, Any]:
        """The destination's project."""
        return next(one for one in self.there["projects"].values() if one["name"] == self.name)

    @cached_property
    def old_project(self) -> dict[str, Any]:
        """The source's."""
        return next(one for one in self.here["projects"].values() if one["name"] == self.name)

    def of(self, collection: str, *, source: bool = False) -> dict[str, dict[str, Any]]:
        """The tenant's objects by name, without what routers made."""
        listed = self.here if source else self.there
        project = (self.old_project if source else self.project)["id"]
        owner = {"images": "owner", "servers": "tenant_id", "volumes": "os-vol-tenant-attr:tenant_id"}
        field = owner.get(collection, "project_id")
        return {
            one["name"]: one
            for one in listed[collection].values()
            if one[field] == project and not str(one.get("device_owner", "")).startswith("network:")
        }


def equal(what: str, have: Any, want: Any) -> None:
    """Refuse a difference, with both sides of it."""
    assert have == want, f"{what}: {have!r} found, {want!r} wanted"


def people(moved: Moved) -> str:
    """Both users log in with the passwords that they had, and have their roles and rows."""
    for user in fill.PASSWORDS:
        session = fill.login(moved.destination, moved.name, user)
        equal("the project logged into", session.current_project_id, moved.project["id"])
        rows = [_passwords(listed, f"{moved.name}-{user}") for listed in (moved.here, moved.there)]
        equal("the password's rows", rows[1], rows[0])
        assert rows[0], "the user has no password on the source"
    equal("roles", _roles(moved.there, moved.project), _roles(moved.here, moved.old_project))
    users = {one["name"]: one for one in moved.there["users"].values()}
    for user in fill.PASSWORDS:
        equal("the e-mail address", users[f"{moved.name}-{user}"]["email"], f"{user}@example.org")
    return "Both users log in with the passwords they had, and have their roles and e-mail addresses."


def _passwords(listed: Listing, user: str) -> list[tuple[str, ...]]:
    ids = {row["id"] for row in listed["table local_user"].values() if row["name"] == user}
    return sorted(
        (row["password_hash"], row["created_at_int"], row["expires_at_int"], row["self_service"])
        for row in listed["table password"].values()
        if row["local_user_id"] in ids
    )


def _roles(listed: Listing, project: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (listed["users"][one["user"]["id"]]["name"], listed["roles"][one["role"]["id"]]["name"])
        for one in listed["role assignments"].values()
        if one["scope"].get("project", {}).get("id") == project["id"] and "user" in one
    }


def project(moved: Moved) -> str:
    """The project's own fields and its limits."""
    for field in ("description", "enabled", "options"):
        equal(f"the project's {field}", moved.project[field], moved.old_project[field])
    equal("the project's tags", _tags(moved.project), sorted(moved.old_project["tags"]))
    wanted = {
        "compute quotas": {"instances": 7, "cores": 9},
        "network quotas": {"network": 12, "port": 60},
        "volume quotas": {"volumes": 6, "gigabytes": 50},
    }
    for service, limits in wanted.items():
        found = moved.there[service][moved.project["id"]]
        equal(service, {limit: found[limit] for limit in limits}, limits)
    return "The project has its description and tags, and the limits of compute, network and block storage."


def _tags(body: dict[str, Any]) -> list[str]:
    """All but pumphouse's mark."""
    return sorted(tag for tag in body["tags"] if not tag.startswith("pumphouse-source="))


def flavor(moved: Moved) -> str:
    """The private flavor: its values, extra specs and who may use it."""
    here, there = (
        next(one for one in listed["flavors"].values() if one["name"] == f"{moved.name}.tiny")
        for listed in (moved.here, moved.there)
    )
    equal("the flavor", there | {"links": None}, here | {"links": None})
    access = [one["tenant_id"] for one in moved.there["flavor access"][there["id"]]]
    equal("who may use the flavor", access, [moved.project["id"]])
    return "The private flavor has its id, sizes and extra specs, and only the tenant may use it."


def image(moved: Moved) -> str:
    """Bytes, properties, tags."""
    here, there = moved.of("images", source=True)["web-image"], moved.of("images")["web-image"]
    equal("the bytes", there["os_hash_value"], hashlib.sha512(fill.disk(moved.name, "image")).hexdigest())
    fields = (
        "os_distro",
        "hw_disk_bus",
        "visibility",
        "disk_format",
        "min_disk",
        "protected",
        "size",
    )
    for field in fields:
        equal(f"the image's {field}", there[field], here[field])
    equal("the image's tags", _tags(there), here["tags"])
    equal("the tenant's images", sorted(moved.of("images")), ["web-image"])
    return "The image has its bytes (SHA-512), properties, tags and visibility, and none but it is there."


def networks(moved: Moved) -> str:
    """Networks, subnets and the router."""
    for collection, fields in (
        ("networks", ("description", "mtu", "port_security_enabled", "admin_state_up", "shared")),
        (
            "subnets",
            ("cidr", "gateway_ip", "allocation_pools", "dns_nameservers", "host_routes", "enable_dhcp"),
        ),
        ("routers", ("description", "admin_state_up", "routes")),
    ):
        here, there = moved.of(collection, source=True), moved.of(collection)
        equal(collection, sorted(there), sorted(here))
        for name, field in ((name, field) for name in here for field in fields):
            if field in here[name] and field in there[name]:
                equal(f"{collection} {name}: {field}", there[name][field], here[name][field])
    router = moved.of("routers")["edge"]
    public = moved.destination.network.find_network("public").id
    equal("the gateway's network", router["external_gateway_info"]["network_id"], public)
    equal("the router's addresses", _interfaces(moved.there, router), {"10.50.0.1", "10.51.0.1"})
    return (
        "Two networks and subnets with their DNS servers in order, and a router to them and to the outside."
    )


def _interfaces(listed: Listing, router: dict[str, Any]) -> set[str]:
    return {
        fixed["ip_address"]
        for port in listed["ports"].values()
        if port["device_id"] == router["id"] and port["device_owner"] != "network:router_gateway"
        for fixed in port["fixed_ips"]
    }


def security_groups(moved: Moved) -> str:
    """All rules of all groups, those that name other groups among them, and none besides."""
    rules = [_rules(moved, source=source) for source in (True, False)]
    equal("the groups' rules", rules[1], rules[0])
    named = [rule for rule in rules[0] if rule[-1]]
    assert {("web", "database"), ("database", "web")} <= {(rule[0], rule[-1]) for rule in named}
    return f"Three security groups with {len(rules[1])} rules; those that name each other still do."


def _rules(moved: Moved, *, source: bool) -> list[tuple[Any, ...]]:
    groups = moved.of("security groups", source=source)
    names = {one["id"]: name for name, one in groups.items()}
    fields = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max")
    listed = (moved.here if source else moved.there)["security group rules"].values()
    found = [
        (
            names[rule["security_group_id"]],
            *(rule[field] for field in fields),
            rule["remote_ip_prefix"],
            names.get(rule["remote_group_id"]),
        )
        for rule in listed
        if rule["security_group_id"] in names
    ]
    return sorted(found, key=repr)


def ports(moved: Moved) -> str:
    """Addresses, MACs and groups of each port; the order of each server's interfaces."""
    groups = {
        one["id"]: name for s in (True, False) for name, one in moved.of("security groups", source=s).items()
    }
    here, there = moved.of("ports", source=True), moved.of("ports")
    equal("ports", sorted(there), sorted(here))
    for name, port in here.items():
        other = there[name]
        equal(f"{name}: the MAC", other["mac_address"], port["mac_address"])
        equal(f"{name}: addresses", *([one["ip_address"] for one in p["fixed_ips"]] for p in (other, port)))
        equal(
            f"{name}: groups", *(sorted(groups[one] for one in p["security_groups"]) for p in (other, port))
        )
    orders = [
        {name: _interfaces_of(server) for name, server in moved.of("servers", source=source).items()}
        for source in (True, False)
    ]
    equal("the order of the interfaces", orders[1], orders[0])
    equal("web-0's interfaces", [one[0] for one in orders[1]["web-0"]], ["front", "back"])
    return f"{len(here)} ports with their addresses, MACs and groups, in the order that each server had them."


def _interfaces_of(server: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (network, one["addr"], one["OS-EXT-IPS-MAC:mac_addr"])
        for network, addresses in server["addresses"].items()
        for one in addresses
        if one["OS-EXT-IPS:type"] == "fixed"
    ]


def floating_ip(moved: Moved) -> str:
    """Associated with the port and address that it had."""
    (there,) = (
        one for one in moved.there["floating IPs"].values() if one["project_id"] == moved.project["id"]
    )
    equal("its port", there["port_id"], moved.of("ports")["front-0"]["id"])
    equal("its fixed address", there["fixed_ip_address"], "10.50.0.20")
    equal("its description", there["description"], "the front door")
    return "The floating IP leads to the same port and fixed address, by an address of the destination."


def volumes(moved: Moved) -> str:
    """Fields and bytes: of the detached one through an image, of all from files that can be read."""
    here, there = moved.of("volumes", source=True), moved.of("volumes")
    equal("volumes", sorted(there), sorted(here))
    read = ["archive"]
    for name, volume in here.items():
        for field in ("description", "size", "bootable"):
            equal(f"volume {name}: {field}", there[name][field], volume[field])
        metadata = {key: value for key, value in there[name]["metadata"].items() if key != MARKER}
        equal(f"volume {name}: metadata", metadata, volume["metadata"])
        path = _file(moved.destination, there[name]["id"])
        if path is not None:
            equal(f"volume {name}: bytes", _digest(path), _wanted(moved.name, name))
            read = sorted(here)
    equal(
        "volume archive: bytes",
        _uploaded(moved.destination, there["archive"]["id"]),
        _wanted(moved.name, "archive"),
    )
    equal("snapshots left", moved.there["snapshots"], {})
    return f"Three volumes with their descriptions and metadata; the bytes were read of: {', '.join(read)}."


def _file(cloud: Connection, identity: str) -> Path | None:
    pattern = os.environ.get(VOLUME_FILE)
    return Path(pattern.format(cloud=cloud.config.name, id=identity)) if pattern else None


def _wanted(tenant: str, volume: str) -> str:
    """The digest of what the filler wrote and blanks up to the volume's size."""
    data = fill.disk(tenant, volume)
    digest = hashlib.sha256(data)
    blank = bytes(1 << 20)
    for start in range(len(data), GIB, len(blank)):
        digest.update(blank[: GIB - start])
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _uploaded(cloud: Connection, identity: str) -> str:
    """The SHA-256 of a detached volume's bytes, read through an image that is then removed."""
    storage = cloud.block_storage
    answer = storage.post(
        f"/volumes/{identity}/action",
        json={
            "os-volume_upload_image": {
                "image_name": "check",
                "disk_format": "raw",
                "container_format": "bare",
            }
        },
    )
    image_id = answer.json()["os-volume_upload_image"]["image_id"]
    try:
        cloud.image.wait_for_status(
            cloud.image.get_image(image_id), "active", failures=["error", "killed"], wait=fill.WAIT
        )
        digest = hashlib.sha256()
        for chunk in cloud.image.download_image(image_id, stream=True).iter_content(1 << 20):
            digest.update(chunk)
    finally:
        cloud.image.delete_image(image_id)
    storage.wait_for_status(storage.get_volume(identity), "available", wait=fill.WAIT)
    return digest.hexdigest()


def servers(moved: Moved) -> str:
    """State, name, key, metadata, tags, image, volumes, and company."""
    here, there = moved.of("servers", source=True), moved.of("servers")
    equal("states", {name: one["status"] for name, one in there.items()}, STATES)
    images = {one["id"]: name for s in (True, False) for name, one in moved.of("images", source=s).items()}
    for name, server in here.items():
        other = there[name]
        metadata = {key: value for key, value in other["metadata"].items() if key != MARKER}
        equal(f"{name}: metadata", metadata, server["metadata"])
        for field in (
            "key_name",
            "config_drive",
            "flavor",
            "description",
            "OS-EXT-SRV-ATTR:user_data",
            "locked",
        ):
            equal(f"{name}: {field}", other[field], server[field])
        equal(f"{name}: tags", sorted(other["tags"]), sorted(server["tags"]))
        equal(f"{name}: image", *(one["image"] and images[one["image"]["id"]] for one in (other, server)))
        equal(f"{name}: volumes", _attached(moved, name), _attached(moved, name, source=True))
    keys = [_keys(moved, source=source) for source in (True, False)]
    equal("key pairs", keys[1], keys[0])
    assert keys[0], "alice has no key pair on the source"
    together = [_together(moved, source=source) for source in (True, False)]
    equal("the server group", together[1], together[0])
    equal("the server group's members", together[0], {"together": ("soft-affinity", ["web-0", "web-1"])})
    return (
        "Four servers in the states that they had, three running and one stopped, with key pair, metadata, "
        "tags, user data, server group and volumes; one of them boots from its volume."
    )


def _attached(moved: Moved, name: str, *, source: bool = False) -> list[tuple[Any, ...]]:
    listed = moved.here if source else moved.there
    server = moved.of("servers", source=source)[name]
    return sorted(
        (listed["volumes"][one["volumeId"]]["name"], one["tag"], one["delete_on_termination"])
        for one in listed["attachments"][server["id"]]
    )


def _keys(moved: Moved, *, source: bool) -> list[tuple[str, ...]]:
    listed = moved.here if source else moved.there
    (alice,) = (one["id"] for one in listed["users"].values() if one["name"] == f"{moved.name}-alice")
    return [
        tuple(one["keypair"][field] for field in ("name", "type", "fingerprint", "public_key"))
        for one in listed["key pairs"][alice]
    ]


def _together(moved: Moved, *, source: bool) -> dict[str, tuple[str, list[str]]]:
    names = {one["id"]: name for name, one in moved.of("servers", source=source).items()}
    return {
        name: (group["policy"], sorted(names[one] for one in group["members"]))
        for name, group in moved.of("server groups", source=source).items()
    }


def source_untouched(moved: Moved) -> str:
    """The source's servers are shut down, and nothing else there has changed."""
    equal("states", {one["status"] for one in moved.of("servers", source=True).values()}, {"SHUTOFF"})
    others = [one for one in changes(moved.before, moved.here) if not _of_rest(moved, one)]
    equal("what else changed on the source", others, [])
    return "The source's servers are shut down; field by field, nothing else there has changed."


def _of_rest(moved: Moved, change: Change) -> bool:
    """Whether a change of the source is what shutting down the tenant's servers changes."""
    return change.field in _AT_REST.get(change.collection, set()) and any(
        body["id"] == change.identity for body in moved.of(change.collection, source=True).values()
    )


CHECKS: tuple[Callable[[Moved], str], ...] = (
    project,
    people,
    flavor,
    image,
    networks,
    security_groups,
    ports,
    floating_ip,
    volumes,
    servers,
    source_untouched,
)


def check(moved: Moved) -> Iterator[str]:
    """All of them; what each proved. Raises AssertionError at the first that is not so."""
    for one in CHECKS:
        yield one(moved)
