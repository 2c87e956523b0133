"""Volume types, their extra specs, access lists and encryption."""

from __future__ import annotations

from typing import Any

from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import bad_request, conflict, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.paging import links, page, sort_of
from pumphouse.devcloud.services import VOLUME as SERVICE
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.tokens import Token

TYPES = SERVICE.table("volume_types", indexes=("name",))
DEFAULT = "__DEFAULT__"

# What everybody may see of the extra specs.
_PUBLIC_SPECS = ("RESKEY:availability_zones", "multiattach", "replication_enabled")


@SERVICE.setup
def add_default(cloud: DevCloud) -> None:
    """Every Cinder has a type from the start."""
    add_type(cloud, DEFAULT, description="Default Volume Type")


def add_type(
    cloud: DevCloud,
    name: str,
    *,
    description: str | None = None,
    is_public: bool = True,
    extra_specs: dict[str, str] | None = None,
) -> Row:
    """A new type."""
    row: Row = {
        "id": cloud.new_id(),
        "name": name,
        "description": description,
        "is_public": is_public,
        "extra_specs": dict(extra_specs or {}),
        "access": [],
        "encryption": None,
    }
    return cloud.table(TYPES).add(row)


def find_type(cloud: DevCloud, name_or_id: str) -> Row:
    """The type; 404 when there is none."""
    row = cloud.table(TYPES).get(name_or_id) or cloud.table(TYPES).first(name=name_or_id)
    if row is None:
        raise not_found(f"Volume type {name_or_id} could not be found.")
    return row


def is_multiattach(kind: Row) -> bool:
    """Whether volumes of the type may have several attachments."""
    return bool(kind["extra_specs"].get("multiattach") == "<is> True")


def _sees(token: Token, row: Row) -> bool:
    return token.is_admin or row["is_public"] or token.project_id in row["access"]


def visible_type(cloud: DevCloud, token: Token, name_or_id: str) -> Row:
    """The type, for who may use it; a private one of others is not there: 404."""
    row = find_type(cloud, name_or_id)
    if not _sees(token, row):
        raise not_found(f"Volume type {name_or_id} could not be found.")
    return row


def _get(cloud: DevCloud, request: ApiRequest, type_id: str) -> Row:
    return visible_type(cloud, request.token, DEFAULT if type_id == "default" else type_id)


def _view(request: ApiRequest, row: Row) -> dict[str, Any]:
    admin = request.token.is_admin
    specs = {key: value for key, value in row["extra_specs"].items() if admin or key in _PUBLIC_SPECS}
    shown = {name: row[name] for name in ("id", "name", "is_public", "description")}
    shown |= {"extra_specs": specs, "os-volume-type-access:is_public": row["is_public"]}
    return {**shown, "qos_specs_id": None} if admin else shown


