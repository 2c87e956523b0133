"""Nova: images of servers: ``createImage``, and shelving, which keeps a server as an image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pumphouse.devcloud import image, image_data
from pumphouse.devcloud.compute_boot import zone_of_host
from pumphouse.devcloud.compute_model import DISKS, HOSTS, SERVERS
from pumphouse.devcloud.compute_network import rebind
from pumphouse.devcloud.compute_volumes import root_volume, snapshot_volume
from pumphouse.devcloud.image_members import offer
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud

# Not handed down from the image a server was built from.
_OWN = (
    "signature_verified",
    "image_type",
    "image_location",
    "image_state",
    "owner_id",
    "user_id",
    "instance_uuid",
)


def create_image(cloud: DevCloud, server: Row, name: str, metadata: Row, *, owner: str) -> str:
    """Begin an image of a server's root disk; its id.

    A server that boots from a volume gives an image without bytes that names snapshots of its volumes.
    """
    root = root_volume(server)
    properties = {**_inherited(cloud, server), **{key: str(value) for key, value in metadata.items()}}
    if root is not None:
        return _of_volumes(cloud, server, name, properties, owner=owner)
    row = _record(cloud, server, name, properties, owner=owner)
    server["task_state"] = "image_snapshot"
    cloud.later("image", lambda: _upload(cloud, server, row))
    return str(row["id"])


def _inherited(cloud: DevCloud, server: Row) -> Row:
    base = cloud.table(image.IMAGES).get(server["image_id"])
    kept = {key: value for key, value in base["properties"].items() if key not in _OWN} if base else {}
    return {
        **kept,
        "base_image_ref": server["image_id"],
        "image_type": "snapshot",
        "instance_uuid": server["id"],
        "user_id": server["user_id"],
        "owner_project_id": server["project_id"],
        "boot_roles": "",
        "image_location": "snapshot",
        "image_state": "available",
        "owner_id": server["project_id"],
    }


def _record(cloud: DevCloud, server: Row, name: str, properties: Row, *, owner: str) -> Row:
    """The image belongs to the project that asked for it. Another one, whose server it is, may use it."""
    base = cloud.table(image.IMAGES).get(server["image_id"])
    others = owner != server["project_id"]
    made = image.new_record(
        cloud,
        owner=owner,
        name=name,
        visibility="shared" if others else "private",
        disk_format=base["disk_format"] if base else "raw",
        container_format=base["container_format"] if base else "bare",
        min_disk=server["flavor"]["disk"],
        min_ram=base["min_ram"] if base else 0,
        properties=properties,
    )
    if others:
        offer(cloud, made["id"], server["project_id"])
    return made


def _upload(cloud: DevCloud, server: Row, row: Row) -> None:
    """The root disk as it is now becomes the image's bytes."""
    if row["id"] not in cloud.table(image.IMAGES):
        server["task_state"] = None
        return
    disk = cloud.files.path(DISKS, server["id"])
    if not disk.exists():
        disk = cloud.files.create(DISKS, server["id"], size=0)

    def done() -> None:
        if server["task_state"] in ("image_snapshot", "shelving"):
            server["task_state"] = None

    image_data.fill(cloud, row, disk, done)


def _of_volumes(cloud: DevCloud, server: Row, name: str, properties: Row, *, owner: str) -> str:
    mappings: list[Row] = []
    for one in server["volumes"]:
        snapshot = snapshot_volume(cloud, one["volume_id"], name=f"snapshot for {name}")
        mappings.append(
            {
                "source_type": "snapshot",
                "destination_type": "volume",
                "snapshot_id": snapshot["id"],
                "volume_size": snapshot["volume_size"],
                "boot_index": one["boot_index"] if one["boot_index"] >= 0 else None,
                "device_name": one["device"],
                "delete_on_termination": one["delete_on_termination"],
                "device_type": "disk",
                "disk_bus": "virtio",
                "tag": one["tag"],
                "no_device": None,
                "image_id": None,
                "volume_id": None,
                "guest_format": None,
            }
        )
    properties |= {
        "root_device_name": server["root_device_name"],
        "bdm_v2": "True",
        "block_device_mapping": json.dumps(mappings),
    }
    row = _record(cloud, server, name, properties, owner=owner)
    image.touch(cloud, row, status="active", size=0)
    return str(row["id"])


def shelve_image(cloud: DevCloud, server: Row, *, owner: str) -> None:
    """Keep the root disk of a server as the image ``<name>-shelved``.

    A server that boots from a volume needs none.
    """
    if root_volume(server) is not None:
        return
    row = _record(cloud, server, f"{server['name']}-shelved", _inherited(cloud, server), owner=owner)
    server["shelved_image_id"] = row["id"]
    _upload(cloud, server, row)


def forget_shelved(cloud: DevCloud, server: Row) -> None:
    """Remove the image that shelving made: it goes with its server."""
    kept = cloud.table(image.IMAGES).get(server.pop("shelved_image_id", None))
    if kept is not None and not kept["protected"]:
        image.remove_record(cloud, kept)


def offload(cloud: DevCloud, server_id: str) -> None:
    """SHELVED_OFFLOADED: the server has no host and no disk any more; it keeps its ports and volumes."""
    row = cloud.table(SERVERS).get(server_id)
    if row is None or row["vm_state"] != "shelved" or row["task_state"] is not None:
        return
    cloud.table(SERVERS).update(server_id, host=None)
    row |= {"vm_state": "shelved_offloaded", "task_state": None, "power_state": 4, "updated_at": cloud.now()}
    rebind(cloud, row)
    cloud.files.remove(DISKS, server_id)


def unshelve(cloud: DevCloud, server_id: str) -> None:
    """Back to ACTIVE, on some host, with the disk that was kept."""
    row = cloud.table(SERVERS).get(server_id)
    if row is None or row["task_state"] != "unshelving":
        return
    host = next(one["host"] for one in cloud.table(HOSTS) if one["state"] == "up")
    if not row["host"]:
        cloud.table(SERVERS).update(server_id, host=host)
        row["availability_zone"] = zone_of_host(cloud, host)
        rebind(cloud, row)
    kept = cloud.table(image.IMAGES).get(row.pop("shelved_image_id", None))
    if kept is not None:
        if not cloud.files.exists(DISKS, server_id):
            image_data.write_disk(cloud, kept["id"], cloud.files.path(DISKS, server_id))
        image.remove_record(cloud, kept)
    row |= {"vm_state": "active", "task_state": None, "power_state": 1, "updated_at": cloud.now()}
