"""Volumes and snapshots as rows and files: what happens to them, whoever asks, Cinder's users or Nova.

A volume is a sparse file of its size. It is made a moment after it was asked for; large copies run beside
the lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pumphouse.devcloud import blobs, qcow2, volume_quotas
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.compute_model import SERVERS
from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.image import is_packed
from pumphouse.devcloud.services import VOLUME as SERVICE
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.volume_types import TYPES, find_type, is_multiattach

VOLUMES = SERVICE.table("volumes", indexes=("project_id", "name", "volume_type_id"))
SNAPSHOTS = SERVICE.table("snapshots", indexes=("project_id", "volume_id", "name"))
ZONES = SERVICE.table("volume_zones", hidden=True)

KIND = "volumes"
SNAPSHOT_KIND = "snapshots"
ZONE = "nova"
HOST = "block@files#files"

# A copy with more data than this is made without holding the cloud's lock.
_LARGE = 64 << 20
_DELETABLE = ("available", "error", "error_restoring", "error_extending", "error_managing")
_IMAGE_FIELDS = ("checksum", "container_format", "disk_format", "min_disk", "min_ram", "size")


@SERVICE.setup
def add_zone(cloud: DevCloud, name: str = ZONE) -> None:
    """Make an availability zone; every cloud has one from the start."""
    cloud.table(ZONES).add({"id": name})


def volume_of(cloud: DevCloud, volume_id: str) -> Row:
    """The volume; 404 when there is none."""
    row = cloud.table(VOLUMES).get(volume_id)
    if row is None:
        raise not_found(f"Volume {volume_id} could not be found.")
    return row


def timestamp(moment: datetime | None) -> str | None:
    """A time as Cinder writes it."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def touch(cloud: DevCloud, table: str, row: Row, **changes: Any) -> None:
    """Change a row and its time."""
    cloud.table(table).update(row["id"], {**changes, "updated_at": cloud.now()})


# Volumes


def create_volume(cloud: DevCloud, want: Mapping[str, Any], *, project_id: str, user_id: str) -> Row:
    """Begin a volume: empty, or from `snapshot_id`, `source_volid` or `imageRef`. Refuses as Cinder does."""
    source = _source(cloud, want)
    size = _size(want, source)
    kind = _type_for(cloud, want, source)
    volume_quotas.check(cloud, project_id, "volumes", kind["name"], size)
    row = add_row(
        cloud,
        want,
        kind,
        project_id=project_id,
        user_id=user_id,
        size=size,
        status="downloading" if source.image else "creating",
        bootable=source.bootable,
        image_metadata=source.image_metadata,
    )
    cloud.later("volume", lambda: _materialise(cloud, row, source))
    return row


def add_row(
    cloud: DevCloud, want: Mapping[str, Any], kind: Row, *, project_id: str, user_id: str, **begun: Any
) -> Row:
    """A volume's row; 400 for a zone that there is not."""
    zone = want.get("availability_zone") or ZONE
    if zone not in cloud.table(ZONES):
        raise bad_request(f"Invalid input received: Availability zone '{zone}' is invalid.")
    row: Row = {
        "id": cloud.new_id(),
        "name": want.get("name"),
        "description": want.get("description"),
        "project_id": project_id,
        "user_id": user_id,
        "volume_type_id": kind["id"],
        "availability_zone": zone,
        "encrypted": kind["encryption"] is not None,
        "multiattach": is_multiattach(kind),
        "readonly": None,
        "metadata": dict(want.get("metadata") or {}),
        "snapshot_id": want.get("snapshot_id"),
        "source_volid": want.get("source_volid"),
        "attachments": [],
        "previous_status": None,
        "host": HOST,
        "created_at": cloud.now(),
        "updated_at": cloud.now(),
        **begun,
    }
    cloud.table(VOLUMES).add(row)
    return row


