"""Full listings of a real cloud, to be compared: what each service answers to an administrator.

They are read from the APIs and from Keystone's database, without pumphouse, so that they can prove it wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from openstack.connection import Connection

Listing = dict[str, dict[str, Any]]
"""``{collection: {id: body}}``"""
VOLATILE = frozenset({"updated_at", "revision_number", "updated", "progress"})
ORDERED = frozenset({"dns_nameservers", "addresses"})


class Collection(NamedTuple):
    """Where a service lists its objects; ``{project}`` and ``{user}`` are filled in for each of them."""

    service: str
    path: str
    items: str
    microversion: str | None = None
    identity: str = "id"


COLLECTIONS = {
    "domains": Collection("identity", "/domains", "domains"),
    "projects": Collection("identity", "/projects", "projects"),
    "users": Collection("identity", "/users", "users"),
    "groups": Collection("identity", "/groups", "groups"),
    "roles": Collection("identity", "/roles", "roles"),
    "role assignments": Collection("identity", "/role_assignments", "role_assignments", None, ""),
    "flavors": Collection("compute", "/flavors/detail?is_public=None&limit=1000", "flavors", "2.61"),
    "servers": Collection("compute", "/servers/detail?all_tenants=1&limit=1000", "servers", "2.79"),
    "server groups": Collection("compute", "/os-server-groups?all_projects=true", "server_groups", "2.64"),
    "images": Collection("image", "/images?limit=1000&member_status=all", "images"),
    "hidden images": Collection("image", "/images?limit=1000&os_hidden=true", "images"),
    "networks": Collection("network", "/networks", "networks"),
    "subnets": Collection("network", "/subnets", "subnets"),
    "ports": Collection("network", "/ports", "ports"),
    "routers": Collection("network", "/routers", "routers"),
    "floating IPs": Collection("network", "/floatingips", "floatingips"),
    "security groups": Collection("network", "/security-groups", "security_groups"),
    "security group rules": Collection("network", "/security-group-rules", "security_group_rules"),
    "RBAC policies": Collection("network", "/rbac-policies", "rbac_policies"),
    "subnet pools": Collection("network", "/subnetpools", "subnetpools"),
    "address scopes": Collection("network", "/address-scopes", "address_scopes"),
    "QoS policies": Collection("network", "/qos/policies", "policies"),
    "volumes": Collection("block-storage", "/volumes/detail?all_tenants=1&limit=1000", "volumes", "3.59"),
    "snapshots": Collection(
        "block-storage", "/snapshots/detail?all_tenants=1&limit=1000", "snapshots", "3.59"
    ),
}
DETAILS = {
    "flavor access": (
        "flavors",
        Collection("compute", "/flavors/{id}/os-flavor-access", "flavor_access", "2.61"),
    ),
    "image members": ("images", Collection("image", "/images/{id}/members", "members")),
    "group members": ("groups", Collection("identity", "/groups/{id}/users", "users")),
    "application credentials": (
        "users",
        Collection("identity", "/users/{id}/application_credentials", "application_credentials"),
    ),
    "key pairs": ("users", Collection("compute", "/os-keypairs?user_id={id}", "keypairs", "2.10")),
    "compute quotas": ("projects", Collection("compute", "/os-quota-sets/{id}", "quota_set", "2.60")),
    "network quotas": ("projects", Collection("network", "/quotas/{id}", "quota")),
    "volume quotas": ("projects", Collection("block-storage", "/os-quota-sets/{id}", "quota_set", "3.59")),
    "attachments": (
        "servers",
        Collection("compute", "/servers/{id}/os-volume_attachments", "volumeAttachments", "2.79"),
    ),
}
ONLY_OF: dict[str, Callable[[dict[str, Any]], bool]] = {
    "flavor access": lambda flavor: not flavor["os-flavor-access:is_public"],
    "image members": lambda image: image["visibility"] == "shared",
}
"""Where not every owner has details, which do."""
TABLES = ("user", "local_user", "password", "project", "assignment", "user_option")


@dataclass(frozen=True, slots=True)
class Change:
    """One field that two listings have otherwise; ``field`` is empty for an object that only one has."""

    collection: str
    identity: str
    field: str
    before: Any
    after: Any


def listing(cloud: Connection, keystone: str | None) -> Listing:
    """All that the cloud lists, and what Keystone's database holds of users, if known: hashes as digests."""
    found: Listing = {
        name: {_identity(where, one): one for one in _get(cloud, where)}
        for name, where in COLLECTIONS.items()
    }
    for name, (owners, where) in DETAILS.items():
        found[name] = {}
        for identity, owner in found[owners].items():
            if name not in ONLY_OF or ONLY_OF[name](owner):
                found[name][identity] = _get(cloud, where._replace(path=where.path.format(id=identity)))
    return found | (_tables(keystone) if keystone else {})


def _get(cloud: Connection, where: Collection) -> Any:
    client = getattr(cloud, where.service.replace("-", "_"))
    return client.get(where.path, microversion=where.microversion).json()[where.items]


def _identity(where: Collection, body: Any) -> str:
    return str(body[where.identity]) if where.identity else json.dumps(body, sort_keys=True)


def _tables(url: str) -> Listing:
    engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True)
    found: Listing = {}
    with engine.connect() as connection:
        there = set(sa.inspect(connection).get_table_names())
        for name in filter(there.__contains__, TABLES):  # an embedded cloud has those of passwords alone
            table = sa.Table(name, sa.MetaData(), autoload_with=connection, resolve_fks=False)
            rows = [_plain(row) for row in connection.execute(sa.select(table)).mappings()]
            found[f"table {name}"] = {json.dumps(row, sort_keys=True): row for row in rows}
    return found


def _plain(row: Any) -> dict[str, str]:
    return {
        name: hashlib.sha256(str(value).encode()).hexdigest() if "hash" in name else str(value)
        for name, value in row.items()
    }


def changes(before: Listing, after: Listing, *, volatile: bool = False) -> list[Change]:
    """What differs, sorted; times and revisions only where ``volatile`` is asked for."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before[name], after[name]
        for identity in sorted(one.keys() | other.keys()):
            old, new = one.get(identity), other.get(identity)
            if isinstance(old, dict) and isinstance(new, dict):
                fields = [
                    field
                    for field in sorted(old.keys() | new.keys())
                    if not _same(field, old.get(field), new.get(field))
                ]
                found += [
                    Change(name, identity, field, old.get(field), new.get(field))
                    for field in fields
                    if volatile or field not in VOLATILE
                ]
            elif _canonical(old) != _canonical(new):
                found.append(Change(name, identity, "", old, new))
    return found


def _same(field: str, old: Any, new: Any) -> bool:
    return bool(old == new if field in ORDERED else _canonical(old) == _canonical(new))


def _canonical(value: Any) -> Any:
    """Lists without their order, which most of them have by chance."""
    if isinstance(value, list):
        return sorted((_canonical(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    if isinstance(value, dict):
        return {name: _canonical(one) for name, one in sorted(value.items())}
    return value
