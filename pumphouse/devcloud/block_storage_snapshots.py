"""Block storage v3: snapshots, and attachments as the newer API has them."""

from __future__ import annotations

from typing import Any

from pumphouse.devcloud.block_storage import check_texts, listing, own, own_snapshot
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest
from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.services import VOLUME as SERVICE
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.volume_model import (
    SNAPSHOTS,
    VOLUMES,
    attach,
    create_snapshot,
    delete_snapshot,
    detach,
    timestamp,
    touch,
)

_STATUSES = ("available", "creating", "deleting", "error", "error_deleting")


def _view(request: ApiRequest, row: Row) -> dict[str, Any]:
    names = ("id", "name", "description", "volume_id", "status", "metadata")
    shown: dict[str, Any] = {name: row[name] for name in names}
    shown |= {"size": row["volume_size"], "os-extended-snapshot-attributes:project_id": row["project_id"]}
    shown["os-extended-snapshot-attributes:progress"] = "100%" if row["status"] == "available" else "0%"
    shown |= {"created_at": timestamp(row["created_at"]), "updated_at": timestamp(row["updated_at"])}
    if request.at_least(3, 14):
        shown["group_snapshot_id"] = None
    if request.at_least(3, 41):
        shown["user_id"] = row["user_id"]
    if request.at_least(3, 65):
        shown["consumes_quota"] = True
    return shown


@SERVICE.route("POST", "/snapshots", status=202, policy="create_snapshot")
def create(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """Begin a snapshot; before 3.66 one of an attached volume needs `force`, then it is implied."""
    want = request.member("snapshot")
    if "volume_id" not in want:
        raise bad_request("Invalid input for field/attribute snapshot. 'volume_id' is a required property")
    check_texts(want)
    volume = own(cloud, request, want["volume_id"])
    force = str(want.get("force", False)).lower() in ("true", "1")
    if request.at_least(3, 66):
        if "force" in want and not force:
            raise bad_request("Invalid value specified: force cannot be false")
        force = True
    row = create_snapshot(
        cloud,
        volume["id"],
        name=want.get("name"),
        description=want.get("description"),
        metadata=want.get("metadata"),
        force=force,
    )
    return {"snapshot": _view(request, row)}


@SERVICE.route("GET", "/snapshots", policy="get_all_snapshots")
@SERVICE.route("GET", "/snapshots/detail", policy="get_all_snapshots")
def list_snapshots(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """A page of snapshots."""
    return listing(cloud, request, SNAPSHOTS, "/snapshots/detail", lambda row: _view(request, row))


@SERVICE.route("GET", "/snapshots/{snapshot_id}", policy="get_snapshot")
def show(cloud: DevCloud, request: ApiRequest, snapshot_id: str) -> dict[str, Any]:
    """One snapshot."""
    return {"snapshot": _view(request, own_snapshot(cloud, request, snapshot_id))}


@SERVICE.route("PUT", "/snapshots/{snapshot_id}", policy="update_snapshot")
def update(cloud: DevCloud, request: ApiRequest, snapshot_id: str) -> dict[str, Any]:
    """Another name or description."""
    row, want = own_snapshot(cloud, request, snapshot_id), request.member("snapshot")
    touch(cloud, SNAPSHOTS, row, **{name: want[name] for name in ("name", "description") if name in want})
    return {"snapshot": _view(request, row)}


@SERVICE.route("DELETE", "/snapshots/{snapshot_id}", status=202, policy="delete_snapshot")
def delete(cloud: DevCloud, request: ApiRequest, snapshot_id: str) -> Response:
    """Begin to delete."""
    own_snapshot(cloud, request, snapshot_id)
    delete_snapshot(cloud, snapshot_id)
    return Response(202, b"")


@SERVICE.route("POST", "/snapshots/{snapshot_id}/action", status=202, role="admin", policy="reset_status")
def act(cloud: DevCloud, request: ApiRequest, snapshot_id: str) -> Response:
    """os-reset_status, for admins."""
    row, body = own_snapshot(cloud, request, snapshot_id), request.member("os-reset_status")
    if body.get("status") not in _STATUSES:
        raise bad_request(f"Invalid input for field/attribute status. Value: {body.get('status')}.")
    touch(cloud, SNAPSHOTS, row, status=body["status"])
    return Response(202, b"")


# Attachments


def _attachment(volume: Row, one: Row) -> dict[str, Any]:
    return {
        "id": one["attachment_id"],
        "status": "attached",
        "instance": one["server_id"],
        "volume_id": volume["id"],
        "attached_at": timestamp(one["attached_at"]),
        "detached_at": "",
        "attach_mode": "rw",
        "connection_info": {},
    }


@SERVICE.route("GET", "/attachments", since=(3, 27), policy="attachment_list")
@SERVICE.route("GET", "/attachments/detail", since=(3, 27), policy="attachment_list")
def list_attachments(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The attachments of one's own volumes, or for an admin with `all_tenants` all."""
    everybody = request.token.is_admin and str(request.arg("all_tenants", "0")).lower() in ("1", "true")
    by = None if everybody else ("project_id", request.token.project_id)
    found = [_attachment(row, one) for row in cloud.table(VOLUMES).walk(by=by) for one in row["attachments"]]
    for name, field in (("volume_id", "volume_id"), ("instance_id", "instance")):
        wanted = request.arg(name)
        found = [one for one in found if wanted in (None, one[field])]
    return {"attachments": found}


@SERVICE.route("GET", "/attachments/{attachment_id}", since=(3, 27), policy="attachment_list")
def show_attachment(cloud: DevCloud, request: ApiRequest, attachment_id: str) -> dict[str, Any]:
    """One attachment."""
    return {"attachment": _attachment(*_find(cloud, request, attachment_id))}


@SERVICE.route("POST", "/attachments", since=(3, 27), policy="attachment_create")
def create_attachment(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """Attach a volume that is free (or made for many) to a server."""
    want = request.member("attachment")
    volume = own(cloud, request, str(want.get("volume_uuid")))
    free = volume["status"] == "available" or (volume["multiattach"] and volume["status"] == "in-use")
    if not free:
        raise bad_request(
            f"Invalid volume: Volume {volume['id']} status must be available or downloading to reserve, but "
            "the "
            f"current status is {volume['status']}."
        )
    attachment_id = cloud.new_id()
    device = str((want.get("connector") or {}).get("mountpoint") or "/dev/vdb")
    attach(
        cloud,
        volume["id"],
        server_id=str(want.get("instance_uuid")),
        attachment_id=attachment_id,
        device=device,
        host=None,
    )
    return {"attachment": _attachment(volume, volume["attachments"][-1])}


@SERVICE.route("DELETE", "/attachments/{attachment_id}", since=(3, 27), policy="attachment_delete")
def delete_attachment(cloud: DevCloud, request: ApiRequest, attachment_id: str) -> dict[str, Any]:
    """Let go."""
    volume, _ = _find(cloud, request, attachment_id)
    detach(cloud, volume["id"], attachment_id=attachment_id)
    return {"attachments": [_attachment(volume, one) for one in volume["attachments"]]}


def _find(cloud: DevCloud, request: ApiRequest, attachment_id: str) -> tuple[Row, Row]:
    by = None if request.token.is_admin else ("project_id", request.token.project_id)
    for row in cloud.table(VOLUMES).walk(by=by):
        for one in row["attachments"]:
            if one["attachment_id"] == attachment_id:
                return row, one
    raise not_found(f"Volume attachment could not be found with filter: attachment_id = {attachment_id}.")
