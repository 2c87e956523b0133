"""Keystone v3: roles, implied roles and assignments, and which roles a user has where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Fault, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.identity_model import (
    DOMAINS,
    GROUPS,
    MEMBERSHIPS,
    PROJECTS,
    USERS,
    ancestors,
    change,
    check_mutable,
    check_name,
    filtered,
    listing,
    require,
    view,
)
from pumphouse.devcloud.services import IDENTITY
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

ROLES = IDENTITY.table("roles", indexes=("name",))
IMPLIED = IDENTITY.table(
    "implied_roles",
    indexes=("prior_role_id", "implied_role_id"),
    key=lambda row: (row["prior_role_id"], row["implied_role_id"]),
)
_KEY = ("actor", "actor_id", "target", "target_id", "role_id", "inherited")
# actor: user | group; target: project | domain | system, whose target_id is "all".
ASSIGNMENTS = IDENTITY.table(
    "role_assignments",
    indexes=("actor_id", "target_id", "role_id"),
    key=lambda row: tuple(row[part] for part in _KEY),
)
_TABLES = {"user": USERS, "group": GROUPS, "project": PROJECTS, "domain": DOMAINS}


# Roles


def add_role(cloud: DevCloud, want: dict[str, Any]) -> Row:
    """Make a role of a request's fields."""
    check_name(cloud, ROLES, want.get("name"), want.get("domain_id"))
    row = {"domain_id": None, "description": None, "options": {}, **want, "id": cloud.new_hex()}
    return cloud.table(ROLES).add(row)


