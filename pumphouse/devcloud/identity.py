"""Keystone v3: domains and projects, with their tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Fault, bad_request, not_found
from pumphouse.devcloud.identity_model import (
    DOMAINS,
    GROUPS,
    PROJECTS,
    USERS,
    add_domain,
    add_project,
    ancestors,
    change,
    check_mutable,
    check_name,
    filtered,
    forget,
    listing,
    remove_group,
    remove_project,
    remove_user,
    require,
    view,
)
from pumphouse.devcloud.services import IDENTITY
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest


# Domains


@IDENTITY.route("GET", "/domains")
def list_domains(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows = filtered(cloud, request, DOMAINS, ("name", "enabled"))
    return listing(request, "domains", (view(request, "domains", row) for row in rows))


@IDENTITY.route("POST", "/domains", status=201)
def create_domain(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    return {"domain": view(request, "domains", add_domain(cloud, request.member("domain")))}


@IDENTITY.route("GET", "/domains/{domain_id}", role=None)
def get_domain(cloud: DevCloud, request: ApiRequest, domain_id: str) -> dict[str, Any]:
    return {"domain": view(request, "domains", require(cloud, DOMAINS, domain_id))}


@IDENTITY.route("PATCH", "/domains/{domain_id}")
def update_domain(cloud: DevCloud, request: ApiRequest, domain_id: str) -> dict[str, Any]:
    require(cloud, DOMAINS, domain_id)
    changes = {key: value for key, value in request.member("domain").items() if key != "id"}
    if "name" in changes:
        check_name(cloud, DOMAINS, changes["name"], None, but=domain_id)
    row = change(cloud, DOMAINS, cloud.table(DOMAINS)[domain_id], changes)
    if not row["enabled"]:
        for user in cloud.table(USERS).find(domain_id=domain_id):
            cloud.tokens.revoke(user_id=user["id"])
    return {"domain": view(request, "domains", row)}


@IDENTITY.route("DELETE", "/domains/{domain_id}")
def delete_domain(cloud: DevCloud, request: ApiRequest, domain_id: str) -> None:
    check_mutable(require(cloud, DOMAINS, domain_id), "domain", "delete")
    if cloud.table(DOMAINS)[domain_id]["enabled"]:
        raise Fault(403, "Cannot delete a domain that is enabled, please disable it first.")
    for user in cloud.table(USERS).find(domain_id=domain_id):
        remove_user(cloud, user["id"])
    for group in cloud.table(GROUPS).find(domain_id=domain_id):
        remove_group(cloud, group["id"])
    for project in cloud.table(PROJECTS).find(domain_id=domain_id):
        remove_project(cloud, project["id"])
    forget(cloud, domain_id)
    cloud.table(DOMAINS).remove(domain_id)


# Projects


@IDENTITY.route("GET", "/projects")
def list_projects(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows = filtered(cloud, request, PROJECTS, ("name", "domain_id", "enabled", "parent_id", "is_domain"))
    rows = [row for row in rows if _tags_match(request, set(row["tags"]))]
    return listing(request, "projects", (view(request, "projects", row) for row in rows))


def _tags_match(request: ApiRequest, tags: set[str]) -> bool:
    def given(name: str) -> set[str] | None:
        text = request.arg(name)
        return None if text is None else set(text.split(","))

    every, some = given("tags"), given("tags-any")
    not_every, none = given("not-tags"), given("not-tags-any")
    return (
        (every is None or every <= tags)
        and (some is None or bool(some & tags))
        and (not_every is None or not not_every <= tags)
        and (none is None or not none & tags)
    )


@IDENTITY.route("POST", "/projects", status=201)
def create_project(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    want = request.member("project")
    want.setdefault("domain_id", request.token.domain_id or request.token.body["user"]["domain"]["id"])
    return {"project": view(request, "projects", add_project(cloud, want))}


@IDENTITY.route("GET", "/projects/{project_id}", role=None)
def get_project(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    row = require(cloud, PROJECTS, project_id)
    if not request.token.is_admin and request.token.project_id != project_id:
        raise Fault(403, IDENTITY.denied.format(policy="identity:get_project"))
    shown = view(request, "projects", row)
    if "parents_as_ids" in request.query:
        shown["parents"] = _parents(cloud, row)
    if "subtree_as_ids" in request.query:
        shown["subtree"] = _subtree(cloud, project_id)
    return {"project": shown}


def _parents(cloud: DevCloud, project: Row) -> dict[str, Any] | None:
    nested: dict[str, Any] | None = None
    for above in reversed(ancestors(cloud, project)):
        nested = {above: nested}
    return nested


def _subtree(cloud: DevCloud, project_id: str) -> dict[str, Any] | None:
    children = cloud.table(PROJECTS).find(parent_id=project_id)
    return {child["id"]: _subtree(cloud, child["id"]) for child in children} or None


@IDENTITY.route("PATCH", "/projects/{project_id}")
def update_project(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    row = require(cloud, PROJECTS, project_id)
    changes = {key: value for key, value in request.member("project").items() if key != "id"}
    if changes.get("domain_id", row["domain_id"]) != row["domain_id"]:
        raise bad_request("Cannot change Domain ID")
    if changes.get("parent_id", row["parent_id"]) != row["parent_id"]:
        raise Fault(403, "Update of `parent_id` is not allowed.")
    if "name" in changes:
        check_name(cloud, PROJECTS, changes["name"], row["domain_id"], but=project_id)
    change(cloud, PROJECTS, row, changes)
    if not row["enabled"]:
        cloud.tokens.revoke(project_id=project_id)
    return {"project": view(request, "projects", row)}


@IDENTITY.route("DELETE", "/projects/{project_id}")
def delete_project(cloud: DevCloud, request: ApiRequest, project_id: str) -> None:
    check_mutable(require(cloud, PROJECTS, project_id), "project", "delete")
    if cloud.table(PROJECTS).count("parent_id", project_id):
        raise Fault(
            403,
            f"Cannot delete the project {project_id} since it is not a leaf in the hierarchy. "
            "Use the cascade option if you want to delete a whole subtree.",
        )
    remove_project(cloud, project_id)


@IDENTITY.route("GET", "/projects/{project_id}/tags")
def list_project_tags(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    return listing(request, "tags", require(cloud, PROJECTS, project_id)["tags"])


@IDENTITY.route("PUT", "/projects/{project_id}/tags")
def replace_project_tags(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    row = require(cloud, PROJECTS, project_id)
    row["tags"] = sorted(set(request.json_object().get("tags", [])))
    return listing(request, "tags", row["tags"])


@IDENTITY.route("DELETE", "/projects/{project_id}/tags")
def clear_project_tags(cloud: DevCloud, request: ApiRequest, project_id: str) -> None:
    require(cloud, PROJECTS, project_id)["tags"] = []


@IDENTITY.route("PUT", "/projects/{project_id}/tags/{tag}", status=201)
def add_project_tag(cloud: DevCloud, request: ApiRequest, project_id: str, tag: str) -> None:
    row = require(cloud, PROJECTS, project_id)
    row["tags"] = sorted({*row["tags"], tag})


@IDENTITY.route("GET", "/projects/{project_id}/tags/{tag}")
def check_project_tag(cloud: DevCloud, request: ApiRequest, project_id: str, tag: str) -> None:
    if tag not in require(cloud, PROJECTS, project_id)["tags"]:
        raise not_found(f"Could not find project tag: {tag}.")


@IDENTITY.route("DELETE", "/projects/{project_id}/tags/{tag}")
def remove_project_tag(cloud: DevCloud, request: ApiRequest, project_id: str, tag: str) -> None:
    check_project_tag(cloud, request, project_id, tag)
    row = require(cloud, PROJECTS, project_id)
    row["tags"] = [one for one in row["tags"] if one != tag]
