"""Nova: a server as the negotiated microversion and the caller's rights show it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.compute_model import isotime, self_links
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

_STATUS = {
    "active": "ACTIVE",
    "building": "BUILD",
    "stopped": "SHUTOFF",
    "resized": "VERIFY_RESIZE",
    "paused": "PAUSED",
    "suspended": "SUSPENDED",
    "rescued": "RESCUE",
    "error": "ERROR",
    "shelved": "SHELVED",
    "shelved_offloaded": "SHELVED_OFFLOADED",
}
_BUSY = {
    ("active", "rebooting"): "REBOOT",
    ("active", "rebooting_hard"): "HARD_REBOOT",
    ("active", "migrating"): "MIGRATING",
    ("paused", "migrating"): "MIGRATING",
    ("active", "resize_migrating"): "RESIZE",
    ("stopped", "resize_migrating"): "RESIZE",
    ("resized", "resize_reverting"): "REVERT_RESIZE",
}
STATUSES = frozenset(_STATUS.values()) | frozenset(_BUSY.values())


def status_of(row: Row) -> str:
    """``ACTIVE``, ``SHUTOFF`` and so on, from the states of machine and task."""
    return _BUSY.get((row["vm_state"], row["task_state"])) or _STATUS[row["vm_state"]]


def basic_view(request: ApiRequest, row: Row) -> Row:
    """What the plain list shows."""
    return {"id": row["id"], "name": row["name"], "links": self_links(request, "servers", row["id"])}


@lru_cache(maxsize=4096)
def _host_id(project_id: str, host: str | None) -> str:
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def server_view(cloud: DevCloud, request: ApiRequest, row: Row, *, detail: bool = False) -> Row:
    """A server in full; ``detail``: as one of a list, which leaves the server group out."""
    status = status_of(row)
    shown: Row = {
        "id": row["id"],
        "name": row["name"],
        "status": status,
        "tenant_id": row["project_id"],
        "user_id": row["user_id"],
        "metadata": row["metadata"],
        "hostId": _host_id(row["project_id"], row["host"]),
        "image": _image(request, row),
        "flavor": _flavor(request, row["flavor"]),
        "created": isotime(row["created_at"]),
        "updated": isotime(row["updated_at"]),
        "addresses": addresses_of(cloud, row),
        "accessIPv4": row["access_ipv4"],
        "accessIPv6": row["access_ipv6"],
        "links": self_links(request, "servers", row["id"]),
        "OS-DCF:diskConfig": row["disk_config"],
        "OS-EXT-AZ:availability_zone": row["availability_zone"] or "",
        "config_drive": "True" if row["config_drive"] else "",
        "key_name": row["key_name"],
        "OS-SRV-USG:launched_at": _plain(row["launched_at"]),
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": row["task_state"],
        "OS-EXT-STS:vm_state": row["vm_state"],
        "OS-EXT-STS:power_state": row["power_state"],
        "os-extended-volumes:volumes_attached": [_volume(request, one) for one in row["volumes"]],
    }
    groups = security_group_names(cloud, row)
    if groups:
        shown["security_groups"] = [{"name": name} for name in groups]
    if status in ("ACTIVE", "BUILD", "REBOOT", "MIGRATING"):
        shown["progress"] = 0
    if row["fault"] and status == "ERROR":
        shown["fault"] = row["fault"]
    if request.token.is_admin:
        shown |= _extended(request, row)
    return shown | _newer(cloud, request, row, detail=detail)


def _extended(request: ApiRequest, row: Row) -> Row:
    """What only admins see."""
    prefix = "OS-EXT-SRV-ATTR:"
    shown = {
        prefix + "host": row["host"],
        prefix + "instance_name": f"instance-{row['id'][:8]}",
        prefix + "hypervisor_hostname": row["host"],
    }
    if request.at_least(2, 3):
        shown |= {
            prefix + "hostname": row["hostname"],
            prefix + "kernel_id": "",
            prefix + "launch_index": row["launch_index"],
            prefix + "ramdisk_id": "",
            prefix + "reservation_id": row["reservation_id"],
            prefix + "root_device_name": row["root_device_name"],
            prefix + "user_data": row["user_data"],
        }
    if request.at_least(2, 16):
        shown["host_status"] = "UP" if row["host"] else ""
    return shown


def _newer(cloud: DevCloud, request: ApiRequest, row: Row, *, detail: bool) -> Row:
    """What microversions have added."""
    shown: Row = {}
    if request.at_least(2, 9):
        shown["locked"] = row["locked"]
    if request.at_least(2, 19):
        shown["description"] = row["description"]
    if request.at_least(2, 26):
        shown["tags"] = row["tags"]
    if request.at_least(2, 63):
        shown["trusted_image_certificates"] = None
    if request.at_least(2, 71) and not detail:
        group = row["group_id"]
        shown["server_groups"] = [group] if group and group in cloud.table("server_groups") else []
    if request.at_least(2, 73):
        shown["locked_reason"] = row["locked_reason"]
    if request.at_least(2, 90):
        shown["OS-EXT-SRV-ATTR:hostname"] = row["hostname"]
    if request.at_least(2, 96):
        shown["pinned_availability_zone"] = row["pinned_zone"]
    return shown


def _plain(moment: Any) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _image(request: ApiRequest, row: Row) -> Any:
    """An empty string when the server boots from a volume."""
    image_id = row["image_id"]
    if not image_id:
        return ""
    bookmark = {"rel": "bookmark", "href": f"{request.cloud.url}/compute/images/{image_id}"}
    return {"id": image_id, "links": [bookmark]}


def _flavor(request: ApiRequest, flavor: Row) -> Row:
    if not request.at_least(2, 47):
        bookmark = {"rel": "bookmark", "href": f"{request.cloud.url}/compute/flavors/{flavor['id']}"}
        return {"id": flavor["id"], "links": [bookmark]}
    shown = {key: flavor[key] for key in ("vcpus", "ram", "disk", "ephemeral", "swap", "extra_specs")}
    return {**shown, "original_name": flavor["name"]}


def _volume(request: ApiRequest, attachment: Row) -> Row:
    shown = {"id": attachment["volume_id"]}
    if request.at_least(2, 3):
        shown["delete_on_termination"] = attachment["delete_on_termination"]
    return shown


def addresses_of(cloud: DevCloud, row: Row) -> dict[str, list[Row]]:
    """The addresses by network's name, in the order of the interfaces, with the floating ones."""
    found: dict[str, list[Row]] = {}
    if not row["nics"]:
        return found
    ports, networks, floating = cloud.table("ports"), cloud.table("networks"), cloud.table("floatingips")
    for nic in row["nics"]:
        port = ports.get(nic["port_id"])
        if port is None:
            continue
        mac = {"OS-EXT-IPS-MAC:mac_addr": port["mac_address"]}
        name = networks[port["network_id"]]["name"]
        shown = found.setdefault(name, [])
        shown += [_address(fixed["ip_address"], "fixed") | mac for fixed in port["fixed_ips"]]
        shown += [
            _address(one["floating_ip_address"], "floating") | mac
            for one in floating.find(port_id=port["id"])
        ]
    return found


def _address(address: str, kind: str) -> Row:
    return {"version": 6 if ":" in address else 4, "addr": address, "OS-EXT-IPS:type": kind}


def security_group_names(cloud: DevCloud, row: Row) -> list[str]:
    """The names of the security groups of a server's ports, each once."""
    ports, groups = cloud.table("ports"), cloud.table("security_groups")
    found: dict[str, None] = {}
    for nic in row["nics"]:
        port = ports.get(nic["port_id"])
        for group_id in port["security_groups"] if port is not None else ():
            found[groups[group_id]["name"]] = None
    return list(found)
