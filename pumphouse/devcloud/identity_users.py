"""Keystone v3: users, groups and memberships. Passwords are in the database only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Fault, not_found, unauthenticated
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.identity_model import (
    DEFAULT_DOMAIN,
    DOMAINS,
    GROUPS,
    MEMBERSHIPS,
    PROJECTS,
    USERS,
    add_users,
    change,
    check_name,
    filtered,
    listing,
    remove_group,
    remove_user,
    require,
    view,
)
from pumphouse.devcloud.services import IDENTITY
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest


def user_view(cloud: DevCloud, request: ApiRequest, row: Row) -> Row:
    """A user with the end of the password, which only the database knows."""
    return {**view(request, "users", row), "password_expires_at": cloud.passwords.expires_at(row["id"])}


def only_self_or_admin(request: ApiRequest, user_id: str, policy: str) -> None:
    """403, unless the caller asks about themselves or is an admin."""
    if request.token.user_id != user_id and not request.token.is_admin:
        raise Fault(403, IDENTITY.denied.format(policy=f"identity:{policy}"))


@IDENTITY.route("GET", "/users")
def list_users(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows = filtered(cloud, request, USERS, ("name", "domain_id", "enabled"))
    return listing(request, "users", (user_view(cloud, request, row) for row in rows))


@IDENTITY.route("POST", "/users", status=201)
def create_user(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    want = request.member("user")
    want.setdefault("domain_id", request.token.domain_id or request.token.user_domain_id)
    return {"user": user_view(cloud, request, add_users(cloud, [want])[0])}


@IDENTITY.route("GET", "/users/{user_id}", role=None)
def get_user(cloud: DevCloud, request: ApiRequest, user_id: str) -> dict[str, Any]:
    only_self_or_admin(request, user_id, "get_user")
    return {"user": user_view(cloud, request, require(cloud, USERS, user_id))}


@IDENTITY.route("PATCH", "/users/{user_id}")
def update_user(cloud: DevCloud, request: ApiRequest, user_id: str) -> dict[str, Any]:
    row = require(cloud, USERS, user_id)
    changes = {key: value for key, value in request.member("user").items() if key not in ("id", "domain_id")}
    password = changes.pop("password", None)
    if "name" in changes:
        check_name(cloud, USERS, changes["name"], row["domain_id"], but=user_id)
    change(cloud, USERS, row, changes)
    cloud.passwords.update(row)
    if password is not None:
        cloud.passwords.set_password(user_id, password, now=cloud.now())
    if password is not None or not row["enabled"]:
        cloud.tokens.revoke(user_id=user_id)
    return {"user": user_view(cloud, request, row)}


@IDENTITY.route("DELETE", "/users/{user_id}")
def delete_user(cloud: DevCloud, request: ApiRequest, user_id: str) -> None:
    require(cloud, USERS, user_id)
    remove_user(cloud, user_id)


@IDENTITY.route("POST", "/users/{user_id}/password", auth=False)
def change_own_password(cloud: DevCloud, request: ApiRequest, user_id: str) -> Response | None:
    """Needs no token: the old password is the proof, so that an expired one can be changed."""
    want = request.member("user")
    require(cloud, USERS, user_id)
    if not cloud.passwords.check(user_id, str(want.get("original_password")), now=cloud.now(), expired=True):
        return unauthenticated(cloud.auth_url)
    cloud.passwords.set_password(user_id, str(want["password"]), now=cloud.now(), self_service=True)
    cloud.tokens.revoke(user_id=user_id)
    return None


@IDENTITY.route("GET", "/users/{user_id}/groups", role=None)
def list_user_groups(cloud: DevCloud, request: ApiRequest, user_id: str) -> dict[str, Any]:
    only_self_or_admin(request, user_id, "list_groups_for_user")
    require(cloud, USERS, user_id)
    rows = (cloud.table(GROUPS)[row["group_id"]] for row in cloud.table(MEMBERSHIPS).find(user_id=user_id))
    return listing(request, "groups", (view(request, "groups", row) for row in rows))


@IDENTITY.route("GET", "/groups")
def list_groups(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows = filtered(cloud, request, GROUPS, ("name", "domain_id"))
    return listing(request, "groups", (view(request, "groups", row) for row in rows))


def add_group(cloud: DevCloud, want: dict[str, Any]) -> Row:
    """Make a group of a request's fields."""
    domain_id = want.get("domain_id") or DEFAULT_DOMAIN
    require(cloud, DOMAINS, domain_id)
    check_name(cloud, GROUPS, want.get("name"), domain_id)
    row = {"description": "", **want, "id": cloud.new_hex(), "domain_id": domain_id}
    return cloud.table(GROUPS).add(row)


