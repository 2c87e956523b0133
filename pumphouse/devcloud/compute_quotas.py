"""Nova: quotas, their use, and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.compute_model import COMPUTE_QUOTAS, SERVER_GROUPS, SERVERS
from pumphouse.devcloud.errors import Fault, bad_request, forbidden
from pumphouse.devcloud.services import COMPUTE

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

DEFAULTS: Mapping[str, int] = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
}
# Shown up to 2.56, and up to 2.35; nothing is counted against them.
_FILES: Mapping[str, int] = {
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
}
_NETWORK: Mapping[str, int] = {
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
}
_DEFAULTS_ROW = "default"


def _defaults(cloud: DevCloud) -> dict[str, int]:
    row = cloud.table(COMPUTE_QUOTAS).get(_DEFAULTS_ROW) or {}
    return {**DEFAULTS, **row.get("limits", {})}


def limits_of(cloud: DevCloud, project_id: str | None) -> dict[str, int]:
    """A project's limits; -1 is none."""
    row = cloud.table(COMPUTE_QUOTAS).get(project_id) or {}
    return {**_defaults(cloud), **row.get("limits", {})}


def set_limits(cloud: DevCloud, project_id: str, limits: Mapping[str, int]) -> None:
    """Override some of a project's limits."""
    table = cloud.table(COMPUTE_QUOTAS)
    row = table.get(project_id) or table.add({"project_id": project_id, "limits": {}})
    row["limits"] = {**row["limits"], **limits}


def usage_of(cloud: DevCloud, project_id: str | None) -> dict[str, int]:
    """What a project's servers and groups use."""
    servers = cloud.table(SERVERS).find(project_id=project_id)
    return {
        **dict.fromkeys(DEFAULTS, 0),
        "instances": len(servers),
        "cores": sum(row["flavor"]["vcpus"] for row in servers),
        "ram": sum(row["flavor"]["ram"] for row in servers),
        "server_groups": cloud.table(SERVER_GROUPS).count("project_id", project_id),
    }


def check_quota(cloud: DevCloud, project_id: str | None, wanted: Mapping[str, int]) -> None:
    """403, worded as Nova does, when the project may not have this much more."""
    limits, used = limits_of(cloud, project_id), usage_of(cloud, project_id)
    over = [name for name in sorted(wanted) if 0 <= limits[name] < used[name] + wanted[name]]
    if over:
        raise forbidden(
            f"Quota exceeded for {', '.join(over)}: Requested "
            f"{', '.join(str(wanted[name]) for name in over)}, "
            f"but already used {', '.join(str(used[name]) for name in over)} "
            f"of {', '.join(str(limits[name]) for name in over)} {', '.join(over)}"
        )


def _shown(request: ApiRequest, limits: Mapping[str, int]) -> dict[str, int]:
    extra: dict[str, int] = {}
    if not request.at_least(2, 57):
        extra |= _FILES
    if not request.at_least(2, 36):
        extra |= _NETWORK
    return {**limits, **extra}


def _allow(request: ApiRequest, project_id: str) -> None:
    if project_id != request.token.project_id and not request.token.is_admin:
        raise Fault(403, COMPUTE.denied.format(policy="os_compute_api:os-quota-sets:show"))


@COMPUTE.route("GET", "/os-quota-sets/{project_id}")
def show_quota_set(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    _allow(request, project_id)
    return {"quota_set": {"id": project_id, **_shown(request, limits_of(cloud, project_id))}}


@COMPUTE.route("GET", "/os-quota-sets/{project_id}/detail")
def show_quota_detail(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    _allow(request, project_id)
    used = usage_of(cloud, project_id)
    limits = _shown(request, limits_of(cloud, project_id))
    detail = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in limits.items()
    }
    return {"quota_set": {"id": project_id, **detail}}


@COMPUTE.route("GET", "/os-quota-sets/{project_id}/defaults", role=None)
def show_quota_defaults(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    return {"quota_set": {"id": project_id, **_shown(request, _defaults(cloud))}}


def _wanted(request: ApiRequest, body: Mapping[str, Any]) -> dict[str, int]:
    allowed = _shown(request, DEFAULTS)
    wanted = {}
    for name, value in body.items():
        if name in ("force", "tenant_id", "id", "class_name"):
            continue
        if name not in allowed:
            raise bad_request(f"Additional properties are not allowed ('{name}' was unexpected)")
        try:
            wanted[name] = int(value)
        except (TypeError, ValueError) as error:
            raise bad_request(f"Invalid input for field/attribute {name}. Value: {value}.") from error
        if wanted[name] < -1:
            raise bad_request(
                f"Invalid input for field/attribute {name}. {value} is less than the minimum of -1"
            )
    return {name: limit for name, limit in wanted.items() if name in DEFAULTS}


@COMPUTE.route("PUT", "/os-quota-sets/{project_id}", role="admin", policy="os-quota-sets:update")
def update_quota_set(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    if project_id not in cloud.table("projects"):
        raise bad_request(f"Project ID {project_id} is not a valid project.")
    body = request.member("quota_set")
    wanted = _wanted(request, body)
    if not body.get("force"):
        used = usage_of(cloud, project_id)
        for name, limit in sorted(wanted.items()):
            if 0 <= limit < used[name]:
                raise bad_request(
                    f"Quota limit {limit} for {name} must be greater than or equal to "
                    f"already used and reserved {used[name]}."
                )
    set_limits(cloud, project_id, wanted)
    return {"quota_set": _shown(request, limits_of(cloud, project_id))}


@COMPUTE.route(
    "DELETE", "/os-quota-sets/{project_id}", role="admin", status=202, policy="os-quota-sets:delete"
)
def delete_quota_set(cloud: DevCloud, request: ApiRequest, project_id: str) -> None:
    cloud.table(COMPUTE_QUOTAS).remove(project_id)


@COMPUTE.route("GET", "/os-quota-class-sets/default", role="admin", policy="os-quota-class-sets:show")
def show_quota_class(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    return {"quota_class_set": {"id": "default", **_shown(request, _defaults(cloud))}}


@COMPUTE.route("PUT", "/os-quota-class-sets/default", role="admin", policy="os-quota-class-sets:update")
def update_quota_class(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    set_limits(cloud, _DEFAULTS_ROW, _wanted(request, request.member("quota_class_set")))
    return {"quota_class_set": _shown(request, _defaults(cloud))}


@COMPUTE.route("GET", "/limits")
def show_limits(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    project_id = request.arg("tenant_id") or request.token.project_id
    if project_id != request.token.project_id and not request.token.is_admin:
        raise Fault(403, COMPUTE.denied.format(policy="os_compute_api:limits:other_project"))
    limits, used = limits_of(cloud, project_id), usage_of(cloud, project_id)
    absolute = {
        "maxTotalInstances": limits["instances"],
        "maxTotalCores": limits["cores"],
        "maxTotalRAMSize": limits["ram"],
        "maxTotalKeypairs": limits["key_pairs"],
        "maxServerMeta": limits["metadata_items"],
        "maxServerGroups": limits["server_groups"],
        "maxServerGroupMembers": limits["server_group_members"],
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": used["server_groups"],
    }
    return {"limits": {"rate": [], "absolute": absolute}}
