"""Nova's side of the network: the interfaces of servers, as ports of Neutron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.errors import Fault, bad_request, conflict
from pumphouse.devcloud.network_api import COLLECTIONS, Call
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest


def call_for(cloud: DevCloud, project_id: str) -> Call:
    """Nova acts with an admin's rights, in the project of the server."""
    return Call(cloud=cloud, project=project_id, admin=True)


def wanted_interfaces(cloud: DevCloud, request: ApiRequest, networks: Any, project_id: str) -> list[Row]:
    """The interfaces that a request's ``networks`` asks for: {port_id or network_id, fixed_ip, tag}.

    Nova's refusals: 400 for what is not there or has no subnet, 409 for a port in use or an unclear choice.
    """
    if networks is None:
        if request.at_least(2, 37):
            raise bad_request("Invalid input for field/attribute server. 'networks' is a required property")
        networks = "auto"
    if networks == "none":
        return []
    if networks == "auto":
        own = _own_networks(cloud, project_id)
        if len(own) > 1:
            raise conflict("Multiple possible networks found, use a Network ID to be more specific.")
        networks = [{"uuid": one["id"]} for one in own]
    if not isinstance(networks, list):
        raise bad_request("Bad networks format")
    return [_wanted(cloud, request, one, project_id) for one in networks]


def _own_networks(cloud: DevCloud, project_id: str) -> list[Row]:
    rows = cloud.table("networks").find(project_id=project_id)
    return [row for row in rows if cloud.table("subnets").find(network_id=row["id"])]


def _wanted(cloud: DevCloud, request: ApiRequest, one: Row, project_id: str) -> Row:
    tag = one.get("tag") if request.at_least(2, 32) else None
    if one.get("port"):
        port = cloud.table("ports").get(one["port"])
        foreign = port is not None and port["project_id"] != project_id and not request.token.is_admin
        if port is None or foreign:
            raise bad_request(f"Port id {one['port']} could not be found.")
        if port["device_id"]:
            raise conflict(f"Port {port['id']} is still in use.")
        return {"port_id": port["id"], "tag": tag}
    network_id = one.get("uuid")
    network = cloud.table("networks").get(network_id)
    call = Call(cloud=cloud, project=project_id, admin=request.token.is_admin)
    if network is None or not COLLECTIONS["networks"].visible(call, network):
        raise bad_request(f"Network {network_id} could not be found.")
    if not cloud.table("subnets").find(network_id=network_id):
        raise bad_request(f"Network {network_id} requires a subnet in order to boot instances on.")
    return {"network_id": network_id, "fixed_ip": one.get("fixed_ip"), "tag": tag}


def group_ids(cloud: DevCloud, wanted: Any, project_id: str) -> list[str] | None:
    """The ids of security groups that a request names by name or id.

    None when it names none; 400 for one that is not there, 409 for a name that several have.
    """
    if not wanted:
        return None
    call = call_for(cloud, project_id)
    COLLECTIONS["security_groups"].before_list(call, {})
    own = cloud.table("security_groups").find(project_id=project_id)
    found = []
    for name in (one.get("name") for one in wanted):
        matches = [row["id"] for row in own if name in (row["id"], row["name"])]
        if not matches:
            raise bad_request(f"Security group {name} not found.")
        if len(matches) > 1:
            raise conflict(f"Multiple security_group matches found for name '{name}', use an ID.")
        found += matches
    return list(dict.fromkeys(found))


def plug(cloud: DevCloud, server: Row, wanted: Row, *, groups: list[str] | None) -> Row:
    """Make or bind the port of one interface; what Neutron refuses becomes Nova's 400."""
    ports, call = COLLECTIONS["ports"], call_for(cloud, server["project_id"])
    owner = {
        "device_id": server["id"],
        "device_owner": f"compute:{server['availability_zone'] or 'nova'}",
        "binding:host_id": server["host"] or "",
    }
    try:
        if "port_id" in wanted:
            port_id = wanted["port_id"]
            ports.update(call, cloud.table("ports")[port_id], owner)
        else:
            body: Row = {"network_id": wanted["network_id"], "project_id": server["project_id"], **owner}
            if wanted["fixed_ip"]:
                body["fixed_ips"] = [{"ip_address": wanted["fixed_ip"]}]
            if groups is not None and cloud.table("networks")[wanted["network_id"]]["port_security_enabled"]:
                body["security_groups"] = groups
            port_id = ports.create(call, body)["id"]
    except Fault as fault:
        if fault.status == 409 and wanted.get("fixed_ip"):
            raise bad_request(f"Fixed IP address {wanted['fixed_ip']} is already in use.") from fault
        raise bad_request(fault.message) from fault
    nic = {"port_id": port_id, "owned": "port_id" not in wanted, "tag": wanted["tag"]}
    server["nics"] = [*server["nics"], nic]
    return nic


def unplug(cloud: DevCloud, server: Row, nic: Row) -> None:
    """Delete a port that Nova made; let go of one that was given, which survives."""
    server["nics"] = [one for one in server["nics"] if one["port_id"] != nic["port_id"]]
    port = cloud.table("ports").get(nic["port_id"])
    if port is None:
        return
    ports, call = COLLECTIONS["ports"], call_for(cloud, server["project_id"])
    if nic["owned"]:
        ports.delete(call, port)
    else:
        ports.update(call, port, {"device_id": "", "device_owner": "", "binding:host_id": ""})


def rebind(cloud: DevCloud, server: Row) -> None:
    """The ports follow the server to its host, or become unbound when it has none."""
    call = call_for(cloud, server["project_id"])
    for nic in server["nics"]:
        port = cloud.table("ports").get(nic["port_id"])
        if port is not None:
            COLLECTIONS["ports"].update(call, port, {"binding:host_id": server["host"] or ""})


def set_groups(cloud: DevCloud, server: Row, name: str, *, add: bool) -> None:
    """Add or remove a security group on all interfaces."""
    (group_id,) = group_ids(cloud, [{"name": name}], server["project_id"]) or [""]
    call = call_for(cloud, server["project_id"])
    for nic in server["nics"]:
        port = cloud.table("ports")[nic["port_id"]]
        rest = [one for one in port["security_groups"] if one != group_id]
        COLLECTIONS["ports"].update(call, port, {"security_groups": [*rest, group_id] if add else rest})
