"""Address scopes of the network service."""

from __future__ import annotations

from collections.abc import Iterator

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Reach, ScopeLevel
from pumphouse.rest import NeutronType
from pumphouse.steps import Create, Verify


class AddressScope(NeutronType):
    """A set of subnet pools whose addresses do not overlap and are routed without NAT. It takes no tags."""

    name = "address_scope"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    tagged = False
    marked = False
    path, item, items = "/address-scopes", "address_scope", "address_scopes"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        copy("ip_version", key=True, fixed=True),
        copy("shared", default=False),
        drop("id", why="the destination assigns it"),
        drop("tenant_id", why="the old name of project_id"),
    )
    steps = (Create, Verify)

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list, where the cloud has the extension."""
        if cloud.has_extension("address-scope"):
            yield from super().discover(cloud, seen=seen, reach=reach)
