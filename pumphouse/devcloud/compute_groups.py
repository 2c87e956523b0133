"""Nova: server groups."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.compute_model import SERVER_GROUPS, flag, text
from pumphouse.devcloud.compute_quotas import limits_of
from pumphouse.devcloud.errors import bad_request, forbidden, not_found
from pumphouse.devcloud.services import COMPUTE
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

_POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


def _view(cloud: DevCloud, request: ApiRequest, row: Row) -> Row:
    shown = {"id": row["id"], "name": row["name"], "members": row["members"]}
    if request.at_least(2, 64):
        shown |= {"policy": row["policy"], "rules": row["rules"]}
    else:
        shown |= {"policies": [row["policy"]], "metadata": {}}
    if request.at_least(2, 13):
        shown |= {"project_id": row["project_id"], "user_id": row["user_id"]}
    return shown


@COMPUTE.route("GET", "/os-server-groups")
def list_server_groups(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    every = flag(request, "all_projects") and request.token.is_admin
    by = None if every else ("project_id", request.token.project_id)
    start = int(request.arg("offset") or 0)
    limit = int(request.arg("limit") or 1000)
    rows = islice(cloud.table(SERVER_GROUPS).walk(by=by), start, start + limit)
    return {"server_groups": [_view(cloud, request, row) for row in rows]}


@COMPUTE.route("POST", "/os-server-groups", policy="os-server-groups:create")
def create_server_group(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    want = request.member("server_group")
    if request.at_least(2, 64):
        policy, rules = want.get("policy"), want.get("rules") or {}
    else:
        policies = want.get("policies")
        policy, rules = (policies[0] if isinstance(policies, list) and len(policies) == 1 else None), {}
    if policy not in _POLICIES or (policy.startswith("soft") and not request.at_least(2, 15)):
        raise bad_request(f"Invalid input for field/attribute policy. Value: {policy}.")
    if rules and policy != "anti-affinity":
        raise bad_request("Only anti-affinity policy supports rules.")
    project_id = request.token.project_id
    limit = limits_of(cloud, project_id)["server_groups"]
    if 0 <= limit <= cloud.table(SERVER_GROUPS).count("project_id", project_id):
        raise forbidden("Quota exceeded, too many server groups.")
    row = {
        "id": cloud.new_id(),
        "name": text(want, "name", required=True),
        "policy": policy,
        "rules": rules,
        "members": [],
        "project_id": project_id,
        "user_id": request.token.user_id,
    }
    return {"server_group": _view(cloud, request, cloud.table(SERVER_GROUPS).add(row))}


def find_group(cloud: DevCloud, request: ApiRequest, group_id: str) -> Row:
    """A group that the caller may see; 404 else."""
    row = cloud.table(SERVER_GROUPS).get(group_id)
    if row is None or (row["project_id"] != request.token.project_id and not request.token.is_admin):
        raise not_found(f"Instance group {group_id} could not be found.")
    return row


@COMPUTE.route("GET", "/os-server-groups/{group_id}")
def show_server_group(cloud: DevCloud, request: ApiRequest, group_id: str) -> dict[str, Any]:
    return {"server_group": _view(cloud, request, find_group(cloud, request, group_id))}


@COMPUTE.route("DELETE", "/os-server-groups/{group_id}", policy="os-server-groups:delete")
def delete_server_group(cloud: DevCloud, request: ApiRequest, group_id: str) -> None:
    find_group(cloud, request, group_id)
    cloud.table(SERVER_GROUPS).remove(group_id)
