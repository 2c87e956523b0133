"""QoS policies of the network service: how much traffic a port may have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.model import Inventory, Resource
from pumphouse.resource import Problem, Reach, ScopeLevel, Severity
from pumphouse.rest import STANDARD, RestType


class QosPolicy(RestType):
    """How much traffic ports, networks, routers and addresses may have. Those that have one are told, too."""

    name = "qos_policy"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    path, item, items = "/qos/policies", "policy", "policies"
    fields = (
        ref("project_id", to="project", key=True),
        key("name"),
        copy("rules", unordered=True, default=[]),
        *STANDARD,
        drop("description", why="people tell their own"),
        drop("shared", why="people choose it"),
        drop("is_default", why="people choose it"),
        drop("tags", why="people choose them"),
    )
    steps = ()

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list, where the cloud has the extension."""
        if cloud.has_extension("qos"):
            yield from super().discover(cloud, seen=seen, reach=reach)

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Always."""
        yield Problem(
            severity=Severity.LOST,
            summary=f"QoS policies are not carried: {_rules(resource)}",
            next_step="Create it on the destination (openstack network qos policy create), and set it where "
            "the plan names it.",
        )


def _rules(resource: Resource) -> str:
    kinds = sorted(str(rule.get("type", "rule")) for rule in resource.fields["rules"])
    return f"this one has {', '.join(kinds)}" if kinds else "this one has no rules"
