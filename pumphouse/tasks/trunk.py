"""Trunks of the network service: one port of a server that carries others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Problem, Reach, ScopeLevel, Severity
from pumphouse.rest import STANDARD, RestType


class Trunk(RestType):
    """One port of a server that carries others, told apart by their VLANs. Its ports move; it does not."""

    name = "trunk"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    path, item, items = "/trunks", "trunk", "trunks"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        ref("port_id", to="port"),
        copy("sub_ports", refs={"port_id": "port"}, unordered=True, default=[]),
        *STANDARD,
        drop("description", why="people tell their own"),
        drop("admin_state_up", why="people choose it"),
        drop("tags", why="people choose them"),
        drop("status", why="of the moment"),
    )
    steps = ()

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list, where the cloud has the extension."""
        if cloud.has_extension("trunk"):
            yield from super().discover(cloud, seen=seen, reach=reach)

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Always."""
        count = len(resource.fields["sub_ports"])
        yield Problem(
            severity=Severity.LOST,
            summary=f"trunks are not carried: this one carries {count} more port{'s' * (count != 1)}",
            next_step="Create it on the destination (openstack network trunk create) with the moved ports.",
        )
