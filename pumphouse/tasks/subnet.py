"""Subnets of the network service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Problem, Reach, ScopeLevel, Severity, Want
from pumphouse.rest import STANDARD, NeutronType
from pumphouse.steps import Create, Verify

DELEGATED = "prefix_delegation"
"""What the service says instead of a pool's id when a router asks its provider for the prefix."""


class Subnet(NeutronType):
    """A range of addresses of a network, which nothing else in that network may overlap."""

    name = "subnet"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    described = True
    after = ("network",)
    path, item, items = "/subnets", "subnet", "subnets"
    fields = (
        ref("network_id", to="network", key=True, part_of=True),
        copy("cidr", key=True, fixed=True),
        ref("project_id", to="project"),
        copy("name", default=""),
        copy("description", default=""),
        copy("ip_version", fixed=True),
        copy("gateway_ip"),
        copy("allocation_pools", unordered=True, default=[]),
        copy("dns_nameservers", default=[]),
        copy("host_routes", unordered=True, default=[]),
        copy("enable_dhcp", default=True),
        copy("ipv6_address_mode", fixed=True),
        copy("ipv6_ra_mode", fixed=True),
        copy("service_types", extension="subnet-service-types", unordered=True, default=[]),
        copy("dns_publish_fixed_ip", extension="subnet-dns-publish-fixed-ip", default=False),
        ref("subnetpool_id", to="subnet_pool", optional=True),
        copy("tags", unordered=True, default=[]),
        *STANDARD,
        drop("segment_id", why="segments are the physical network's"),
        drop("router:external", why="it follows from the network"),
    )
    steps = (Create, Verify)

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list. The network says whether it is external."""
        external = {network.ref.id for network in seen.of_type("network") if network.facts["external"]}
        for body in cloud.each(self.service, self.path, self.items):
            yield self.read({**body, "router:external": body["network_id"] in external})

    def read(self, body: Mapping[str, Any]) -> Resource:
        """A delegated prefix is a fact, not a pool."""
        pool = body.get("subnetpool_id")
        return super().read({**body, "subnetpool_id": None if pool == DELEGATED else pool})

    def facts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Whether its network is external, and whether it is tied to a segment."""
        return {"external": bool(body.get("router:external")), "segment_id": body.get("segment_id")}

    def selectable(self, resource: Resource) -> bool:
        """What is external is the cloud's own."""
        return not resource.facts["external"]

    def consumes(self, resource: Resource, inventory: Inventory) -> Mapping[str, int]:
        """One subnet."""
        return {"network.subnet": 1}

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """A segment does not come along."""
        if resource.facts["segment_id"]:
            yield Problem(
                severity=Severity.LOST,
                field="segment_id",
                summary="it is tied to a segment of a routed network; on the destination it will not be",
                next_step="Make the routed network on the destination by hand if the servers need it.",
            )

    def check(self, want: Want, destination: Inventory, *, exists: bool) -> Iterable[Problem]:
        """Another subnet of the same network may not overlap it."""
        network = want.fields["network_id"]
        if exists or network is None:
            return
        for other in destination.derived(_by_network).get(network, ()):
            if _overlap(str(want.fields["cidr"]), str(other.fields["cidr"])):
                yield Problem(
                    severity=Severity.BLOCK,
                    field="cidr",
                    summary=f"{want.fields['cidr']} overlaps {other.fields['cidr']} of {other}",
                    next_step="Remove that subnet, or map the network to another one.",
                )

    def body(self, want: Want) -> dict[str, Any]:
        """No gateway is null; a missing gateway would be the first address."""
        return {**super().body(want), "gateway_ip": want.fields["gateway_ip"]}


def _by_network(inventory: Inventory) -> Mapping[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for subnet in inventory.of_type("subnet"):
        found.setdefault(str(subnet.fields["network_id"]), []).append(subnet)
    return found


def _overlap(one: str, other: str) -> bool:
    first, second = ip_network(one), ip_network(other)
    return first.version == second.version and first.overlaps(second)