class _Source:
    """What a volume begins with."""

    def __init__(
        self,
        *,
        path: Path | None = None,
        row: Row | None = None,
        image: Row | None = None,
        packed: bool = False,
    ) -> None:
        self.path = path
        self.image = image
        self.write = qcow2.unpack if packed else blobs.copy
        self.type_id: str | None = row["volume_type_id"] if row else None
        self.least: int = (row.get("volume_size") or row["size"]) if row else 0
        self.default: int | None = self.least if row else None
        self.bootable: bool = image is not None or bool(row and row["bootable"])
        self.image_metadata: dict[str, str] = dict(row["image_metadata"]) if row else {}
        if image:
            self.least = max(-(-(image["size"] or 0) // blobs.GIB), image["min_disk"])
            self.image_metadata = _image_metadata(image)


def _source(cloud: DevCloud, want: Mapping[str, Any]) -> _Source:
    image_id = want.get("imageRef") or want.get("image_id")
    if want.get("snapshot_id"):
        snapshot = snapshot_of(cloud, want["snapshot_id"])
        if snapshot["status"] != "available":
            raise bad_request(
                "Invalid snapshot: Originating snapshot status must be one of 'available' values"
            )
        return _Source(path=cloud.files.path(SNAPSHOT_KIND, snapshot["id"]), row=snapshot)
    if want.get("source_volid"):
        volume = volume_of(cloud, want["source_volid"])
        if volume["status"] not in ("available", "in-use"):
            raise bad_request(
                "Invalid volume: Source volume status must be one of 'available, in-use' values"
            )
        return _Source(path=cloud.files.path(KIND, volume["id"]), row=volume)
    if image_id:
        image = cloud.table("images").get(image_id)
        if image is None:
            raise bad_request("Invalid image identifier or unable to access requested image.")
        if image["status"] != "active":
            raise bad_request(f"Invalid input received: Image {image_id} is not active.")
        path = cloud.files.path("images", image_id)
        return _Source(path=path, image=image, packed=is_packed(cloud, image))
    return _Source()


def _size(want: Mapping[str, Any], source: _Source) -> int:
    given = want.get("size")
    if given is None:
        given = source.default
    if given is None:  # the real service says no more
        raise bad_request(
            "The server could not comply with the request since it is either malformed or otherwise "
            "incorrect."
        )
    if not str(given).isdigit() or int(str(given)) < 1:
        raise bad_request(
            f"Invalid input received: Volume size '{given}' must be an integer and greater than 0"
        )
    size = int(str(given))
    if size < source.least:
        what = "the image" if source.image else "its source"
        raise bad_request(
            f"Invalid input received: Size of {what} {source.least}GB is larger than volume size {size}GB."
        )
    virtual = -(-((source.image or {}).get("virtual_size") or 0) // blobs.GIB)
    if source.image and size < virtual:
        raise bad_request(
            f"Image {source.image['id']} is unacceptable: Image virtual size is {virtual}GB and doesn't fit "
            f"in a volume of size {size}GB."
        )
    return size


def _type_for(cloud: DevCloud, want: Mapping[str, Any], source: _Source) -> Row:
    if want.get("volume_type"):
        return find_type(cloud, want["volume_type"])
    if source.type_id:
        return cloud.table(TYPES)[source.type_id]
    wanted = source.image_metadata.get("cinder_img_volume_type")
    return find_type(cloud, wanted or "__DEFAULT__")


def _image_metadata(image: Row) -> dict[str, str]:
    found = {name: str(image[name]) for name in _IMAGE_FIELDS if image[name] is not None}
    return {**image["properties"], **found, "image_id": image["id"], "image_name": image["name"] or ""}


def _materialise(cloud: DevCloud, row: Row, source: _Source) -> None:
    """Make the volume's file, here or (when there is much to copy) in the background."""
    if row["id"] not in cloud.table(VOLUMES):
        return
    target, size = cloud.files.path(KIND, row["id"]), row["size"] * blobs.GIB
    path, write = source.path, source.write
    if path is None:
        blobs.create(target, size)
        touch(cloud, VOLUMES, row, status="available")
        return
    if not path.exists():
        touch(cloud, VOLUMES, row, status="error")
        return

    def work() -> None:
        try:
            write(path, target, size=size)
            status = "available"
        except (OSError, ValueError):  # no room, or an image that is not what it says
            status = "error"
        with cloud.lock:
            if row["id"] in cloud.table(VOLUMES):
                touch(cloud, VOLUMES, row, status=status)
            else:
                target.unlink(missing_ok=True)

    if path.stat().st_blocks * 512 > _LARGE:
        cloud.work.beside(work, name=f"copy-{path.name}")
    else:
        work()


def check_unused(row: Row, snapshots: Sequence[Row], *, force: bool = False) -> None:
    """400 for a volume with snapshots, or that something is done to or has."""
    wrong_state = row["status"] not in _DELETABLE and not force
    if wrong_state or row["attachments"] or snapshots:
        raise bad_request(
            f"Invalid volume: Volume status must be {' or '.join(_DELETABLE)} and must not be migrating, "
            "attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from "
            "snapshots after volume transfer."
        )


def delete_volume(cloud: DevCloud, volume_id: str, *, cascade: bool = False, force: bool = False) -> None:
    """Begin to delete; 400 while it is in use or (without `cascade`) has snapshots."""
    row = volume_of(cloud, volume_id)
    snapshots = cloud.table(SNAPSHOTS).find(volume_id=volume_id)
    check_unused(row, [] if cascade else snapshots, force=force)
    for snapshot in snapshots:
        delete_snapshot(cloud, snapshot["id"])
    touch(cloud, VOLUMES, row, status="deleting")

    def end() -> None:
        cloud.table(VOLUMES).remove(volume_id)
        cloud.files.remove(KIND, volume_id)

    cloud.later("delete", end)


# Attachments


def reserve(cloud: DevCloud, volume_id: str) -> None:
    """A server will have it soon."""
    row = volume_of(cloud, volume_id)
    if row["status"] == "available":
        touch(cloud, VOLUMES, row, status="attaching")


def unreserve(cloud: DevCloud, volume_id: str) -> None:
    """Not after all."""
    row = volume_of(cloud, volume_id)
    if row["status"] == "attaching":
        touch(cloud, VOLUMES, row, status="in-use" if row["attachments"] else "available")


def attach(
    cloud: DevCloud, volume_id: str, *, server_id: str, attachment_id: str, device: str, host: str | None
) -> None:
    """The volume is in use by a server."""
    row = volume_of(cloud, volume_id)
    attachment = {
        "attachment_id": attachment_id,
        "server_id": server_id,
        "device": device,
        "host": host,
        "attached_at": cloud.now(),
    }
    others = [one for one in row["attachments"] if one["attachment_id"] != attachment_id]
    touch(cloud, VOLUMES, row, status="in-use", attachments=[*others, attachment])


def detach(cloud: DevCloud, volume_id: str, *, attachment_id: str) -> None:
    """The server lets go; with its last attachment the volume is available. Gone volumes do not matter."""
    row = cloud.table(VOLUMES).get(volume_id)
    if row is None:
        return
    left = [one for one in row["attachments"] if one["attachment_id"] != attachment_id]
    held = row["status"] in ("in-use", "attaching", "detaching", "reserved")
    status = ("in-use" if left else "available") if held else row["status"]
    touch(cloud, VOLUMES, row, status=status, attachments=left)


# Snapshots


def snapshot_of(cloud: DevCloud, snapshot_id: str) -> Row:
    """The snapshot; 404 when there is none."""
    row = cloud.table(SNAPSHOTS).get(snapshot_id)
    if row is None:
        raise not_found(f"Snapshot {snapshot_id} could not be found.")
    return row


def create_snapshot(
    cloud: DevCloud,
    volume_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    force: bool = True,
) -> Row:
    """Begin a snapshot: the volume's bytes as they are now. Without `force` an attached volume is refused."""
    volume = volume_of(cloud, volume_id)
    states = ("available", "in-use") if force else ("available",)
    if volume["status"] not in states:
        raise bad_request(
            f"Invalid volume: Volume {volume_id} status must be {' or '.join(states)}, but current status "
            "is: "
            f"{volume['status']}."
        )
    kind = cloud.table(TYPES)[volume["volume_type_id"]]
    volume_quotas.check(cloud, volume["project_id"], "snapshots", kind["name"], volume["size"])
    row: Row = {
        "id": cloud.new_id(),
        "name": name,
        "description": description,
        "volume_id": volume_id,
        "volume_size": volume["size"],
        "volume_type_id": volume["volume_type_id"],
        "status": "creating",
        "project_id": volume["project_id"],
        "user_id": volume["user_id"],
        "metadata": dict(metadata or {}),
        "bootable": volume["bootable"],
        "image_metadata": dict(volume["image_metadata"]),
        "created_at": cloud.now(),
        "updated_at": cloud.now(),
    }
    cloud.table(SNAPSHOTS).add(row)
    blobs.copy(cloud.files.path(KIND, volume_id), cloud.files.path(SNAPSHOT_KIND, row["id"]))
    status = "available" if _compute_helps(cloud, volume) else "error"
    cloud.later("snapshot", lambda: _finish_snapshot(cloud, row, status))
    return row


def _compute_helps(cloud: DevCloud, volume: Row) -> bool:
    """Whether compute would freeze the volume for a snapshot: not while it does something to the server.

    As with the drivers for files on a share, NFS among them. Others need no help.
    """
    servers = [cloud.table(SERVERS).get(one["server_id"]) for one in volume["attachments"]]
    return all(server is None or server["task_state"] is None for server in servers)


def _finish_snapshot(cloud: DevCloud, row: Row, status: str) -> None:
    if row["id"] in cloud.table(SNAPSHOTS) and row["status"] == "creating":
        touch(cloud, SNAPSHOTS, row, status=status)


def delete_snapshot(cloud: DevCloud, snapshot_id: str) -> None:
    """Begin to delete; 400 unless it is available or in error."""
    row = snapshot_of(cloud, snapshot_id)
    if row["status"] not in ("available", "error"):
        raise bad_request("Invalid snapshot: Snapshot status must be available or error.")
    touch(cloud, SNAPSHOTS, row, status="deleting")
    volume = cloud.table(VOLUMES).get(row["volume_id"])
    helped = volume is None or _compute_helps(cloud, volume)

    def end() -> None:
        if not helped:
            touch(cloud, SNAPSHOTS, row, status="error_deleting")
            return
        cloud.table(SNAPSHOTS).remove(snapshot_id)
        cloud.files.remove(SNAPSHOT_KIND, snapshot_id)

    cloud.later("delete", end)
