"""Quotas of the network service."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.dispatch import ApiRequest, denied
from pumphouse.devcloud.errors import bad_request, conflict, not_found
from pumphouse.devcloud.network_api import BEFORE_CREATE, COLLECTIONS, Call, Collection
from pumphouse.devcloud.services import NETWORK

DEFAULTS: Mapping[str, int] = MappingProxyType(
    {
        "floatingip": 50,
        "network": 100,
        "port": 500,
        "rbac_policy": 10,
        "router": 10,
        "security_group": 10,
        "security_group_rule": 100,
        "subnet": 100,
        "subnetpool": -1,
        "trunk": -1,
    }
)
QUOTAS = NETWORK.table("network_quotas", label=("project_id",))


def limits(cloud: DevCloud, project: str) -> dict[str, int]:
    """A project's limits; -1 is none."""
    row = cloud.table(QUOTAS).get(project)
    return {**DEFAULTS, **(row["limits"] if row else {})}


def used(cloud: DevCloud, resource: str, project: str) -> int:
    """How many a project has."""
    plurals = {kind.singular: kind for kind in COLLECTIONS.values()}
    return plurals[resource].table(cloud).count("project_id", project)


def check(call: Call, collection: Collection, project: str) -> None:
    """409 OverQuota when one more is too many."""
    resource = collection.singular
    if resource not in DEFAULTS or not project:
        return
    limit = limits(call.cloud, project)[resource]
    if 0 <= limit <= collection.table(call.cloud).count("project_id", project):
        raise conflict(f"Quota exceeded for resources: ['{resource}'].", type="OverQuota")


BEFORE_CREATE.append(check)


@NETWORK.route("GET", "/quotas", role="admin", policy="get_quota")
def list_quotas(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    """The projects whose limits were ever set."""
    rows = [
        {**limits(cloud, row["id"]), "project_id": row["id"], "tenant_id": row["id"]}
        for row in cloud.table(QUOTAS)
    ]
    return {"quotas": rows}


@NETWORK.route("GET", "/quotas/{project_id}")
def show_quota(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    """The limits of a project; one's own, or for an admin any."""
    _check_reader(request, project_id)
    return {"quota": limits(cloud, project_id)}


@NETWORK.route("GET", "/quotas/{project_id}/default")
def show_default(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    """The limits that a project has from the start."""
    _check_reader(request, project_id)
    return {"quota": dict(DEFAULTS)}


@NETWORK.route("GET", "/quotas/{project_id}/details")
@NETWORK.route("GET", "/quotas/{project_id}/details.json")
def show_details(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    """Limits with what is used."""
    _check_reader(request, project_id)
    return {
        "quota": {
            resource: {"limit": limit, "used": used(cloud, resource, project_id), "reserved": 0}
            for resource, limit in limits(cloud, project_id).items()
        }
    }


@NETWORK.route("PUT", "/quotas/{project_id}", role="admin", policy="update_quota")
def update_quota(cloud: DevCloud, request: ApiRequest, project_id: str) -> dict[str, Any]:
    """Set limits; without `force` none below what is used."""
    wanted = dict(request.member("quota"))
    force = wanted.pop("force", False)
    wanted.pop("check_limit", None)
    wanted.pop("tenant_id", None)
    wanted.pop("project_id", None)
    unknown = sorted(set(wanted) - set(DEFAULTS))
    if unknown:
        raise bad_request(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    for resource, value in wanted.items():
        if not str(value).lstrip("-").isdigit() or int(value) < -1:
            raise bad_request(f"Invalid input for {resource}. Reason: '{value}' is not a valid limit.")
        in_use = used(cloud, resource, project_id)
        if not force and 0 <= int(value) < in_use:
            raise bad_request(
                f"Quota limit {value} for {resource} must be greater than or equal to already used {in_use}"
            )
    table = cloud.table(QUOTAS)
    row = table.get(project_id) or table.add({"id": project_id, "project_id": project_id, "limits": {}})
    row["limits"].update({resource: int(value) for resource, value in wanted.items()})
    return {"quota": limits(cloud, project_id)}


@NETWORK.route("DELETE", "/quotas/{project_id}", status=204, role="admin", policy="delete_quota")
def delete_quota(cloud: DevCloud, request: ApiRequest, project_id: str) -> None:
    """Back to the defaults."""
    if cloud.table(QUOTAS).remove(project_id) is None:
        raise not_found(f"Quota for tenant {project_id} could not be found.", type="TenantQuotaNotFound")


def _check_reader(request: ApiRequest, project_id: str) -> None:
    if not request.token.is_admin and request.token.project_id != project_id:
        raise denied(NETWORK, "get_quota")
