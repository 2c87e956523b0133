"""Quotas of block storage, in all and per volume type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest, denied
from pumphouse.devcloud.errors import Fault, bad_request
from pumphouse.devcloud.services import VOLUME as SERVICE

QUOTAS = SERVICE.table("volume_quotas", label=("project_id",))
DEFAULTS: Mapping[str, int] = MappingProxyType(
    {
        "backup_gigabytes": 1000,
        "backups": 10,
        "gigabytes": 1000,
        "groups": 10,
        "per_volume_gigabytes": -1,
        "snapshots": 10,
        "volumes": 10,
    }
)
_PER_TYPE = ("gigabytes", "snapshots", "volumes")


def defaults(cloud: DevCloud) -> dict[str, int]:
    """The limits that a project has from the start; each type has three of its own."""
    names = sorted(row["name"] for row in cloud.table("volume_types"))
    return {**DEFAULTS, **{f"{key}_{name}": -1 for name in names for key in _PER_TYPE}}


def limits(cloud: DevCloud, project: str) -> dict[str, int]:
    """A project's limits; -1 is none."""
    row = cloud.table(QUOTAS).get(project)
    return {**defaults(cloud), **(row["limits"] if row else {})}


def usage(cloud: DevCloud, project: str) -> dict[str, int]:
    """What a project uses, by the same keys; snapshots count for gigabytes too."""
    types = {row["id"]: row["name"] for row in cloud.table("volume_types")}
    used = dict.fromkeys(limits(cloud, project), 0)
    for table, key, size in (("volumes", "volumes", "size"), ("snapshots", "snapshots", "volume_size")):
        for row in cloud.table(table).find(project_id=project):
            name = types[row["volume_type_id"]]
            for counted, amount in ((key, 1), ("gigabytes", row[size])):
                used[counted] += amount
                used[f"{counted}_{name}"] += amount
    return used


def check(cloud: DevCloud, project: str, key: str, type_name: str, size: int) -> None:
    """413 when one more of `key` (volumes or snapshots), of so many GiB, is too many or too much."""
    limit, used = limits(cloud, project), usage(cloud, project)
    single = limit["per_volume_gigabytes"]
    if 0 <= single < size:
        raise _over(
            f"VolumeSizeExceedsLimit: Requested volume size {size}G is larger than maximum allowed limit "
            f"{single}G."
        )
    for counted, name, amount in (
        (key, key, 1),
        (key, f"{key}_{type_name}", 1),
        ("gigabytes", "gigabytes", size),
        ("gigabytes", f"gigabytes_{type_name}", size),
    ):
        if not 0 <= limit[name] < used[name] + amount:
            continue
        if counted == "gigabytes":
            raise _over(
                f"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {name} "
                "quota. "
                f"Requested {size}G, quota is {limit[name]}G and {used[name]}G has been consumed."
            )
        kind = "VolumeLimitExceeded" if key == "volumes" else "SnapshotLimitExceeded"
        raise _over(f"{kind}: Maximum number of {key} allowed ({limit[name]}) exceeded for quota '{name}'.")


def _over(message: str) -> Fault:
    return Fault(413, message, headers={"Retry-After": "0"})


@SERVICE.route("GET", "/os-quota-sets/{quota_project}", policy="volume_extension:quotas:show")
def show_quota(cloud: DevCloud, request: ApiRequest, quota_project: str) -> dict[str, Any]:
    """A project's limits; with `usage=true` also what is used."""
    _check_reader(request, quota_project)
    found: dict[str, Any] = dict(limits(cloud, quota_project))
    if request.arg("usage", "false") in ("true", "True", "1"):
        used = usage(cloud, quota_project)
        found = {key: {"limit": limit, "in_use": used[key], "reserved": 0} for key, limit in found.items()}
    return {"quota_set": {"id": quota_project, **found}}


@SERVICE.route("GET", "/os-quota-sets/{quota_project}/defaults", policy="volume_extension:quotas:show")
def show_defaults(cloud: DevCloud, request: ApiRequest, quota_project: str) -> dict[str, Any]:
    """The limits that a project has from the start."""
    _check_reader(request, quota_project)
    return {"quota_set": {"id": quota_project, **defaults(cloud)}}


@SERVICE.route("PUT", "/os-quota-sets/{quota_project}", role="admin", policy="volume_extension:quotas:update")
def update_quota(cloud: DevCloud, request: ApiRequest, quota_project: str) -> dict[str, Any]:
    """Set limits, none of them below what is used."""
    wanted = dict(request.member("quota_set"))
    wanted.pop("tenant_id", None)
    wanted.pop("id", None)
    known, used = defaults(cloud), usage(cloud, quota_project)
    for key, value in wanted.items():
        if key not in known:
            raise bad_request(f"Bad key(s) in quota set: {key}")
        if not str(value).lstrip("-").isdigit() or int(value) < -1:
            raise bad_request(f"Invalid input for field/attribute {key}. Value: {value}.")
        if 0 <= int(value) < used[key]:
            raise bad_request(f"Quota {key} limit must be equal or greater than existing resources.")
    table = cloud.table(QUOTAS)
    row = table.get(quota_project) or table.add(
        {"id": quota_project, "project_id": quota_project, "limits": {}}
    )
    row["limits"].update({key: int(value) for key, value in wanted.items()})
    return {"quota_set": limits(cloud, quota_project)}


@SERVICE.route(
    "DELETE", "/os-quota-sets/{quota_project}", role="admin", policy="volume_extension:quotas:delete"
)
def delete_quota(cloud: DevCloud, request: ApiRequest, quota_project: str) -> dict[str, Any]:
    """Back to the defaults."""
    cloud.table(QUOTAS).remove(quota_project)
    return {}


@SERVICE.route("GET", "/limits", policy="limits")
def show_limits(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """One's own limits and usage in their older form."""
    project = request.token.project_id or ""
    limit, used = limits(cloud, project), usage(cloud, project)
    absolute = {
        "maxTotalVolumes": limit["volumes"],
        "maxTotalSnapshots": limit["snapshots"],
        "maxTotalVolumeGigabytes": limit["gigabytes"],
        "maxTotalBackups": limit["backups"],
        "maxTotalBackupGigabytes": limit["backup_gigabytes"],
        "totalVolumesUsed": used["volumes"],
        "totalSnapshotsUsed": used["snapshots"],
        "totalGigabytesUsed": used["gigabytes"],
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    }
    return {"limits": {"rate": [], "absolute": absolute}}


def _check_reader(request: ApiRequest, project: str) -> None:
    if not request.token.is_admin and request.token.project_id != project:
        raise denied(SERVICE, "volume_extension:quotas:show")
