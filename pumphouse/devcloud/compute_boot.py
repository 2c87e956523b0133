"""Nova: what a new server needs, checked; and the way from BUILD to ACTIVE or ERROR."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud import image_data
from pumphouse.devcloud.compute_flavors import usable
from pumphouse.devcloud.compute_hosts import zones
from pumphouse.devcloud.compute_model import (
    DISKS,
    FLAVORS,
    HOSTS,
    KEYPAIRS,
    SERVER_GROUPS,
    SERVERS,
    ZONE,
    isotime,
)
from pumphouse.devcloud.compute_network import unplug
from pumphouse.devcloud.compute_volumes import fill_blocks, release_volumes
from pumphouse.devcloud.errors import Fault, bad_request, forbidden
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

_SINCE = {"description": (2, 19), "tags": (2, 52), "trusted_image_certificates": (2, 63), "host": (2, 74)}
_SINCE |= {"hypervisor_hostname": (2, 74), "hostname": (2, 90)}
_UNTIL = {"personality": (2, 56)}
_FIELDS = frozenset(
    (
        "name",
        "imageRef",
        "flavorRef",
        "metadata",
        "networks",
        "adminPass",
        "accessIPv4",
        "accessIPv6",
        "config_drive",
        "key_name",
        "availability_zone",
        "block_device_mapping_v2",
        "block_device_mapping",
        "security_groups",
        "user_data",
        "min_count",
        "max_count",
        "return_reservation_id",
        "OS-DCF:diskConfig",
    )
)


def check_fields(request: ApiRequest, want: Row) -> None:
    """400 for a field that Nova does not know at this microversion."""
    for name in sorted(want):
        since, until = _SINCE.get(name), _UNTIL.get(name)
        known = name in _FIELDS or since is not None or until is not None
        too_old = since is not None and request.microversion < since
        too_new = until is not None and request.microversion > until
        if not known or too_old or too_new:
            raise bad_request(
                "Invalid input for field/attribute server. "
                f"Additional properties are not allowed ('{name}' was unexpected)"
            )


def flavor_for(cloud: DevCloud, request: ApiRequest, reference: Any) -> Row:
    """The flavor that a request names by id or link."""
    if reference is None:
        raise bad_request("Invalid input for field/attribute server. 'flavorRef' is a required property")
    flavor_id = str(reference).rsplit("/", 1)[-1]
    row = cloud.table(FLAVORS).get(flavor_id)
    if row is None or not (request.token.is_admin or usable(cloud, row, request.token.project_id)):
        raise bad_request(f"Flavor {flavor_id} could not be found.")
    return row


def image_for(cloud: DevCloud, request: ApiRequest, reference: Any, flavor: Row, *, local: bool) -> Row:
    """The image that a request names; it must be active and, on a ``local`` disk, fit the flavor."""
    image_id = str(reference).rsplit("/", 1)[-1]
    row = cloud.table("images").get(image_id)
    if row is None or not _sees(cloud, request, row):
        raise bad_request("Can not find requested image")
    if row["status"] != "active":
        raise bad_request(f"Image {image_id} is not active.")
    if flavor["ram"] < (row.get("min_ram") or 0):
        raise bad_request("Flavor's memory is too small for requested image.")
    least = row.get("min_disk") or 0
    if local and 0 < flavor["disk"] < least:
        raise bad_request(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f"Flavor disk is {flavor['disk'] << 30} bytes, minimum size is {least << 30} bytes."
        )
    return row


def _sees(cloud: DevCloud, request: ApiRequest, image: Row) -> bool:
    from pumphouse.devcloud.image import visible_to

    return visible_to(cloud, image, project_id=request.token.project_id, admin=request.token.is_admin)


def user_data_of(want: Row) -> str | None:
    """The user data, which must be base64."""
    data = want.get("user_data")
    if data is None:
        return None
    try:
        base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise bad_request("User data needs to be valid base 64.") from error
    return str(data)


def zone_for(cloud: DevCloud, request: ApiRequest, want: Row) -> tuple[str | None, str, str]:
    """(the zone asked for, the zone, the host) of a new server; ``zone:host`` forces a host, for admins."""
    pinned, _, forced = (want.get("availability_zone") or "").partition(":")
    forced = forced.split(":")[0] or want.get("host") or want.get("hypervisor_hostname") or ""
    if forced and not request.token.is_admin:
        raise Fault(403, "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.")
    known = zones(cloud)
    if pinned and pinned not in known:
        raise bad_request("The requested availability zone is not available")
    hosts = [
        row
        for row in cloud.table(HOSTS)
        if (not pinned or row["zone"] == pinned) and row["status"] == "enabled"
    ]
    if forced:
        hosts = [row for row in cloud.table(HOSTS) if row["host"] == forced]
        if not hosts:
            raise bad_request(f"Compute host {forced} could not be found.")
    if not hosts:
        return pinned or None, pinned or ZONE, ""
    fewest = min(hosts, key=lambda row: cloud.table(SERVERS).count("host", row["host"]))
    return pinned or None, fewest["zone"], fewest["host"]


def zone_of_host(cloud: DevCloud, host: str) -> str:
    """The zone that a host is in."""
    row = cloud.table(HOSTS).first(host=host)
    return str(row["zone"]) if row is not None else ZONE


def group_for(cloud: DevCloud, request: ApiRequest, hints: Row) -> Row | None:
    """The server group that the scheduler's hints name."""
    group_id = hints.get("group")
    if not group_id:
        return None
    row = cloud.table(SERVER_GROUPS).get(group_id)
    if row is None or row["project_id"] != request.token.project_id:
        raise bad_request(f"Instance group {group_id} could not be found.")
    return row


