"""Block storage v3: the actions on volumes, each under the name that it has in a request's body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pumphouse.devcloud import blobs, image, image_data
from pumphouse.devcloud.block_storage import own
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest, denied
from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.services import VOLUME as SERVICE
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.volume_model import (
    KIND,
    VOLUMES,
    attach,
    delete_volume,
    detach,
    reserve,
    timestamp,
    touch,
    unreserve,
)
from pumphouse.devcloud.volume_storage import unmanage
from pumphouse.devcloud.volume_types import TYPES, find_type

Action = Callable[[DevCloud, ApiRequest, Row, dict[str, Any]], Any]

_STATUSES = (
    "creating",
    "available",
    "deleting",
    "error",
    "error_deleting",
    "attaching",
    "detaching",
    "in-use",
    "maintenance",
    "uploading",
)
# What an image knows by itself and a volume must not hand back to it.
_IMAGE_OWN = frozenset(
    ("image_id", "image_name", "checksum", "size", "container_format", "disk_format", "min_disk", "min_ram")
)
_ACTIONS: dict[str, tuple[Action, bool]] = {}


def _action(name: str, *, admin: bool = False) -> Callable[[Action], Action]:
    def register(function: Action) -> Action:
        _ACTIONS[name] = function, admin
        return function

    return register


@SERVICE.route("POST", "/volumes/{volume_id}/action", policy="action")
def act(cloud: DevCloud, request: ApiRequest, volume_id: str) -> Response:
    """One action; its answer is 202 unless it says more."""
    body = request.json_object()
    row = own(cloud, request, volume_id)
    name = next(iter(body), "")
    if name not in _ACTIONS:
        raise bad_request(f"There is no such action: {name}")
    function, admin = _ACTIONS[name]
    if admin and not request.token.is_admin:
        raise denied(SERVICE, f"volume_extension:volume_admin_actions:{name.removeprefix('os-')}")
    given = body[name]
    answer = function(cloud, request, row, given if isinstance(given, dict) else {})
    return answer if isinstance(answer, Response) else Response(202, b"")


def _truth(value: Any) -> bool:
    if str(value).lower() not in ("true", "false", "1", "0"):
        raise bad_request(f"Invalid input: '{value}' is not a boolean.")
    return str(value).lower() in ("true", "1")


@_action("os-volume_upload_image")
def _upload(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> Response:
    """The bytes become an image. Only an available volume is uploaded; `force` is ignored by default."""
    if "image_name" not in given:
        raise bad_request(
            "Invalid input for field/attribute os-volume_upload_image. 'image_name' is a required property"
        )
    if row["status"] != "available":
        raise bad_request(f"Invalid volume: Volume {row['id']} status must be available")
    newer = request.at_least(3, 1)
    visibility = given.get("visibility", "private") if newer else "private"
    if visibility == "public" and not request.token.is_admin:
        raise denied(SERVICE, "volume_extension:volume_actions:upload_public")
    properties = {key: value for key, value in row["image_metadata"].items() if key not in _IMAGE_OWN}
    made = image.new_record(
        cloud,
        owner=request.token.project_id or "",
        name=given["image_name"],
        visibility=visibility,
        protected=_truth(given.get("protected", False)) if newer else False,
        disk_format=given.get("disk_format", "raw"),
        container_format=given.get("container_format", "bare"),
        min_disk=int(row["image_metadata"].get("min_disk", 0)),
        min_ram=int(row["image_metadata"].get("min_ram", 0)),
        properties=properties,
    )
    touch(cloud, VOLUMES, row, status="uploading", previous_status=row["status"])
    cloud.later("upload", lambda: _fill(cloud, row, made))
    kind = cloud.table(TYPES)[row["volume_type_id"]]
    answer = {
        "id": row["id"],
        "updated_at": timestamp(row["updated_at"]),
        "status": "uploading",
        "display_description": row["description"],
        "size": row["size"],
        "volume_type": {
            name: kind[name] for name in ("id", "name", "description", "is_public", "extra_specs")
        },
        "image_id": made["id"],
        "container_format": made["container_format"],
        "disk_format": made["disk_format"],
        "image_name": made["name"],
    }
    if newer:
        answer |= {"visibility": visibility, "protected": made["protected"]}
    return Response(202, {"os-volume_upload_image": answer})


def _fill(cloud: DevCloud, row: Row, made: Row) -> None:
    def done() -> None:
        if row["id"] in cloud.table(VOLUMES) and row["status"] == "uploading":
            touch(cloud, VOLUMES, row, status=row["previous_status"], previous_status=None)

    if made["id"] in cloud.table(image.IMAGES):
        image_data.fill(cloud, made, cloud.files.path(KIND, row["id"]), done)
    else:
        done()


@_action("os-extend")
def _extend(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    """Larger; an attached volume only from 3.42 on."""
    size = given.get("new_size")
    allowed = ("available", "in-use") if request.at_least(3, 42) else ("available",)
    if not isinstance(size, int) or size <= row["size"]:
        raise bad_request(
            "Invalid input received: New size for extend must be greater than current size. (current: "
            f"{row['size']}, "
            f"extended: {size})."
        )
    if row["status"] not in allowed:
        raise bad_request(f"Invalid volume: Volume {row['id']} status must be '{allowed[0]}' to extend.")
    before = row["status"]
    touch(cloud, VOLUMES, row, status="extending")

    def end() -> None:
        if row["id"] in cloud.table(VOLUMES) and row["status"] == "extending":
            blobs.extend(cloud.files.path(KIND, row["id"]), size * blobs.GIB)
            touch(cloud, VOLUMES, row, status=before, size=size)

    cloud.later("volume", end)


@_action("os-set_bootable")
def _set_bootable(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> Response:
    touch(cloud, VOLUMES, row, bootable=_truth(given.get("bootable")))
    return Response(200, b"")


@_action("os-update_readonly_flag")
def _set_readonly(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    if row["status"] != "available":
        raise bad_request(
            f"Invalid volume: Volume {row['id']} status must be available to update readonly flag."
        )
    touch(cloud, VOLUMES, row, readonly=_truth(given.get("readonly")))


@_action("os-set_image_metadata")
def _set_image_metadata(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> Response:
    metadata = given.get("metadata")
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise bad_request("Malformed request body.")
    touch(cloud, VOLUMES, row, image_metadata={**row["image_metadata"], **metadata})
    return Response(200, {"metadata": row["image_metadata"]})


@_action("os-show_image_metadata")
def _show_image_metadata(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> Response:
    return Response(200, {"metadata": row["image_metadata"]})


@_action("os-unset_image_metadata")
def _unset_image_metadata(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> Response:
    key = given.get("key")
    if key not in row["image_metadata"]:
        raise not_found(f"Glance metadata for volume/snapshot {row['id']} cannot be found.")
    left = {name: value for name, value in row["image_metadata"].items() if name != key}
    touch(cloud, VOLUMES, row, image_metadata=left)
    return Response(200, b"")


@_action("os-retype")
def _retype(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    kind = find_type(cloud, str(given.get("new_type")))
    if row["status"] not in ("available", "in-use"):
        raise bad_request(f"Invalid volume: Volume {row['id']} status must be available or in-use to retype.")
    touch(cloud, VOLUMES, row, volume_type_id=kind["id"])


@_action("os-reset_status", admin=True)
def _reset_status(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    """Say that a volume is in some state, whatever the truth."""
    status = given.get("status")
    if status is not None and status not in _STATUSES:
        raise bad_request(f"Invalid input for field/attribute status. Value: {status}.")
    if given.get("attach_status") == "detached":
        touch(cloud, VOLUMES, row, attachments=[])
    if status is not None:
        touch(cloud, VOLUMES, row, status=status)


@_action("os-force_delete", admin=True)
def _force_delete(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    delete_volume(cloud, row["id"], cascade=True, force=True)


@_action("os-reserve")
def _reserve(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    if row["status"] != "available" and not row["multiattach"]:
        raise bad_request(f"Invalid volume: Volume {row['id']} status must be available to reserve.")
    reserve(cloud, row["id"])


@_action("os-unreserve")
def _unreserve(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    unreserve(cloud, row["id"])


@_action("os-attach")
def _attach(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    if row["status"] not in ("available", "attaching") and not row["multiattach"]:
        raise bad_request(f"Invalid volume: status must be available or attaching, not {row['status']}.")
    attach(
        cloud,
        row["id"],
        server_id=str(given.get("instance_uuid")),
        attachment_id=cloud.new_id(),
        device=str(given.get("mountpoint")),
        host=given.get("host_name"),
    )


@_action("os-begin_detaching")
def _begin_detaching(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    if row["status"] != "in-use":
        raise bad_request("Invalid volume: Unable to detach volume. Volume status must be 'in-use'.")
    touch(cloud, VOLUMES, row, status="detaching")


@_action("os-roll_detaching")
def _roll_detaching(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    if row["status"] == "detaching":
        touch(cloud, VOLUMES, row, status="in-use")


@_action("os-detach")
@_action("os-force_detach", admin=True)
def _detach(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    wanted = given.get("attachment_id")
    for one in list(row["attachments"]):
        if wanted in (None, one["attachment_id"]):
            detach(cloud, row["id"], attachment_id=one["attachment_id"])


@_action("os-unmanage", admin=True)
def _unmanage(cloud: DevCloud, request: ApiRequest, row: Row, given: dict[str, Any]) -> None:
    unmanage(cloud, row)
