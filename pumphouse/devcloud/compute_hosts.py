"""Nova: hypervisors, services and availability zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.compute_model import HOSTS, SERVERS, flag, microtime
from pumphouse.devcloud.errors import bad_request, not_found
from pumphouse.devcloud.paging import links, page
from pumphouse.devcloud.services import COMPUTE
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest


def _id(request: ApiRequest, row: Row) -> Any:
    """A UUID from 2.53, before that a number."""
    return row["id"] if request.at_least(2, 53) else row["number"]


def _brief(cloud: DevCloud, request: ApiRequest, row: Row) -> Row:
    shown = {
        "id": _id(request, row),
        "hypervisor_hostname": row["host"],
        "state": row["state"],
        "status": row["status"],
    }
    if request.at_least(2, 53) and flag(request, "with_servers"):
        servers = cloud.table(SERVERS).find(host=row["host"])
        shown["servers"] = [{"name": server["name"], "uuid": server["id"]} for server in servers]
    return shown


def _full(cloud: DevCloud, request: ApiRequest, row: Row) -> Row:
    shown = _brief(cloud, request, row)
    shown |= {
        "hypervisor_type": "QEMU",
        "hypervisor_version": 8000000,
        "host_ip": "127.0.0.1",
        "service": {
            "id": _id(request, row),
            "host": row["host"],
            "disabled_reason": row["disabled_reason"],
        },
    }
    if not request.at_least(2, 88):
        servers = cloud.table(SERVERS).find(host=row["host"])
        used = {key: sum(server["flavor"][key] for server in servers) for key in ("vcpus", "ram", "disk")}
        shown |= {
            "vcpus": row["vcpus"],
            "vcpus_used": used["vcpus"],
            "memory_mb": row["memory_mb"],
            "memory_mb_used": used["ram"],
            "free_ram_mb": row["memory_mb"] - used["ram"],
            "local_gb": row["local_gb"],
            "local_gb_used": used["disk"],
            "free_disk_gb": row["local_gb"] - used["disk"],
            "disk_available_least": row["local_gb"] - used["disk"],
            "current_workload": 0,
            "running_vms": len(servers),
            "cpu_info": {} if request.at_least(2, 28) else "{}",
        }
    return shown


def _listing(cloud: DevCloud, request: ApiRequest, view: Any, path: str) -> dict[str, Any]:
    pattern = request.arg("hypervisor_hostname_pattern")
    rows, more = page(
        request,
        cloud.table(HOSTS),
        newest_first=False,
        where=(lambda row: pattern in row["host"]) if pattern else None,
    )
    following = links(request, path, rows, more=more)
    shown = {"hypervisors": [view(cloud, request, row) for row in rows]}
    return {**shown, "hypervisors_links": following} if following else shown


@COMPUTE.route("GET", "/os-hypervisors", role="admin", policy="os-hypervisors:list")
def list_hypervisors(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    return _listing(cloud, request, _brief, "/os-hypervisors")


@COMPUTE.route("GET", "/os-hypervisors/detail", role="admin", policy="os-hypervisors:list-detail")
def list_hypervisor_details(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    return _listing(cloud, request, _full, "/os-hypervisors/detail")


@COMPUTE.route("GET", "/os-hypervisors/{hypervisor_id}", role="admin", policy="os-hypervisors:show")
def show_hypervisor(cloud: DevCloud, request: ApiRequest, hypervisor_id: str) -> dict[str, Any]:
    for row in cloud.table(HOSTS):
        if str(_id(request, row)) == hypervisor_id:
            return {"hypervisor": _full(cloud, request, row)}
    raise not_found(f"Compute host {hypervisor_id} could not be found.")


@COMPUTE.route("GET", "/os-services", role="admin", policy="os-services:list")
def list_services(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    shown = []
    for row in cloud.table(HOSTS):
        one = {
            "id": _id(request, row),
            "binary": "nova-compute",
            "host": row["host"],
            "zone": row["zone"],
            "status": row["status"],
            "state": row["state"],
            "disabled_reason": row["disabled_reason"],
            "updated_at": microtime(cloud.now()),
        }
        if request.at_least(2, 11):
            one["forced_down"] = row["state"] == "down"
        if request.arg("host") in (None, row["host"]) and request.arg("binary") in (None, "nova-compute"):
            shown.append(one)
    return {"services": shown}


@COMPUTE.route("PUT", "/os-services/{service_id}", role="admin", since=(2, 53), policy="os-services:update")
def update_service(cloud: DevCloud, request: ApiRequest, service_id: str) -> dict[str, Any]:
    row = cloud.table(HOSTS).get(service_id)
    if row is None:
        raise not_found(f"Service {service_id} could not be found.")
    want = request.json_object()
    status, reason = want.get("status", row["status"]), want.get("disabled_reason")
    if status not in ("enabled", "disabled"):
        raise bad_request(f"Invalid input for field/attribute status. Value: {status}.")
    if reason is not None and want.get("status") != "disabled":
        raise bad_request("Specifying 'disabled_reason' when status is 'enabled' is invalid.")
    row |= {"status": status, "disabled_reason": reason if "status" in want else row["disabled_reason"]}
    if "forced_down" in want:
        row["state"] = "down" if want["forced_down"] else "up"
    shown = {name: row[name] for name in ("id", "host", "status", "state", "zone", "disabled_reason")}
    return {"service": {**shown, "binary": "nova-compute", "forced_down": row["state"] == "down"}}


def zones(cloud: DevCloud) -> dict[str, list[str]]:
    """The zones with their hosts."""
    found: dict[str, list[str]] = {}
    for row in cloud.table(HOSTS):
        found.setdefault(row["zone"], []).append(row["host"])
    return dict(sorted(found.items()))


@COMPUTE.route("GET", "/os-availability-zone", role=None)
def list_zones(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    return {
        "availabilityZoneInfo": [
            {"zoneName": zone, "zoneState": {"available": True}, "hosts": None} for zone in zones(cloud)
        ]
    }


@COMPUTE.route("GET", "/os-availability-zone/detail", role="admin", policy="os-availability-zone:detail")
def list_zone_details(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    service = {"nova-compute": {"active": True, "available": True, "updated_at": microtime(cloud.now())}}
    return {
        "availabilityZoneInfo": [
            {
                "zoneName": zone,
                "zoneState": {"available": True},
                "hosts": dict.fromkeys(found, service),
            }
            for zone, found in zones(cloud).items()
        ]
    }


@COMPUTE.route("GET", "/os-aggregates", role="admin", policy="os-aggregates:index")
def list_aggregates(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    return {"aggregates": []}


@COMPUTE.route("GET", "/extensions", role=None)
def list_extensions(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    return {"extensions": []}
