"""Keystone v3: ``/role_assignments``, as assigned or, with ``effective``, as they work out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import bad_request
from pumphouse.devcloud.identity_model import DOMAINS, GROUPS, MEMBERSHIPS, PROJECTS, USERS, listing
from pumphouse.devcloud.identity_roles import ASSIGNMENTS, ROLES, closure, holds_on_project
from pumphouse.devcloud.services import IDENTITY
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest


@IDENTITY.route("GET", "/role_assignments")
def list_role_assignments(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    effective = _flag(request, "effective")
    if effective and request.arg("group.id"):
        raise bad_request("Combining effective and group filter will always result in an empty list.")
    rows: Iterable[Row] = cloud.table(ASSIGNMENTS)
    if effective:
        rows = _effective(cloud, rows)
    tests = _tests(cloud, request)
    shown = [row for row in rows if all(row[field] in values for field, values in tests)]
    names = _flag(request, "include_names")
    return listing(request, "role_assignments", (_shown(cloud, request, row, names=names) for row in shown))


def _flag(request: ApiRequest, name: str) -> bool:
    value = request.arg(name)
    return value is not None and value.lower() not in ("0", "false", "no")


def _tests(cloud: DevCloud, request: ApiRequest) -> list[tuple[str, set[Any]]]:
    """(field of an assignment, the values that pass)."""
    tests: list[tuple[str, set[Any]]] = []
    for parameter, kind, field in (
        ("user.id", ("actor", "user"), "actor_id"),
        ("group.id", ("actor", "group"), "actor_id"),
        ("scope.project.id", ("target", "project"), "target_id"),
        ("scope.domain.id", ("target", "domain"), "target_id"),
        ("role.id", None, "role_id"),
    ):
        value = request.arg(parameter)
        if not value:
            continue
        values = {value}
        if parameter == "scope.project.id" and _flag(request, "include_subtree"):
            values |= set(_below(cloud, value))
        tests.append((field, values))
        if kind is not None:
            tests.append((kind[0], {kind[1]}))
    if request.arg("scope.system"):
        tests.append(("target", {"system"}))
    if request.arg("scope.OS-INHERIT:inherited_to"):
        tests.append(("inherited", {True}))
    return tests


def _below(cloud: DevCloud, project_id: str) -> Iterator[str]:
    for child in cloud.table(PROJECTS).find(parent_id=project_id):
        yield child["id"]
        yield from _below(cloud, child["id"])


def _effective(cloud: DevCloud, rows: Iterable[Row]) -> list[Row]:
    """Users for groups, projects for what is inherited, implied roles beside their priors; each once."""
    found: dict[Hashable, Row] = {}
    key = cloud.table(ASSIGNMENTS).spec.key
    for row in rows:
        members = cloud.table(MEMBERSHIPS).find(group_id=row["actor_id"]) if row["actor"] == "group" else []
        users = [one["user_id"] for one in members] if row["actor"] == "group" else [row["actor_id"]]
        for target, target_id in _targets(cloud, row):
            for user_id in users:
                for role_id in closure(cloud, [row["role_id"]]):
                    one = {
                        "actor": "user",
                        "actor_id": user_id,
                        "target": target,
                        "target_id": target_id,
                        "role_id": role_id,
                        "inherited": False,
                    }
                    found.setdefault(key(one), one)
    return list(found.values())


def _targets(cloud: DevCloud, row: Row) -> list[tuple[str, str]]:
    if not row["inherited"]:
        return [(row["target"], row["target_id"])]
    return [
        ("project", project["id"])
        for project in cloud.table(PROJECTS)
        if holds_on_project(cloud, row, project)
    ]


def _shown(cloud: DevCloud, request: ApiRequest, row: Row, *, names: bool) -> dict[str, Any]:
    actor = {"id": row["actor_id"]}
    role: dict[str, Any] = {"id": row["role_id"]}
    scope: dict[str, Any] = {row["target"]: {"id": row["target_id"]}}
    if row["target"] == "system":
        scope = {"system": {"all": True}}
    if names:
        people = cloud.table(USERS if row["actor"] == "user" else GROUPS)[row["actor_id"]]
        actor |= {"name": people["name"], "domain": _domain(cloud, people["domain_id"])}
        role["name"] = cloud.table(ROLES)[row["role_id"]]["name"]
        if row["target"] == "project":
            project = cloud.table(PROJECTS)[row["target_id"]]
            scope["project"] |= {"name": project["name"], "domain": _domain(cloud, project["domain_id"])}
        elif row["target"] == "domain":
            scope["domain"] = _domain(cloud, row["target_id"])
    if row["inherited"]:
        scope["OS-INHERIT:inherited_to"] = "projects"
    return {row["actor"]: actor, "role": role, "scope": scope, "links": {"assignment": _link(request, row)}}


def _domain(cloud: DevCloud, domain_id: str) -> dict[str, str]:
    return {"id": domain_id, "name": cloud.table(DOMAINS)[domain_id]["name"]}


def _link(request: ApiRequest, row: Row) -> str:
    where = "/system" if row["target"] == "system" else f"/{row['target']}s/{row['target_id']}"
    path = f"{where}/{row['actor']}s/{row['actor_id']}/roles/{row['role_id']}"
    return f"{request.url}/OS-INHERIT{path}/inherited_to_projects" if row["inherited"] else request.url + path
