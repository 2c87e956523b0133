"""Address groups of the network service."""

from collections.abc import Iterator

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Reach, ScopeLevel
from pumphouse.rest import NeutronType
from pumphouse.steps import Create, Verify


class AddressGroup(NeutronType):
    """A project's named list of addresses, for rules of security groups.

    It takes no tags; its description is the marker until it is finished.
    """

    name = "address_group"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    tagged = False
    described = True
    path, item, items = "/address-groups", "address_group", "address_groups"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        copy("description", default=""),
        copy("addresses", fixed=True, unordered=True),
        drop("id", why="the destination assigns it"),
        drop("shared", why="set by RBAC policies"),
    )
    steps = (Create, Verify)

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list, where the cloud has the extension."""
        if cloud.has_extension("address-group"):
            yield from super().discover(cloud, seen=seen, reach=reach)