@IDENTITY.route("POST", "/groups", status=201)
def create_group(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    want = request.member("group")
    want.setdefault("domain_id", request.token.domain_id or request.token.user_domain_id)
    return {"group": view(request, "groups", add_group(cloud, want))}


@IDENTITY.route("GET", "/groups/{group_id}")
def get_group(cloud: DevCloud, request: ApiRequest, group_id: str) -> dict[str, Any]:
    return {"group": view(request, "groups", require(cloud, GROUPS, group_id))}


@IDENTITY.route("PATCH", "/groups/{group_id}")
def update_group(cloud: DevCloud, request: ApiRequest, group_id: str) -> dict[str, Any]:
    row = require(cloud, GROUPS, group_id)
    changes = {key: value for key, value in request.member("group").items() if key not in ("id", "domain_id")}
    if "name" in changes:
        check_name(cloud, GROUPS, changes["name"], row["domain_id"], but=group_id)
    cloud.table(GROUPS).update(group_id, changes)
    return {"group": view(request, "groups", row)}


@IDENTITY.route("DELETE", "/groups/{group_id}")
def delete_group(cloud: DevCloud, request: ApiRequest, group_id: str) -> None:
    require(cloud, GROUPS, group_id)
    remove_group(cloud, group_id)


@IDENTITY.route("GET", "/groups/{group_id}/users")
def list_group_users(cloud: DevCloud, request: ApiRequest, group_id: str) -> dict[str, Any]:
    require(cloud, GROUPS, group_id)
    rows = (cloud.table(USERS)[row["user_id"]] for row in cloud.table(MEMBERSHIPS).find(group_id=group_id))
    return listing(request, "users", (user_view(cloud, request, row) for row in rows))


@IDENTITY.route("PUT", "/groups/{group_id}/users/{user_id}")
def add_user_to_group(cloud: DevCloud, request: ApiRequest, group_id: str, user_id: str) -> None:
    require(cloud, GROUPS, group_id)
    require(cloud, USERS, user_id)
    if (group_id, user_id) not in cloud.table(MEMBERSHIPS):
        cloud.table(MEMBERSHIPS).add({"group_id": group_id, "user_id": user_id})


@IDENTITY.route("GET", "/groups/{group_id}/users/{user_id}")
def check_user_in_group(cloud: DevCloud, request: ApiRequest, group_id: str, user_id: str) -> None:
    require(cloud, GROUPS, group_id)
    require(cloud, USERS, user_id)
    if (group_id, user_id) not in cloud.table(MEMBERSHIPS):
        raise not_found(f"User '{user_id}' not found in group '{group_id}'")


@IDENTITY.route("DELETE", "/groups/{group_id}/users/{user_id}")
def remove_user_from_group(cloud: DevCloud, request: ApiRequest, group_id: str, user_id: str) -> None:
    check_user_in_group(cloud, request, group_id, user_id)
    cloud.table(MEMBERSHIPS).remove((group_id, user_id))
    cloud.tokens.revoke(user_id=user_id)


@IDENTITY.route("GET", "/users/{user_id}/projects", role=None)
def list_user_projects(cloud: DevCloud, request: ApiRequest, user_id: str) -> dict[str, Any]:
    from pumphouse.devcloud.identity_roles import projects_of

    only_self_or_admin(request, user_id, "list_user_projects")
    require(cloud, USERS, user_id)
    rows = (cloud.table(PROJECTS)[project_id] for project_id in projects_of(cloud, user_id))
    return listing(request, "projects", (view(request, "projects", row) for row in rows))