@IDENTITY.route("GET", "/roles")
def list_roles(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    domain_id = request.arg("domain_id")
    rows = (row for row in filtered(cloud, request, ROLES, ("name",)) if row["domain_id"] == domain_id)
    return listing(request, "roles", (view(request, "roles", row) for row in rows))


@IDENTITY.route("POST", "/roles", status=201)
def create_role(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    return {"role": view(request, "roles", add_role(cloud, request.member("role")))}


@IDENTITY.route("GET", "/roles/{role_id}")
def get_role(cloud: DevCloud, request: ApiRequest, role_id: str) -> dict[str, Any]:
    return {"role": view(request, "roles", require(cloud, ROLES, role_id))}


@IDENTITY.route("PATCH", "/roles/{role_id}")
def update_role(cloud: DevCloud, request: ApiRequest, role_id: str) -> dict[str, Any]:
    row = require(cloud, ROLES, role_id)
    changes = {key: value for key, value in request.member("role").items() if key not in ("id", "domain_id")}
    change(cloud, ROLES, row, changes)
    return {"role": view(request, "roles", row)}


@IDENTITY.route("DELETE", "/roles/{role_id}")
def delete_role(cloud: DevCloud, request: ApiRequest, role_id: str) -> None:
    check_mutable(require(cloud, ROLES, role_id), "role", "delete")
    for row in cloud.table(ASSIGNMENTS).find(role_id=role_id):
        remove_assignment(cloud, row)
    for index in ("prior_role_id", "implied_role_id"):
        for row in cloud.table(IMPLIED).find(**{index: role_id}):
            cloud.table(IMPLIED).remove((row["prior_role_id"], row["implied_role_id"]))
    cloud.table(ROLES).remove(role_id)


# Implied roles


def _short(request: ApiRequest, role: Row) -> Row:
    return {"id": role["id"], "name": role["name"], "links": {"self": f"{request.url}/roles/{role['id']}"}}


def _inference(cloud: DevCloud, request: ApiRequest, prior_id: str) -> Row:
    implied = (
        cloud.table(ROLES)[row["implied_role_id"]]
        for row in cloud.table(IMPLIED).find(prior_role_id=prior_id)
    )
    prior = _short(request, cloud.table(ROLES)[prior_id])
    return {"prior_role": prior, "implies": [_short(request, role) for role in implied]}


@IDENTITY.route("GET", "/role_inferences")
def list_role_inferences(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    priors = dict.fromkeys(row["prior_role_id"] for row in cloud.table(IMPLIED))
    rules = [_inference(cloud, request, prior_id) for prior_id in priors]
    return {"role_inferences": rules, "links": {"self": f"{request.url}/role_inferences"}}


@IDENTITY.route("GET", "/roles/{prior_role_id}/implies")
def list_implied_roles(cloud: DevCloud, request: ApiRequest, prior_role_id: str) -> dict[str, Any]:
    require(cloud, ROLES, prior_role_id)
    own = f"{request.url}/roles/{prior_role_id}/implies"
    return {"role_inference": _inference(cloud, request, prior_role_id), "links": {"self": own}}


def _implied(cloud: DevCloud, request: ApiRequest, prior_id: str, implied_id: str) -> dict[str, Any]:
    roles = cloud.table(ROLES)
    inference = {
        "prior_role": _short(request, roles[prior_id]),
        "implies": _short(request, roles[implied_id]),
    }
    own = f"{request.url}/roles/{prior_id}/implies/{implied_id}"
    return {"role_inference": inference, "links": {"self": own}}


@IDENTITY.route("PUT", "/roles/{prior_role_id}/implies/{implied_role_id}", status=201)
def create_implied_role(
    cloud: DevCloud, request: ApiRequest, prior_role_id: str, implied_role_id: str
) -> dict[str, Any]:
    require(cloud, ROLES, prior_role_id)
    require(cloud, ROLES, implied_role_id)
    if prior_role_id in closure(cloud, [implied_role_id]):
        raise Fault(403, f"Role {implied_role_id} cannot imply itself through {prior_role_id}.")
    if (prior_role_id, implied_role_id) not in cloud.table(IMPLIED):
        cloud.table(IMPLIED).add({"prior_role_id": prior_role_id, "implied_role_id": implied_role_id})
    return _implied(cloud, request, prior_role_id, implied_role_id)


@IDENTITY.route("GET", "/roles/{prior_role_id}/implies/{implied_role_id}")
def get_implied_role(
    cloud: DevCloud, request: ApiRequest, prior_role_id: str, implied_role_id: str
) -> dict[str, Any]:
    if (prior_role_id, implied_role_id) not in cloud.table(IMPLIED):
        raise not_found(f"{prior_role_id} does not imply {implied_role_id}.")
    return _implied(cloud, request, prior_role_id, implied_role_id)


@IDENTITY.route("DELETE", "/roles/{prior_role_id}/implies/{implied_role_id}")
def delete_implied_role(
    cloud: DevCloud, request: ApiRequest, prior_role_id: str, implied_role_id: str
) -> None:
    get_implied_role(cloud, request, prior_role_id, implied_role_id)
    cloud.table(IMPLIED).remove((prior_role_id, implied_role_id))


def closure(cloud: DevCloud, role_ids: Iterable[str]) -> list[str]:
    """The roles and all that they imply, in a stable order."""
    found = dict.fromkeys(role_ids)
    queue = list(found)
    for role_id in queue:
        for row in cloud.table(IMPLIED).find(prior_role_id=role_id):
            if row["implied_role_id"] not in found:
                found[row["implied_role_id"]] = None
                queue.append(row["implied_role_id"])
    return list(found)


# Assignments


def add_assignment(cloud: DevCloud, row: Row) -> None:
    """Assign (again is no error). The user's tokens for the target end, as the roles in them are old."""
    table = cloud.table(ASSIGNMENTS)
    if table.spec.key(row) not in table:
        table.add(row)
        _revoke(cloud, row)


def remove_assignment(cloud: DevCloud, row: Row) -> None:
    """Take an assignment away, and revoke the tokens that hold it."""
    table = cloud.table(ASSIGNMENTS)
    if table.remove(table.spec.key(row)) is None:
        raise not_found(
            f"Could not find role assignment with role: {row['role_id']}, "
            f"user or group: {row['actor_id']}, project, domain, or system: {row['target_id']}."
        )
    _revoke(cloud, row)


def _revoke(cloud: DevCloud, row: Row) -> None:
    if row["actor"] == "group":
        users = [one["user_id"] for one in cloud.table(MEMBERSHIPS).find(group_id=row["actor_id"])]
    else:
        users = [row["actor_id"]]
    for user_id in users:
        if row["inherited"] or row["target"] == "system":
            cloud.tokens.revoke(user_id=user_id)
        elif row["target"] == "project":
            cloud.tokens.revoke(user_id=user_id, project_id=row["target_id"])
        else:
            cloud.tokens.revoke(user_id=user_id, domain_id=row["target_id"])


def assignments_of(cloud: DevCloud, user_id: str) -> Iterator[Row]:
    """A user's assignments, own ones and those of groups."""
    yield from cloud.table(ASSIGNMENTS).find(actor_id=user_id, actor="user")
    for membership in cloud.table(MEMBERSHIPS).find(user_id=user_id):
        yield from cloud.table(ASSIGNMENTS).find(actor_id=membership["group_id"], actor="group")


def holds_on_project(cloud: DevCloud, row: Row, project: Row) -> bool:
    """Whether an assignment gives its role on a project: directly, or inherited from above."""
    if not row["inherited"]:
        return bool(row["target"] == "project" and row["target_id"] == project["id"])
    if row["target"] == "domain":
        return bool(row["target_id"] == project["domain_id"])
    return bool(row["target"] == "project" and row["target_id"] in ancestors(cloud, project))


def roles_on(
    cloud: DevCloud, user_id: str, *, project: Row | None = None, domain_id: str | None = None
) -> list[Row]:
    """The user's roles on a project, a domain, or (neither given) the system, implied ones included."""
    if project is not None:
        held = (row for row in assignments_of(cloud, user_id) if holds_on_project(cloud, row, project))
    else:
        target = ("domain", domain_id) if domain_id else ("system", "all")
        held = (
            row
            for row in assignments_of(cloud, user_id)
            if (row["target"], row["target_id"]) == target and not row["inherited"]
        )
    return [cloud.table(ROLES)[role_id] for role_id in closure(cloud, [row["role_id"] for row in held])]


def projects_of(cloud: DevCloud, user_id: str) -> list[str]:
    """The ids of the projects on which a user has a role."""
    found: dict[str, None] = {}
    for row in assignments_of(cloud, user_id):
        if not row["inherited"]:
            if row["target"] == "project":
                found[row["target_id"]] = None
            continue
        domain_id = row["target_id"]
        if row["target"] == "project":
            domain_id = cloud.table(PROJECTS)[row["target_id"]]["domain_id"]
        for project in cloud.table(PROJECTS).find(domain_id=domain_id):
            if holds_on_project(cloud, row, project):
                found[project["id"]] = None
    return list(found)


def domains_of(cloud: DevCloud, user_id: str) -> list[str]:
    """The ids of the domains on which a user has a role."""
    rows = assignments_of(cloud, user_id)
    return list(
        dict.fromkeys(row["target_id"] for row in rows if row["target"] == "domain" and not row["inherited"])
    )


# Grants: /projects/{id}/users/{id}/roles/{id} and its kin. The paths differ only in their words.


def _grant_routes(target: str, actor: str, *, inherited: bool) -> None:
    where = f"/{target}s/{{target_id}}" if target != "system" else "/system"
    path = f"{where}/{actor}s/{{actor_id}}/roles"
    role_path = f"{path}/{{role_id}}"
    if inherited:
        path = f"/OS-INHERIT{path}/inherited_to_projects"
        role_path = f"/OS-INHERIT{role_path}/inherited_to_projects"

    def assignment(cloud: DevCloud, target_id: str, actor_id: str, role_id: str) -> Row:
        require(cloud, _TABLES[actor], actor_id)
        if target != "system":
            require(cloud, _TABLES[target], target_id)
        require(cloud, ROLES, role_id)
        return dict(zip(_KEY, (actor, actor_id, target, target_id, role_id, inherited), strict=True))

    def grant(
        cloud: DevCloud, request: ApiRequest, actor_id: str, role_id: str, target_id: str = "all"
    ) -> None:
        add_assignment(cloud, assignment(cloud, target_id, actor_id, role_id))

    def revoke(
        cloud: DevCloud, request: ApiRequest, actor_id: str, role_id: str, target_id: str = "all"
    ) -> None:
        remove_assignment(cloud, assignment(cloud, target_id, actor_id, role_id))

    def check(
        cloud: DevCloud, request: ApiRequest, actor_id: str, role_id: str, target_id: str = "all"
    ) -> Response:
        row = assignment(cloud, target_id, actor_id, role_id)
        table = cloud.table(ASSIGNMENTS)
        if table.spec.key(row) not in table:
            raise not_found(
                f"Could not find role assignment with role: {role_id}, user or group: {actor_id}."
            )
        return Response(204)

    def list_grants(
        cloud: DevCloud, request: ApiRequest, actor_id: str, target_id: str = "all"
    ) -> dict[str, Any]:
        require(cloud, _TABLES[actor], actor_id)
        rows = cloud.table(ASSIGNMENTS).find(
            actor_id=actor_id, actor=actor, target=target, target_id=target_id, inherited=inherited
        )
        roles = (cloud.table(ROLES)[row["role_id"]] for row in rows)
        return listing(request, "roles", (view(request, "roles", role) for role in roles))

    IDENTITY.route("GET", path, policy="identity:list_grants")(list_grants)
    IDENTITY.route("PUT", role_path, policy="identity:create_grant")(grant)
    IDENTITY.route("GET", role_path, policy="identity:check_grant")(check)
    IDENTITY.route("DELETE", role_path, policy="identity:revoke_grant")(revoke)


for _actor in ("user", "group"):
    for _target in ("project", "domain"):
        _grant_routes(_target, _actor, inherited=False)
        _grant_routes(_target, _actor, inherited=True)
    _grant_routes("system", _actor, inherited=False)
