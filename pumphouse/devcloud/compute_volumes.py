"""Nova's side of block storage: block device mappings and attached volumes."""

from __future__ import annotations

import contextlib
import string
from typing import TYPE_CHECKING

from pumphouse.devcloud import volume_model
from pumphouse.devcloud.errors import Fault, bad_request, not_found
from pumphouse.devcloud.table import Row
from pumphouse.devcloud.volume_types import visible_type

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

_INVALID = "Block Device Mapping is Invalid: "
_SEQUENCE = (
    _INVALID + "Boot sequence for the instance and image/block device mapping combination is not valid."
)


def blocks_of(cloud: DevCloud, request: ApiRequest, want: Row) -> list[Row]:
    """The volumes that a new server gets, checked: {source, uuid, size, ...}, the boot volume first.

    Local disks need no block. 400 when the mapping or a volume is not as Nova wants it.
    """
    blocks, local_root = [], False
    for one in want.get("block_device_mapping_v2") or []:
        source, destination = one.get("source_type", "volume"), one.get("destination_type")
        destination = destination or ("volume" if source in ("volume", "snapshot") else "local")
        index = one.get("boot_index")
        index = -1 if index in (None, "None", "") else int(index)
        if destination == "local":
            local_root = local_root or (source == "image" and index == 0)
            continue
        block = {
            "source": source,
            "uuid": one.get("uuid"),
            "size": int(one.get("volume_size") or 0),
            "boot_index": index,
            "device": one.get("device_name"),
            "tag": one.get("tag"),
            "delete_on_termination": bool(one.get("delete_on_termination")),
            "volume_type": one.get("volume_type") if request.at_least(2, 67) else None,
        }
        _check(cloud, request, block)
        blocks.append(block)
    boots = [block for block in blocks if block["boot_index"] == 0]
    has_image = bool(want.get("imageRef")) or local_root
    if len(boots) + has_image != 1:
        raise bad_request(_SEQUENCE)
    return sorted(blocks, key=lambda block: block["boot_index"] != 0)


def _check(cloud: DevCloud, request: ApiRequest, block: Row) -> None:
    source, uuid = block["source"], block["uuid"]
    if block["volume_type"]:
        try:
            visible_type(cloud, request.token, block["volume_type"])
        except Fault:
            raise bad_request(f"Volume type {block['volume_type']} could not be found.") from None
    if source == "volume":
        volume = cloud.table("volumes").get(uuid)
        if volume is None or volume["project_id"] != request.token.project_id:
            raise bad_request(f"{_INVALID}failed to get volume {uuid}.")
        check_free(volume)
        if block["boot_index"] == 0 and not volume["bootable"]:
            raise bad_request(f"Block Device {uuid} is not bootable.")
    elif source == "snapshot":
        snapshot = cloud.table("snapshots").get(uuid)
        if snapshot is None or snapshot["project_id"] != request.token.project_id:
            raise bad_request(f"{_INVALID}failed to get snapshot {uuid}.")
        block["size"] = block["size"] or snapshot["volume_size"]
    elif source in ("image", "blank"):
        if block["size"] < 1:
            what = "Images" if source == "image" else "Blank volumes"
            raise bad_request(f"{what} with destination_type 'volume' need to have a non-zero size specified")
        if source == "image" and uuid not in cloud.table("images"):
            raise bad_request(f"{_INVALID}failed to get image {uuid}.")
    else:
        raise bad_request(f"Invalid input for field/attribute source_type. Value: {source}.")


def check_free(volume: Row) -> None:
    """400, unless the volume may be attached now."""
    shared = volume["multiattach"] and volume["status"] == "in-use"
    if volume["status"] != "available" and not shared:
        raise bad_request(
            f"Invalid volume: volume {volume['id']} status must be 'available'. "
            f"Currently in '{volume['status']}' status"
        )


def reserve_blocks(cloud: DevCloud, server: Row, blocks: list[Row]) -> None:
    """Take the volumes of a new server, and make those that come from images, snapshots or nothing."""
    for block in blocks:
        volume_id = block["uuid"]
        if block["source"] != "volume":
            volume_id = _make(cloud, server, block)
        attachment = attach(
            cloud,
            server,
            volume_id,
            device=block["device"],
            tag=block["tag"],
            delete_on_termination=block["delete_on_termination"],
            boot_index=block["boot_index"],
        )
        if block["boot_index"] == 0:
            server["root_device_name"] = attachment["device"]


