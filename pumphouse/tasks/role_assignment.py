"""Role assignments: who may do what, where."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.fields import copy, drop, ref
from pumphouse.model import Inventory, Ref, Resource
from pumphouse.resource import Adopt, Problem, Reach, ResourceType, ScopeLevel, Severity, Want
from pumphouse.steps import Create, Verify


class RoleAssignment(ResourceType):
    """A role of a user or a group on a project or a domain, perhaps inherited by the projects below.

    It has no id of its own. Ours is the path of the grant in the API, below the service's endpoint.
    """

    name = "role_assignment"
    service = Service.IDENTITY
    scope = ScopeLevel.PROJECT
    adopt = Adopt.ALWAYS
    marked = False
    adopts_alike = True
    after = ("domain", "project", "user", "group", "role")
    fields = (
        ref("role_id", to="role", key=True),
        ref("user_id", to="user", key=True),
        ref("group_id", to="group", key=True),
        ref("project_id", to="project", key=True),
        ref("domain_id", to="domain", key=True),
        copy("inherited", key=True, fixed=True, default=False),
        drop("scope.system", why="a role on the whole cloud is its operators' to give"),
        drop("links", why="the service's own addresses"),
    )
    steps = (Create, Verify)

    # -- reading

    def discover(self, cloud: CloudAPI, *, seen: Inventory, reach: Reach) -> Iterator[Resource]:
        """One list of all, without those on the whole system."""
        for body in cloud.each(self.service, "/role_assignments", "role_assignments"):
            if "system" not in body["scope"]:
                fields = _fields(body)
                yield self._resource(fields, name=_title(fields, seen))

    def show(self, cloud: CloudAPI, identity: str, *, project_id: str | None) -> Resource | None:
        """An assignment is wholly told by its id; it is there or not."""
        return self._resource(_parse(identity)) if cloud.exists(self.service, f"/{identity}") else None

    def _resource(self, fields: Mapping[str, Any], *, name: str = "") -> Resource:
        return Resource(
            ref=Ref(self.name, _path(fields)), name=name, project_id=fields["project_id"], fields=fields
        )

    # -- deciding

    def reaches(self, resource: Resource, inventory: Inventory, projects: Collection[str]) -> Problem | None:
        """One that the projects inherit from their domain, or from a project above them."""
        fields = resource.fields
        if not fields["inherited"] or fields["project_id"] in projects:
            return None
        kind = "domain" if fields["domain_id"] else "project"
        target = Ref(kind, fields[f"{kind}_id"])
        if not any(target in _above(one, inventory) for one in projects):
            return None
        where = inventory.get(target) or target
        return Problem(
            severity=Severity.LOST,
            summary=f"it is inherited from {where}, and there it would reach projects that do not move",
            next_step="Where it is wanted on the destination, assign it there, or on the project alone.",
        )

    # -- writing

    def create(self, cloud: CloudAPI, want: Want) -> str:
        """PUT; one that is there already is no error."""
        path = _path(want.fields)
        cloud.put(self.service, f"/{path}")
        return path

    def find(self, cloud: CloudAPI, want: Want) -> str | None:
        """Its id says where it must be."""
        path = _path(want.fields)
        return path if path not in want.others and cloud.exists(self.service, f"/{path}") else None

    def delete(self, cloud: CloudAPI, identity: str) -> bool:
        """Revoke it. Keystone revokes the actor's tokens for the target with it."""
        return cloud.delete(self.service, f"/{identity}")


def _above(project: str, inventory: Inventory) -> set[Ref]:
    """The domain of a project, and the projects above it."""
    above: set[Ref] = set()
    found = inventory.get(Ref("project", project))
    while found is not None:
        above.add(Ref("domain", found.fields["domain_id"]))
        parent = Ref("project", found.fields["parent_id"] or "")
        found = None if parent in above else inventory.get(parent)
        if found is not None:
            above.add(parent)
    return above


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    scope = body["scope"]
    return {
        "role_id": body["role"]["id"],
        "user_id": body.get("user", {}).get("id"),
        "group_id": body.get("group", {}).get("id"),
        "project_id": scope.get("project", {}).get("id"),
        "domain_id": scope.get("domain", {}).get("id"),
        "inherited": scope.get("OS-INHERIT:inherited_to") == "projects",
    }


def _path(fields: Mapping[str, Any]) -> str:
    """The path of the grant: ``projects/P/users/U/roles/R``."""
    project, user = fields["project_id"], fields["user_id"]
    target = f"projects/{project}" if project else f"domains/{fields['domain_id']}"
    actor = f"users/{user}" if user else f"groups/{fields['group_id']}"
    path = f"{target}/{actor}/roles/{fields['role_id']}"
    return f"OS-INHERIT/{path}/inherited_to_projects" if fields["inherited"] else path


def _parse(path: str) -> dict[str, Any]:
    """The fields that ``_path`` was made of."""
    inherited = path.startswith("OS-INHERIT/")
    parts = path.removeprefix("OS-INHERIT/").split("/")
    target, target_id, actor, actor_id, _, role_id = parts[:6]
    return {
        "role_id": role_id,
        "user_id": actor_id if actor == "users" else None,
        "group_id": actor_id if actor == "groups" else None,
        "project_id": target_id if target == "projects" else None,
        "domain_id": target_id if target == "domains" else None,
        "inherited": inherited,
    }


def _title(fields: Mapping[str, Any], seen: Inventory) -> str:
    """What a person reads: ``member: alice on shop``."""

    def called(kind: str) -> str:
        identity = fields[f"{kind}_id"]
        found = seen.get(Ref(kind, identity)) if identity else None
        return found.name if found else identity or ""

    actor = called("user") or f"group {called('group')}"
    target = called("project") or f"domain {called('domain')}"
    return f"{called('role')}: {actor} on {target}{' (inherited)' if fields['inherited'] else ''}"