@SERVICE.route("GET", "/types", policy="get_all_types")
def list_types(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The public types and those the project has access to; `is_public=None` shows an admin all."""
    wanted = request.arg("is_public", "true" if not request.token.is_admin else None)
    rows, more = page(
        request,
        cloud.table(TYPES),
        where=lambda row: (
            _sees(request.token, row)
            and (str(wanted).lower() in ("none", str(row["is_public"]).lower()) or not request.token.is_admin)
        ),
        sort=sort_of(request),
    )
    found = {"volume_types": [_view(request, row) for row in rows]}
    following = links(request, "/types", rows, more=more)
    return {**found, "volume_type_links": following} if following else found


@SERVICE.route("GET", "/types/{type_id}", policy="get_type")
def show_type(cloud: DevCloud, request: ApiRequest, type_id: str) -> dict[str, Any]:
    """One type, by id; `default` is the one that volumes get."""
    return {"volume_type": _view(request, _get(cloud, request, type_id))}


@SERVICE.route("POST", "/types", role="admin", policy="create_type")
def create_type(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """A type of a new name."""
    want = request.member("volume_type")
    name = want.get("name")
    if not isinstance(name, str) or not name.strip():
        raise bad_request("Invalid input for field/attribute name.")
    if cloud.table(TYPES).first(name=name):
        raise conflict(f"Volume Type {name} already exists.")
    row = add_type(
        cloud,
        name,
        description=want.get("description"),
        is_public=bool(want.get("os-volume-type-access:is_public", True)),
        extra_specs=want.get("extra_specs"),
    )
    return {"volume_type": _view(request, row)}


@SERVICE.route("PUT", "/types/{type_id}", role="admin", policy="update_type")
def update_type(cloud: DevCloud, request: ApiRequest, type_id: str) -> dict[str, Any]:
    """Another name, description or publicity."""
    row, want = find_type(cloud, type_id), request.member("volume_type")
    changes: Row = {name: want[name] for name in ("name", "description", "is_public") if name in want}
    other = cloud.table(TYPES).first(name=changes.get("name", row["name"]))
    if other is not None and other is not row:
        raise conflict(f"Volume Type {changes['name']} already exists.")
    cloud.table(TYPES).update(row["id"], changes)
    return {"volume_type": _view(request, row)}


@SERVICE.route("DELETE", "/types/{type_id}", status=202, role="admin", policy="delete_type")
def delete_type(cloud: DevCloud, request: ApiRequest, type_id: str) -> Response:
    """Refused while volumes have it."""
    row = find_type(cloud, type_id)
    if row["name"] == DEFAULT or cloud.table("volumes").count("volume_type_id", row["id"]):
        raise bad_request("Target volume type is still in use.")
    cloud.table(TYPES).remove(row["id"])
    return Response(202, b"")


# Extra specs


@SERVICE.route("GET", "/types/{type_id}/extra_specs", policy="list_extra_specs")
def list_specs(cloud: DevCloud, request: ApiRequest, type_id: str) -> dict[str, Any]:
    """All that the caller may see."""
    return {"extra_specs": _view(request, _get(cloud, request, type_id))["extra_specs"]}


@SERVICE.route("POST", "/types/{type_id}/extra_specs", role="admin", policy="create_extra_specs")
def create_specs(cloud: DevCloud, request: ApiRequest, type_id: str) -> dict[str, Any]:
    """More of them."""
    row, specs = find_type(cloud, type_id), request.member("extra_specs")
    row["extra_specs"] |= {key: str(value) for key, value in specs.items()}
    return {"extra_specs": specs}


@SERVICE.route("GET", "/types/{type_id}/extra_specs/{key}", policy="list_extra_specs")
def show_spec(cloud: DevCloud, request: ApiRequest, type_id: str, key: str) -> dict[str, Any]:
    """One."""
    specs = _view(request, _get(cloud, request, type_id))["extra_specs"]
    if key not in specs:
        raise not_found(f"Volume Type {type_id} has no extra specs with key {key}.")
    return {key: specs[key]}


@SERVICE.route("PUT", "/types/{type_id}/extra_specs/{key}", role="admin", policy="update_extra_specs")
def update_spec(cloud: DevCloud, request: ApiRequest, type_id: str, key: str) -> dict[str, Any]:
    """Set one."""
    row, body = find_type(cloud, type_id), request.json_object()
    if set(body) != {key}:
        raise bad_request("Request body and URI mismatch")
    row["extra_specs"][key] = str(body[key])
    return body


@SERVICE.route(
    "DELETE", "/types/{type_id}/extra_specs/{key}", status=202, role="admin", policy="delete_extra_specs"
)
def delete_spec(cloud: DevCloud, request: ApiRequest, type_id: str, key: str) -> Response:
    """One less."""
    row = find_type(cloud, type_id)
    if row["extra_specs"].pop(key, None) is None:
        raise not_found(f"Volume Type {type_id} has no extra specs with key {key}.")
    return Response(202, b"")


# Access and encryption


@SERVICE.route("GET", "/types/{type_id}/os-volume-type-access", role="admin", policy="list_type_access")
def list_access(cloud: DevCloud, request: ApiRequest, type_id: str) -> dict[str, Any]:
    """The projects that may use a private type."""
    row = find_type(cloud, type_id)
    if row["is_public"]:
        raise not_found("Access list not available for public volume types.")
    return {"volume_type_access": [{"volume_type_id": row["id"], "project_id": one} for one in row["access"]]}


@SERVICE.route("POST", "/types/{type_id}/action", status=202, role="admin", policy="add_project_access")
def change_access(cloud: DevCloud, request: ApiRequest, type_id: str) -> Response:
    """AddProjectAccess and removeProjectAccess."""
    row, body = find_type(cloud, type_id), request.json_object()
    action = next(iter(body), "")
    project = (body.get(action) or {}).get("project")
    if action not in ("addProjectAccess", "removeProjectAccess") or not project:
        raise bad_request("There is no such action.")
    if action == "addProjectAccess":
        if project in row["access"]:
            raise conflict(f"Volume type access for {type_id} / {project} combination already exists.")
        row["access"] = [*row["access"], project]
    else:
        if project not in row["access"]:
            raise not_found(f"Volume type access not found for {type_id} / {project} combination.")
        row["access"] = [one for one in row["access"] if one != project]
    return Response(202, b"")


@SERVICE.route("GET", "/types/{type_id}/encryption", role="admin", policy="get_type_encryption")
def show_encryption(cloud: DevCloud, request: ApiRequest, type_id: str) -> dict[str, Any]:
    """How volumes of the type are encrypted; empty when they are not."""
    return dict(find_type(cloud, type_id)["encryption"] or {})


@SERVICE.route("POST", "/types/{type_id}/encryption", role="admin", policy="create_type_encryption")
def create_encryption(cloud: DevCloud, request: ApiRequest, type_id: str) -> dict[str, Any]:
    """Volumes of the type are encrypted from now on (they say so; their bytes stay plain)."""
    row, want = find_type(cloud, type_id), request.member("encryption")
    if "provider" not in want:
        raise bad_request("Invalid input for field/attribute encryption. 'provider' is a required property")
    if row["encryption"] is not None:
        raise bad_request(f"Volume type encryption for type {type_id} already exists.")
    names = ("provider", "cipher", "key_size", "control_location")
    row["encryption"] = {**{name: want.get(name) for name in names}, "volume_type_id": row["id"]}
    return {"encryption": row["encryption"]}
