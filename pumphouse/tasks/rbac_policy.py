"""RBAC policies of the network service: what projects let others use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, ref
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Problem, Reach, ScopeLevel, Severity
from pumphouse.rest import RestType

EVERYBODY = "*"
_TYPES = {"subnetpool": "subnet_pool"}
"""What the service calls the type of an object, where that is not our word."""


class RbacPolicy(RestType):
    """What one project lets another use. Networks come with whom they are shared; people see to the rest."""

    name = "rbac_policy"
    service = Service.NETWORK
    scope = ScopeLevel.PROJECT
    after = ("network", "security_group", "address_scope", "subnet_pool")
    path, item, items = "/rbac-policies", "rbac_policy", "rbac_policies"
    fields = (
        ref("project_id", to="project"),
        copy("object_type"),
        copy("object_id"),
        copy("action"),
        copy("target_tenant"),
        drop("id", why="the service assigns it"),
        drop("tenant_id", why="the old name of project_id"),
    )
    steps = ()

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list, where the cloud has the extension, without what comes along with its object."""
        if not cloud.has_extension("rbac-policies"):
            return
        for body in cloud.list(self.service, self.path, self.items):
            if not _comes_along(body):
                yield self.read({**body, "name": _title(body, seen)})

    def tenants(self, resource: Resource, inventory: Inventory) -> Iterable[str]:
        """Who lets, and who may."""
        both = (resource.project_id, resource.fields["target_tenant"])
        return tuple(project for project in both if project and project != EVERYBODY)

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Always."""
        yield Problem(
            severity=Severity.LOST,
            summary="it is not carried",
            next_step="Create it on the destination (openstack network rbac create) if it is needed there.",
        )


def _comes_along(body: Mapping[str, Any]) -> bool:
    """Whether the object's own type carries it: a network's sharing, and what is shared with everybody."""
    if body["object_type"] == "network":
        return bool(body["action"] == "access_as_shared" or body["target_tenant"] == EVERYBODY)
    return body["object_type"] in {"address_scope", "subnetpool"} and body["target_tenant"] == EVERYBODY


def _title(body: Mapping[str, Any], seen: Inventory) -> str:
    """What a person reads: ``security_group web for project friend``."""
    kind = _TYPES.get(body["object_type"], body["object_type"])
    shared, target = seen.get(Ref(kind, body["object_id"])), seen.get(Ref("project", body["target_tenant"]))
    called = shared.name if shared else body["object_id"]
    who = f"project {target.name if target else body['target_tenant']}"
    how = " as external" if body["action"] == "access_as_external" else ""
    return f"{kind} {called}{how} for {'everybody' if body['target_tenant'] == EVERYBODY else who}"