def _make(cloud: DevCloud, server: Row, block: Row) -> str:
    want: Row = {"size": block["size"], "name": "", "volume_type": block["volume_type"]}
    if block["source"] != "blank":
        want["imageRef" if block["source"] == "image" else "snapshot_id"] = block["uuid"]
    row = volume_model.create_volume(cloud, want, project_id=server["project_id"], user_id=server["user_id"])
    return str(row["id"])


def attach(
    cloud: DevCloud,
    server: Row,
    volume_id: str,
    *,
    device: str | None = None,
    tag: str | None = None,
    delete_on_termination: bool = False,
    boot_index: int = -1,
) -> Row:
    """Give a volume to a server. It becomes in-use when :func:`settle_volumes` says so."""
    attachment = {
        "volume_id": volume_id,
        "attachment_id": cloud.new_id(),
        "bdm_id": cloud.new_id(),
        "device": device or next_device(server),
        "tag": tag,
        "delete_on_termination": delete_on_termination,
        "boot_index": boot_index,
    }
    server["volumes"] = [*server["volumes"], attachment]
    volume_model.reserve(cloud, volume_id)
    return attachment


def next_device(server: Row) -> str:
    """The first free device; ``/dev/vda`` is the root disk's."""
    taken = {one["device"] for one in server["volumes"]}
    if server["image_id"]:
        taken.add(server["root_device_name"])
    letters = iter(string.ascii_lowercase)
    return next(name for letter in letters if (name := f"/dev/vd{letter}") not in taken)


def pending(cloud: DevCloud, server: Row) -> bool:
    """Whether one of the volumes is still being made."""
    rows = (cloud.table("volumes").get(one["volume_id"]) for one in server["volumes"])
    return any(row is not None and row["status"] in ("creating", "downloading") for row in rows)


def fill_blocks(cloud: DevCloud, server: Row) -> str | None:
    """Connect all volumes of a server that is being built; what failed, or None."""
    for one in server["volumes"]:
        volume = cloud.table("volumes").get(one["volume_id"])
        if volume is None or volume["status"].startswith("error"):
            return f"Build of instance aborted: Volume {one['volume_id']} did not finish being created."
    for one in server["volumes"]:
        connect(cloud, server, one)
    return None


def connect(cloud: DevCloud, server: Row, attachment: Row) -> None:
    """The volume is in use by the server from now on."""
    volume_model.attach(
        cloud,
        attachment["volume_id"],
        server_id=server["id"],
        attachment_id=attachment["attachment_id"],
        device=attachment["device"],
        host=server["host"],
    )


def detach(cloud: DevCloud, server: Row, attachment: Row) -> None:
    """Take a volume away from its server."""
    server["volumes"] = [one for one in server["volumes"] if one["volume_id"] != attachment["volume_id"]]
    volume_model.detach(cloud, attachment["volume_id"], attachment_id=attachment["attachment_id"])


def release_volumes(cloud: DevCloud, server: Row) -> None:
    """Detach all; delete those that were to end with the server."""
    for one in list(server["volumes"]):
        detach(cloud, server, one)
        if one["delete_on_termination"]:
            # A volume with snapshots stays, as with Nova: the server's deletion does not fail for it.
            with contextlib.suppress(Fault):
                volume_model.delete_volume(cloud, one["volume_id"])


def snapshot_volume(cloud: DevCloud, volume_id: str, *, name: str) -> Row:
    """Begin a snapshot of a volume, in use or not."""
    return volume_model.create_snapshot(cloud, volume_id, name=name)


def find_attachment(server: Row, volume_id: str) -> Row:
    """A server's attachment of a volume; 404 when there is none."""
    for one in server["volumes"]:
        if one["volume_id"] == volume_id:
            found: Row = one
            return found
    raise not_found(f"volume_id not found: {volume_id}")


def root_volume(server: Row) -> Row | None:
    """The attachment that the server boots from, when it boots from a volume."""
    return next((one for one in server["volumes"] if one["boot_index"] == 0), None)
