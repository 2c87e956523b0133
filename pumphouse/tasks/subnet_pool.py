"""Subnet pools of the network service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Problem, Reach, ScopeLevel, Severity, Want
from pumphouse.rest import STANDARD, NeutronType
from pumphouse.steps import Create, Verify


class SubnetPool(NeutronType):
    """A pool of prefixes, of which subnets take theirs."""

    name = "subnet_pool"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    described = True
    path, item, items = "/subnetpools", "subnetpool", "subnetpools"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        copy("description", default=""),
        copy("prefixes", unordered=True),
        copy("min_prefixlen"),
        copy("max_prefixlen"),
        copy("default_prefixlen"),
        copy("default_quota"),
        ref("address_scope_id", to="address_scope", fixed=False),
        copy("shared", fixed=True, default=False),
        copy("tags", unordered=True, default=[]),
        *STANDARD,
        drop("ip_version", why="it follows from the prefixes"),
        drop("is_default", why="which pool is the default of the destination is its operators' to say"),
    )
    steps = (Create, Verify)

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list, where the cloud has the extension."""
        if cloud.has_extension("subnet_allocation"):
            yield from super().discover(cloud, seen=seen, reach=reach)

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One pool."""
        return {"network.subnetpool": 1}

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """Pools of one address scope may not overlap; the destination's others may be in it already."""
        scope = want.fields["address_scope_id"]
        if not scope:
            return
        wanted = set(want.fields["prefixes"])
        for pool in destination.of_type(self.name):
            shared = wanted & set(pool.fields["prefixes"])
            if pool.fields["address_scope_id"] == scope and pool.made_from != want.marker and shared:
                yield Problem(
                    severity=Severity.BLOCK,
                    field="prefixes",
                    summary=f"{', '.join(sorted(shared))} of its address scope are in {pool}",
                    next_step="Take them out of that pool, or leave this one out.",
                )
