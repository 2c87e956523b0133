"""Nova: interfaces and volumes of a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.compute_model import SERVERS, find_server
from pumphouse.devcloud.compute_network import plug, unplug, wanted_interfaces
from pumphouse.devcloud.compute_states import check_state
from pumphouse.devcloud.compute_volumes import attach, check_free, connect, detach, find_attachment
from pumphouse.devcloud.errors import bad_request, forbidden, not_found
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.services import COMPUTE
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

_INTERFACES = "/servers/{server_id}/os-interface"
_VOLUMES = "/servers/{server_id}/os-volume_attachments"
_PLUGGED = ("active", "paused", "stopped")
_ATTACHED = (*_PLUGGED, "resized", "shelved", "shelved_offloaded")


# Interfaces


def _interface(cloud: DevCloud, request: ApiRequest, nic: Row) -> Row:
    port = cloud.table("ports")[nic["port_id"]]
    shown = {
        "port_id": port["id"],
        "net_id": port["network_id"],
        "mac_addr": port["mac_address"],
        "port_state": port["status"],
        "fixed_ips": port["fixed_ips"],
    }
    return {**shown, "tag": nic["tag"]} if request.at_least(2, 70) else shown


@COMPUTE.route("GET", _INTERFACES, policy="os-attach-interfaces:list")
def list_interfaces(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    row = find_server(cloud, request, server_id)
    nics = (nic for nic in row["nics"] if nic["port_id"] in cloud.table("ports"))
    return {"interfaceAttachments": [_interface(cloud, request, nic) for nic in nics]}


@COMPUTE.route("POST", _INTERFACES, policy="os-attach-interfaces:create")
def add_interface(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    row = find_server(cloud, request, server_id)
    check_state(request, row, "attach_interface", _PLUGGED)
    want = request.member("interfaceAttachment")
    if want.get("port_id") and want.get("net_id"):
        raise bad_request("Must not input both network_id and port_id")
    fixed = want.get("fixed_ips") or []
    one = {
        "port": want.get("port_id"),
        "uuid": want.get("net_id"),
        "fixed_ip": fixed[0].get("ip_address") if fixed else None,
        "tag": want.get("tag"),
    }
    networks = [one] if one["port"] or one["uuid"] else "auto"
    for wanted in wanted_interfaces(cloud, request, networks, row["project_id"]):
        return {"interfaceAttachment": _interface(cloud, request, plug(cloud, row, wanted, groups=None))}
    raise bad_request("No network is there to attach an interface to.")


def _nic(row: Row, port_id: str) -> Row:
    for nic in row["nics"]:
        if nic["port_id"] == port_id:
            found: Row = nic
            return found
    raise not_found(f"Port id {port_id} could not be found.")


@COMPUTE.route("GET", _INTERFACES + "/{port_id}", policy="os-attach-interfaces:show")
def show_interface(cloud: DevCloud, request: ApiRequest, server_id: str, port_id: str) -> dict[str, Any]:
    nic = _nic(find_server(cloud, request, server_id), port_id)
    return {"interfaceAttachment": _interface(cloud, request, nic)}


@COMPUTE.route("DELETE", _INTERFACES + "/{port_id}", status=202, policy="os-attach-interfaces:delete")
def remove_interface(cloud: DevCloud, request: ApiRequest, server_id: str, port_id: str) -> None:
    row = find_server(cloud, request, server_id)
    check_state(request, row, "detach_interface", _PLUGGED)
    unplug(cloud, row, _nic(row, port_id))


# Volumes


def _attachment(request: ApiRequest, server_id: str, one: Row) -> Row:
    shown = {"volumeId": one["volume_id"], "serverId": server_id, "device": one["device"]}
    if request.at_least(2, 89):
        shown |= {"attachment_id": one["attachment_id"], "bdm_uuid": one["bdm_id"]}
    else:
        shown["id"] = one["volume_id"]
    if request.at_least(2, 70):
        shown["tag"] = one["tag"]
    if request.at_least(2, 79):
        shown["delete_on_termination"] = one["delete_on_termination"]
    return shown


@COMPUTE.route("GET", _VOLUMES, policy="os-volumes-attachments:index")
def list_attachments(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    row = find_server(cloud, request, server_id)
    return {"volumeAttachments": [_attachment(request, server_id, one) for one in row["volumes"]]}


@COMPUTE.route("GET", _VOLUMES + "/{volume_id}", policy="os-volumes-attachments:show")
def show_attachment(cloud: DevCloud, request: ApiRequest, server_id: str, volume_id: str) -> dict[str, Any]:
    one = find_attachment(find_server(cloud, request, server_id), volume_id)
    return {"volumeAttachment": _attachment(request, server_id, one)}


@COMPUTE.route("POST", _VOLUMES, policy="os-volumes-attachments:create")
def attach_volume(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    row = find_server(cloud, request, server_id)
    want = request.member("volumeAttachment")
    for field, since in (("tag", (2, 49)), ("delete_on_termination", (2, 79))):
        if field in want and request.microversion < since:
            raise bad_request(f"Additional properties are not allowed ('{field}' was unexpected)")
    volume = cloud.table("volumes").get(want.get("volumeId"))
    if volume is None or volume["project_id"] != row["project_id"]:
        raise not_found(f"Volume {want.get('volumeId')} could not be found.")
    check_state(request, row, "attach_volume", _ATTACHED)
    check_free(volume)
    if any(one["volume_id"] == volume["id"] for one in row["volumes"]):
        raise bad_request(f"Invalid volume: volume {volume['id']} already attached")
    one = attach(
        cloud,
        row,
        volume["id"],
        device=want.get("device"),
        tag=want.get("tag"),
        delete_on_termination=bool(want.get("delete_on_termination")),
    )
    cloud.later("attach", lambda: _connect(cloud, server_id, one))
    return {"volumeAttachment": _attachment(request, server_id, one)}


def _connect(cloud: DevCloud, server_id: str, attachment: Row) -> None:
    row = cloud.table(SERVERS).get(server_id)
    if row is not None and attachment in row["volumes"]:
        connect(cloud, row, attachment)


@COMPUTE.route("PUT", _VOLUMES + "/{volume_id}", status=202, policy="os-volumes-attachments:update")
def update_attachment(cloud: DevCloud, request: ApiRequest, server_id: str, volume_id: str) -> None:
    one = find_attachment(find_server(cloud, request, server_id), volume_id)
    want = request.member("volumeAttachment")
    if want.get("volumeId", volume_id) != volume_id:
        raise bad_request("A volume cannot be swapped here.")
    if "delete_on_termination" in want:
        if not request.at_least(2, 85):
            raise bad_request(
                "Additional properties are not allowed ('delete_on_termination' was unexpected)"
            )
        one["delete_on_termination"] = bool(want["delete_on_termination"])


@COMPUTE.route("DELETE", _VOLUMES + "/{volume_id}", status=202, policy="os-volumes-attachments:delete")
def detach_volume(cloud: DevCloud, request: ApiRequest, server_id: str, volume_id: str) -> Response:
    row = find_server(cloud, request, server_id)
    one = find_attachment(row, volume_id)
    check_state(request, row, "detach_volume", _ATTACHED)
    if one["boot_index"] == 0:
        raise forbidden("Cannot detach a root device volume")
    volume = cloud.table("volumes")[volume_id]
    if volume["status"] != "in-use":
        raise bad_request(f"Invalid volume: Invalid input: volume {volume_id} status is {volume['status']}")
    volume["status"] = "detaching"
    cloud.later("attach", lambda: _disconnect(cloud, server_id, one))
    return Response(202)


def _disconnect(cloud: DevCloud, server_id: str, attachment: Row) -> None:
    row = cloud.table(SERVERS).get(server_id)
    if row is not None and attachment in row["volumes"]:
        detach(cloud, row, attachment)
