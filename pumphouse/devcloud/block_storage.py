"""Block storage v3: volumes and their metadata; the actions on them are in block_storage_actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.image import visible_to
from pumphouse.devcloud.paging import links, page, sort_of
from pumphouse.devcloud.services import VOLUME as SERVICE
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.volume_model import (
    VOLUMES,
    ZONES,
    create_volume,
    delete_volume,
    snapshot_of,
    timestamp,
    touch,
    volume_of,
)
from pumphouse.devcloud.volume_types import TYPES, visible_type

_CREATE = frozenset(
    (
        "name",
        "description",
        "size",
        "volume_type",
        "metadata",
        "snapshot_id",
        "source_volid",
        "imageRef",
        "image_id",
        "availability_zone",
        "consistencygroup_id",
        "group_id",
        "backup_id",
        "multiattach",
        "scheduler_hints",
    )
)


def own(cloud: DevCloud, request: ApiRequest, volume_id: str) -> Row:
    """The volume that the caller names; 404 when it is not there or another project's."""
    row = volume_of(cloud, volume_id)
    if not request.token.is_admin and row["project_id"] != request.token.project_id:
        raise not_found(f"Volume {volume_id} could not be found.")
    return row


def view(cloud: DevCloud, request: ApiRequest, row: Row) -> dict[str, Any]:
    """A volume with all that the caller and the microversion may see."""
    names = (
        "id",
        "size",
        "availability_zone",
        "name",
        "description",
        "snapshot_id",
        "source_volid",
        "user_id",
    )
    kind = cloud.table(TYPES)[row["volume_type_id"]]
    shown: dict[str, Any] = {name: row[name] for name in names}
    shown |= {name: row[name] for name in ("status", "encrypted", "multiattach")}
    shown |= {"created_at": timestamp(row["created_at"]), "updated_at": timestamp(row["updated_at"])}
    shown |= {"volume_type": kind["name"], "bootable": str(row["bootable"]).lower()}
    shown |= {"replication_status": None, "consistencygroup_id": None, "links": _links(request, row)}
    shown["metadata"] = dict(row["metadata"])
    if row["readonly"] is not None:
        shown["metadata"]["readonly"] = str(row["readonly"])
    shown["attachments"] = [_attachment(request, row, one) for one in row["attachments"]]
    shown["os-vol-tenant-attr:tenant_id"] = row["project_id"]
    if row["image_metadata"]:
        shown["volume_image_metadata"] = dict(row["image_metadata"])
    return shown | _newer(request, row, kind) | _admins(request, row)


def _newer(request: ApiRequest, row: Row, kind: Row) -> dict[str, Any]:
    """What newer microversions add."""
    added: dict[tuple[int, int], dict[str, Any]] = {
        (3, 13): {"group_id": None},
        (3, 48): {"shared_targets": False, "service_uuid": None},
        (3, 63): {"volume_type_id": kind["id"]},
        (3, 65): {"consumes_quota": True},
    }
    if row["encrypted"]:
        added[3, 64] = {"encryption_key_id": row["id"]}
    return {
        key: value for since, more in added.items() if request.at_least(*since) for key, value in more.items()
    }


def _admins(request: ApiRequest, row: Row) -> dict[str, Any]:
    """What only admins see."""
    if not request.token.is_admin:
        return {}
    names = ("os-vol-mig-status-attr:migstat", "os-vol-mig-status-attr:name_id", "migration_status")
    return {"os-vol-host-attr:host": row["host"], **dict.fromkeys(names)}


def _attachment(request: ApiRequest, row: Row, one: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "attachment_id": one["attachment_id"],
        "volume_id": row["id"],
        "server_id": one["server_id"],
        "host_name": one["host"] if request.token.is_admin else None,
        "device": one["device"],
        "attached_at": timestamp(one["attached_at"]),
    }


def _links(request: ApiRequest, row: Row) -> list[dict[str, str]]:
    path = f"{row['project_id']}/volumes/{row['id']}"
    base = request.url.removesuffix(SERVICE.version)
    return [{"rel": "self", "href": f"{request.url}/{path}"}, {"rel": "bookmark", "href": f"{base}/{path}"}]


# Volumes


