"""Projects: what operators call tenants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, key, ref
from pumphouse.identity import TaggedKeystoneType
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Problem, ScopeLevel, Severity
from pumphouse.steps import Create, Verify


class Project(TaggedKeystoneType):
    """A project, which owns resources. Its parent is another project, or none below its domain."""

    name = "project"
    scope = ScopeLevel.DOMAIN
    path, item, items = "/projects", "project", "projects"
    fields = (
        ref("domain_id", to="domain", key=True),
        key("name", mapping="projects", longest=64),
        ref("parent_id", to="project"),
        copy("description", default=""),
        copy("enabled", default=True),
        copy("tags", unordered=True, default=[]),
        copy("options", default={}),
        drop("id", why="the destination assigns it"),
        drop("is_domain", why="a domain is a type of its own"),
        drop("links", why="the service's own addresses"),
    )
    steps = (Create, Verify)

    def read(self, body: Mapping[str, Any]) -> Resource:
        """A project right below its domain names the domain as its parent."""
        parent = body.get("parent_id")
        return super().read({**body, "parent_id": None if parent == body["domain_id"] else parent})

    def tenants(self, resource: Resource, inventory: Inventory) -> Iterable[str]:
        """Itself."""
        return (resource.ref.id,)

    def refuse(self, resource: Resource, source: Inventory) -> Iterable[Problem]:
        """Nobody can act inside a disabled project, and nothing can be made below one."""
        for kind in ("domain", "project"):
            above = source.get(
                Ref(kind, str(resource.fields["domain_id" if kind == "domain" else "parent_id"]))
            )
            if above is not None and not above.fields["enabled"]:
                yield Problem(
                    severity=Severity.BLOCK,
                    field="enabled",
                    summary=f"it lies below {above}, which is disabled: no project can be made there",
                    next_step=f"Enable that {kind} on the source until this is migrated, then disable both.",
                )
        if not resource.fields["enabled"]:
            yield Problem(
                severity=Severity.WARNING,
                field="enabled",
                summary="the project is disabled on both clouds then, and no server can be made in it",
                next_step="Enable it on the source until its servers are migrated.",
            )

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Remove it, with the security group that the network service made for it by itself."""
        self.release(cloud, identity)
        groups = cloud.list(
            Service.NETWORK,
            "/security-groups",
            "security_groups",
            # Naming the project alone would make the group: neutron looks after the first one named.
            params={"project_id": [cloud.project_id, identity], "name": "default"},
        )
        for group in groups:
            if group["project_id"] == identity:
                cloud.delete(Service.NETWORK, f"/security-groups/{group['id']}")
        return super().delete(cloud, identity)