def place(cloud: DevCloud, row: Row, group: Row | None) -> bool:
    """Move a server to a host that its group's policy allows; False when there is none."""
    if not row["host"]:
        return False
    if group is None:
        return True
    used = [cloud.table(SERVERS)[one]["host"] for one in group["members"] if one != row["id"]]
    most = int(group["rules"].get("max_server_per_host", 1))
    if group["policy"] == "affinity" and used:
        row["host"] = used[0] or row["host"]
    elif group["policy"] == "anti-affinity":
        hosts = [one["host"] for one in cloud.table(HOSTS) if used.count(one["host"]) < most]
        if not hosts:
            return False
        row["host"] = row["host"] if row["host"] in hosts else hosts[0]
    return True


def keypair_for(cloud: DevCloud, request: ApiRequest, name: str | None) -> Row | None:
    """The caller's key of this name."""
    if name is None:
        return None
    row = cloud.table(KEYPAIRS).get((request.token.user_id, name))
    if row is None:
        raise bad_request("Invalid key_name provided.")
    return row


def hostname_of(name: str) -> str:
    """The host's name that Nova makes of a server's name."""
    cleaned = re.sub(r"[^\w.-]+", "", re.sub(r"[ _]", "-", name.encode("ascii", "ignore").decode())).lower()
    return cleaned.strip(".-")[:63] or "server"


def check_names(want: Row, request: ApiRequest) -> None:
    """Names, tags and metadata within their limits."""
    name = want.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > 255:
        raise bad_request(f"Invalid input for field/attribute name. Value: {name}.")
    tags = want.get("tags") or []
    if len(tags) > 50 or any(
        not isinstance(tag, str) or not 0 < len(tag) <= 60 or "/" in tag for tag in tags
    ):
        raise bad_request("Invalid input for field/attribute tags.")
    check_metadata(want.get("metadata") or {})


def check_metadata(metadata: Any) -> dict[str, str]:
    """Metadata must map strings to strings of at most 255 characters."""
    if not isinstance(metadata, dict):
        raise bad_request("Invalid input for field/attribute metadata.")
    for key, value in metadata.items():
        if not isinstance(value, str) or len(value) > 255 or not 0 < len(key) <= 255:
            raise bad_request(f"Invalid input for field/attribute {key}. Value: {value}.")
    if len(metadata) > 128:
        raise forbidden("Maximum number of metadata items exceeds 128")
    return dict(metadata)


def build(cloud: DevCloud, server_id: str, *, placed: bool) -> None:
    """The end of a build: ACTIVE, or ERROR when no host was found or a fault was ordered."""
    row = cloud.table(SERVERS).get(server_id)
    if row is None or row["vm_state"] != "building":
        return
    if not placed:
        fail(cloud, row, "No valid host was found. There are not enough hosts available.")
        return
    if cloud.faults.server_error(row["name"]):
        fail(cloud, row, "Build of instance was aborted: injected fault")
        return
    failure = fill_blocks(cloud, row)
    if failure is not None:
        fail(cloud, row, failure)
        return
    if row["image_id"]:
        try:
            image_data.write_disk(cloud, row["image_id"], cloud.files.path(DISKS, server_id))
        except ValueError as error:
            fail(cloud, row, f"Image {row['image_id']} is unacceptable: {error}")
            return
    now = cloud.now()
    row |= {"vm_state": "active", "task_state": None, "power_state": 1, "launched_at": now, "updated_at": now}


def fail(cloud: DevCloud, row: Row, message: str) -> None:
    """A server in ERROR keeps no host, no ports and no volumes."""
    for nic in list(row["nics"]):
        unplug(cloud, row, nic)
    release_volumes(cloud, row)
    cloud.table(SERVERS).update(row["id"], host=None)
    now = cloud.now()
    row |= {
        "vm_state": "error",
        "task_state": None,
        "power_state": 0,
        "updated_at": now,
        "fault": {"code": 500, "message": message, "created": isotime(now)},
    }


def vanish(cloud: DevCloud, server_id: str) -> None:
    """The end of a deletion."""
    row = cloud.table(SERVERS).get(server_id)
    if row is None:
        return
    for nic in list(row["nics"]):
        unplug(cloud, row, nic)
    release_volumes(cloud, row)
    group = cloud.table(SERVER_GROUPS).get(row["group_id"])
    if group is not None:
        group["members"] = [member for member in group["members"] if member != server_id]
    cloud.files.remove(DISKS, server_id)
    cloud.table(SERVERS).remove(server_id)