@SERVICE.route("POST", "/volumes", status=202, policy="create")
def create(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """Begin a volume."""
    want = request.member("volume")
    unknown = sorted(set(want) - _CREATE)
    if unknown:
        raise bad_request(
            "Invalid input for field/attribute volume. Additional properties are not allowed "
            f"('{unknown[0]}' was "
            "unexpected)"
        )
    if str(want.get("multiattach", False)).lower() == "true":
        raise bad_request(
            "multiattach parameter has been removed. The default behavior is to use multiattach enabled "
            "volume types."
        )
    check_texts(want)
    _check_sources(cloud, request, want)
    project, user = request.token.project_id or "", request.token.user_id
    row = create_volume(cloud, want, project_id=project, user_id=user)
    return {"volume": view(cloud, request, row)}


def _check_sources(cloud: DevCloud, request: ApiRequest, want: Row) -> None:
    """The type, and what a volume is made of, must be the caller's to see."""
    if want.get("volume_type"):
        visible_type(cloud, request.token, want["volume_type"])
    if want.get("source_volid"):
        own(cloud, request, want["source_volid"])
    if want.get("snapshot_id"):
        snapshot = snapshot_of(cloud, want["snapshot_id"])
        if not request.token.is_admin and snapshot["project_id"] != request.token.project_id:
            raise not_found(f"Snapshot {snapshot['id']} could not be found.")
    image = cloud.table("images").get(want.get("imageRef") or want.get("image_id"))
    token = request.token
    if image is not None and not visible_to(cloud, image, project_id=token.project_id, admin=token.is_admin):
        raise bad_request("Invalid image identifier or unable to access requested image.")


@SERVICE.route("GET", "/volumes", policy="get_all")
def list_volumes(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """A page of volumes, in few words."""
    return listing(
        cloud,
        request,
        VOLUMES,
        "/volumes",
        lambda row: {"id": row["id"], "name": row["name"], "links": _links(request, row)},
    )


@SERVICE.route("GET", "/volumes/detail", policy="get_all")
def list_details(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """A page of volumes, in full."""
    return listing(cloud, request, VOLUMES, "/volumes/detail", lambda row: view(cloud, request, row))


_CONTROL = {"all_tenants", "limit", "marker", "sort", "sort_key", "sort_dir", "with_count", "offset"}


def listing(
    cloud: DevCloud, request: ApiRequest, table: str, path: str, shown: Callable[[Row], dict[str, Any]]
) -> dict[str, Any]:
    """A page of a table: one's own rows, or for an admin with `all_tenants` everybody's."""
    filters = {key: values[-1] for key, values in request.query.items() if key not in _CONTROL}
    all_tenants = request.token.is_admin and str(request.arg("all_tenants", "0")).lower() in ("1", "true", "")
    project = filters.pop("project_id", None) if all_tenants else request.token.project_id
    rows, more = page(
        request,
        cloud.table(table),
        by=("project_id", project) if project else None,
        where=(lambda row: _matches(cloud, row, filters)) if filters else None,
        sort=sort_of(request),
        no_marker=lambda marker: not_found(f"{table[:-1].capitalize()} {marker} could not be found."),
    )
    answer: dict[str, Any] = {table: [shown(row) for row in rows]}
    following = links(request, f"/{request.token.project_id}{path}", rows, more=more)
    if following:
        answer[f"{table}_links"] = following
    if request.at_least(3, 45) and request.arg("with_count", "false") in ("true", "True", "1"):
        walked = cloud.table(table).walk(by=("project_id", project) if project else None)
        answer["count"] = sum(1 for row in walked if _matches(cloud, row, filters))
    return answer


def _matches(cloud: DevCloud, row: Row, filters: dict[str, str]) -> bool:
    for key, wanted in filters.items():
        if key == "metadata":
            pairs = [
                pair.partition(":")
                for pair in wanted.strip("{}").replace("'", "").replace('"', "").split(",")
            ]
            if any(row["metadata"].get(name.strip()) != value.strip() for name, _, value in pairs):
                return False
        elif key == "volume_type":
            if wanted not in (row["volume_type_id"], cloud.table(TYPES)[row["volume_type_id"]]["name"]):
                return False
        elif str(row.get(key)).lower() != wanted.lower():
            return False
    return True


@SERVICE.route("GET", "/volumes/summary", policy="get_all", since=(3, 12))
def summary(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """How many, how much."""
    rows = cloud.table(VOLUMES).find(project_id=request.token.project_id)
    return {"volume-summary": {"total_count": len(rows), "total_size": sum(row["size"] for row in rows)}}


@SERVICE.route("GET", "/volumes/{volume_id}", policy="get")
def show(cloud: DevCloud, request: ApiRequest, volume_id: str) -> dict[str, Any]:
    """One volume."""
    return {"volume": view(cloud, request, own(cloud, request, volume_id))}


@SERVICE.route("PUT", "/volumes/{volume_id}", policy="update")
def update(cloud: DevCloud, request: ApiRequest, volume_id: str) -> dict[str, Any]:
    """Another name, description or metadata."""
    row, want = own(cloud, request, volume_id), request.member("volume")
    check_texts(want)
    changes = {name: want[name] for name in ("name", "description", "metadata") if name in want}
    touch(cloud, VOLUMES, row, **changes)
    return {"volume": view(cloud, request, row)}


@SERVICE.route("DELETE", "/volumes/{volume_id}", status=202, policy="delete")
def delete(cloud: DevCloud, request: ApiRequest, volume_id: str) -> Response:
    """Begin to delete."""
    own(cloud, request, volume_id)
    delete_volume(cloud, volume_id, cascade=str(request.arg("cascade", "false")).lower() == "true")
    return Response(202, b"")


# Metadata, of volumes and of snapshots


def check_texts(want: Mapping[str, Any]) -> None:
    """Name and metadata of a volume or a snapshot."""
    if len(want.get("name") or "") > 255:
        raise bad_request("Invalid input for field/attribute name. It is too long.")
    check_metadata(want.get("metadata"))


def check_metadata(metadata: Any) -> None:
    """Strings of at most 255 characters, by name."""
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        raise bad_request("Invalid input for field/attribute metadata.")
    for key, value in metadata.items():
        if not isinstance(value, str) or not 0 < len(key) <= 255 or len(value) > 255:
            raise bad_request(f"Invalid input for field/attribute metadata. Value: {key}: {value}")


def _metadata_routes(kind: str, find: Callable[[DevCloud, ApiRequest, str], Row]) -> None:
    """The six operations on the metadata of a kind of resource."""
    table, base = f"{kind}s", f"/{kind}s/{{one_id}}/metadata"

    def show_all(cloud: DevCloud, request: ApiRequest, one_id: str) -> dict[str, Any]:
        return {"metadata": find(cloud, request, one_id)["metadata"]}

    def change(cloud: DevCloud, request: ApiRequest, one_id: str) -> dict[str, Any]:
        row, given = find(cloud, request, one_id), request.member("metadata")
        check_metadata(given)
        kept = row["metadata"] if request.method == "POST" else {}
        touch(cloud, table, row, metadata={**kept, **given})
        return {"metadata": row["metadata"]}

    def show_one(cloud: DevCloud, request: ApiRequest, one_id: str, key: str) -> dict[str, Any]:
        row = find(cloud, request, one_id)
        _need_key(kind, row, key)
        return {"meta": {key: row["metadata"][key]}}

    def set_one(cloud: DevCloud, request: ApiRequest, one_id: str, key: str) -> dict[str, Any]:
        row, given = find(cloud, request, one_id), request.member("meta")
        if set(given) != {key}:
            raise bad_request("Request body and URI mismatch")
        check_metadata(given)
        touch(cloud, table, row, metadata={**row["metadata"], **given})
        return {"meta": given}

    def remove_one(cloud: DevCloud, request: ApiRequest, one_id: str, key: str) -> Response:
        row = find(cloud, request, one_id)
        _need_key(kind, row, key)
        touch(
            cloud, table, row, metadata={name: text for name, text in row["metadata"].items() if name != key}
        )
        return Response(200, b"")

    SERVICE.route("GET", base, policy="get_volume_metadata")(show_all)
    SERVICE.route("POST", base, policy="create_volume_metadata")(change)
    SERVICE.route("PUT", base, policy="update_volume_metadata")(change)
    SERVICE.route("GET", f"{base}/{{key}}", policy="get_volume_metadata")(show_one)
    SERVICE.route("PUT", f"{base}/{{key}}", policy="update_volume_metadata")(set_one)
    SERVICE.route("DELETE", f"{base}/{{key}}", policy="delete_volume_metadata")(remove_one)


def _need_key(kind: str, row: Row, key: str) -> None:
    if key not in row["metadata"]:
        raise not_found(f"{kind.capitalize()} {row['id']} has no metadata with key {key}.")


def own_snapshot(cloud: DevCloud, request: ApiRequest, snapshot_id: str) -> Row:
    """The snapshot that the caller names; 404 when it is not there or another project's."""
    row = snapshot_of(cloud, snapshot_id)
    if not request.token.is_admin and row["project_id"] != request.token.project_id:
        raise not_found(f"Snapshot {snapshot_id} could not be found.")
    return row


_metadata_routes("volume", own)
_metadata_routes("snapshot", own_snapshot)


# About the service


@SERVICE.route("GET", "/os-availability-zone")
def list_zones(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """All zones, with the hosts of none."""
    zones = (row["id"] for row in cloud.table(ZONES))
    return {"availabilityZoneInfo": [{"zoneName": zone, "zoneState": {"available": True}} for zone in zones]}


@SERVICE.route("GET", "/os-services", role="admin", policy="volume_extension:services:index")
def list_services(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """What a real service would be made of."""
    now = timestamp(cloud.now())
    names = ("cinder-scheduler", "cinder-volume")
    common = {"zone": "nova", "status": "enabled", "state": "up", "updated_at": now, "disabled_reason": None}
    return {"services": [{"binary": name, "host": "block", **common} for name in names]}


@SERVICE.route("GET", "/extensions")
def list_extensions(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """No extensions beyond the API."""
    return {"extensions": []}
