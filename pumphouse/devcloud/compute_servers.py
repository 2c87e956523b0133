"""Nova: servers are created, listed, shown, changed and deleted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pumphouse.devcloud import compute_boot as boot
from pumphouse.devcloud.compute_history import note
from pumphouse.devcloud.compute_images import forget_shelved
from pumphouse.devcloud.compute_model import SERVERS, find_server, flag, only_admin, self_links
from pumphouse.devcloud.compute_network import group_ids, plug, wanted_interfaces
from pumphouse.devcloud.compute_quotas import check_quota
from pumphouse.devcloud.compute_view import STATUSES, basic_view, server_view, status_of
from pumphouse.devcloud.compute_volumes import blocks_of, pending, reserve_blocks
from pumphouse.devcloud.errors import Fault, bad_request, conflict
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.paging import Where, links, page, sort_of
from pumphouse.devcloud.services import COMPUTE
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

RETRY_SECONDS = 0.05


@COMPUTE.route("POST", "/servers", status=202, policy="servers:create")
def create_server(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    want = request.member("server")
    body = request.json_object()
    hints = body.get("os:scheduler_hints") or body.get("OS-SCH-HNT:scheduler_hints") or {}
    boot.check_fields(request, want)
    boot.check_names(want, request)
    count = max(int(want.get("min_count") or 1), int(want.get("max_count") or 1))
    template = _template(cloud, request, want)
    blocks = blocks_of(cloud, request, want)
    project_id = template["project_id"]
    interfaces = wanted_interfaces(cloud, request, want.get("networks"), project_id)
    groups = group_ids(cloud, want.get("security_groups"), project_id)
    group = boot.group_for(cloud, request, hints)
    flavor = template["flavor"]
    check_quota(
        cloud,
        project_id,
        {"instances": count, "cores": count * flavor["vcpus"], "ram": count * flavor["ram"]},
    )
    rows = []
    for index in range(count):
        name = want["name"] if count == 1 else f"{want['name']}-{index + 1}"
        row = _start(
            cloud, {**template, "name": name, "launch_index": index}, blocks, interfaces, groups, group
        )
        note(cloud, request, row, "create")
        rows.append(row)
    if want.get("return_reservation_id"):
        return {"reservation_id": rows[0]["reservation_id"]}
    return _created(request, want, rows[0])


def _created(request: ApiRequest, want: Row, row: Row) -> dict[str, Any]:
    shown = {
        "id": row["id"],
        "links": self_links(request, "servers", row["id"]),
        "OS-DCF:diskConfig": row["disk_config"],
        "security_groups": want.get("security_groups") or [{"name": "default"}],
        "adminPass": want.get("adminPass") or row["id"][:12],
    }
    return {"server": shown}


def _template(cloud: DevCloud, request: ApiRequest, want: Row) -> Row:
    """The row of the server, as far as it does not depend on what else is made for it."""
    flavor = boot.flavor_for(cloud, request, want.get("flavorRef"))
    image = None
    if want.get("imageRef"):
        image = boot.image_for(cloud, request, want["imageRef"], flavor, local=True)
    key = boot.keypair_for(cloud, request, want.get("key_name"))
    pinned, zone, host = boot.zone_for(cloud, request, want)
    now = cloud.now()
    kept = ("id", "name", "ram", "vcpus", "disk", "ephemeral", "swap", "extra_specs")
    return {
        "project_id": request.token.project_id,
        "user_id": request.token.user_id,
        "vm_state": "building",
        "task_state": "scheduling",
        "power_state": 0,
        "fault": None,
        "flavor": {name: flavor[name] for name in kept},
        "image_id": image["id"] if image else "",
        "root_device_name": "/dev/vda",
        "metadata": boot.check_metadata(want.get("metadata") or {}),
        "tags": sorted(set(want.get("tags") or [])),
        "description": want.get("description"),
        "hostname": want.get("hostname") or boot.hostname_of(want["name"]),
        "key_name": key["name"] if key else None,
        "user_data": boot.user_data_of(want),
        "config_drive": str(want.get("config_drive")).lower() in ("true", "1", "yes"),
        "availability_zone": zone,
        "pinned_zone": pinned,
        "host": host,
        "nics": [],
        "volumes": [],
        "group_id": None,
        "locked": False,
        "locked_reason": None,
        "access_ipv4": want.get("accessIPv4") or "",
        "access_ipv6": want.get("accessIPv6") or "",
        "disk_config": want.get("OS-DCF:diskConfig") or "MANUAL",
        "reservation_id": f"r-{cloud.new_hex()[:8]}",
        "created_at": now,
        "updated_at": now,
        "launched_at": None,
    }


def _start(
    cloud: DevCloud,
    template: Row,
    blocks: list[Row],
    interfaces: list[Row],
    groups: list[str] | None,
    group: Row | None,
) -> Row:
    """Put the server into its table, with its ports and volumes, and let it build."""
    row = {"id": cloud.new_id(), **template}
    placed = boot.place(cloud, row, group)
    cloud.table(SERVERS).add(row)
    if group is not None:
        row["group_id"] = group["id"]
        group["members"] = [*group["members"], row["id"]]
    try:
        for wanted in interfaces:
            plug(cloud, row, wanted, groups=groups)
        reserve_blocks(cloud, row, blocks)
    except Fault:
        boot.vanish(cloud, row["id"])
        raise
    row["task_state"] = "spawning"
    cloud.later("build", lambda: _build(cloud, row, placed=placed))
    return row


def _build(cloud: DevCloud, row: Row, *, placed: bool) -> None:
    if pending(cloud, row):
        cloud.later("volume", lambda: _build(cloud, row, placed=placed), at_least=RETRY_SECONDS)
    else:
        boot.build(cloud, row["id"], placed=placed)


# Lists


@COMPUTE.route("GET", "/servers", policy="servers:index")
def list_servers(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows, following = _listed(cloud, request, "/servers")
    return {"servers": [basic_view(request, row) for row in rows], **following}


@COMPUTE.route("GET", "/servers/detail", policy="servers:detail")
def list_server_details(cloud: DevCloud, request: ApiRequest) -> dict[str, Any]:
    rows, following = _listed(cloud, request, "/servers/detail")
    return {"servers": [server_view(cloud, request, row, detail=True) for row in rows], **following}


def _listed(cloud: DevCloud, request: ApiRequest, path: str) -> tuple[list[Row], dict[str, Any]]:
    every = flag(request, "all_tenants", "all_projects")
    if every:
        only_admin(request, "servers:index:get_all_tenants")
    project_id = request.token.project_id
    if every or request.token.is_admin:
        project_id = request.arg("project_id") or request.arg("tenant_id") or (None if every else project_id)
    by = ("project_id", project_id) if project_id else None
    tests = _tests(request)
    host = request.arg("host")
    if by is None and host and request.token.is_admin:
        by = ("host", host)
    rows, more = page(
        request,
        cloud.table(SERVERS),
        by=by,
        where=(lambda row: all(test(row) for test in tests)) if tests else None,
        sort=sort_of(request),
    )
    following = links(request, path, rows, more=more)
    return rows, {"servers_links": following} if following else {}


def _tests(request: ApiRequest) -> list[Where]:
    """The filters of a list. Those for admins are passed over for others, as Nova does."""
    tests: list[Where] = []
    fields = {"user_id": "user_id", "uuid": "id", "key_name": "key_name", "image": "image_id"}
    if request.token.is_admin or request.at_least(2, 83):
        fields |= {
            "availability_zone": "availability_zone",
            "vm_state": "vm_state",
            "task_state": "task_state",
        }
        fields |= {"reservation_id": "reservation_id"}
    if request.token.is_admin:
        fields |= {"host": "host", "node": "host"}
    for parameter, field in fields.items():
        value = request.arg(parameter)
        if value is not None:
            tests.append(_equals(field, value))
    tests += _special(request)
    return tests


def _equals(field: str, value: Any) -> Where:
    return lambda row: bool(row[field] == value)


def _tagged(wanted: set[str], check: Callable[[set[str], set[str]], bool]) -> Where:
    return lambda row: check(wanted, set(row["tags"]))


_TAG_FILTERS: Mapping[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda wanted, found: wanted <= found,
    "tags-any": lambda wanted, found: bool(wanted & found),
    "not-tags": lambda wanted, found: not wanted <= found,
    "not-tags-any": lambda wanted, found: not wanted & found,
}


def _special(request: ApiRequest) -> list[Where]:
    tests: list[Where] = []
    name, status, flavor = request.arg("name"), request.query.get("status"), request.arg("flavor")
    if name is not None:
        try:
            pattern = re.compile(name)
        except re.error as error:
            raise bad_request("Invalid filter: the name is no regular expression.") from error
        tests.append(lambda row: pattern.search(row["name"]) is not None)
    if status:
        wanted = {one.upper() for one in status}
        tests.append(lambda row: status_of(row) in wanted & STATUSES)
    if flavor is not None:
        tests.append(lambda row: row["flavor"]["id"] == flavor)
    if flag(request, "deleted"):
        tests.append(_equals("vm_state", "deleted"))  # none is: the deleted are not kept
    if request.at_least(2, 73) and "locked" in request.query:
        locked = flag(request, "locked")
        tests.append(lambda row: row["locked"] == locked)
    for parameter, check in _TAG_FILTERS.items():
        value = request.arg(parameter)
        if value is not None and request.at_least(2, 26):
            tests.append(_tagged(set(value.split(",")), check))
    return tests


# One server


@COMPUTE.route("GET", "/servers/{server_id}", policy="servers:show")
def show_server(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    return {"server": server_view(cloud, request, find_server(cloud, request, server_id))}


@COMPUTE.route("PUT", "/servers/{server_id}", policy="servers:update")
def update_server(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    row = find_server(cloud, request, server_id)
    want = request.member("server")
    changes: Row = {}
    if "name" in want:
        boot.check_names({"name": want["name"]}, request)
        changes["name"] = want["name"]
    for field, key, since in (
        ("accessIPv4", "access_ipv4", (2, 1)),
        ("accessIPv6", "access_ipv6", (2, 1)),
        ("OS-DCF:diskConfig", "disk_config", (2, 1)),
        ("description", "description", (2, 19)),
        ("hostname", "hostname", (2, 90)),
    ):
        if field in want:
            if request.microversion < since:
                raise bad_request(f"Additional properties are not allowed ('{field}' was unexpected)")
            changes[key] = want[field]
    cloud.table(SERVERS).update(server_id, changes, updated_at=cloud.now())
    return {"server": server_view(cloud, request, row)}


@COMPUTE.route("DELETE", "/servers/{server_id}", policy="servers:delete")
def delete_server(cloud: DevCloud, request: ApiRequest, server_id: str) -> Response:
    row = find_server(cloud, request, server_id)
    if row["locked"] and not request.token.is_admin:
        raise conflict(f"Instance {server_id} is locked")
    if row["task_state"] != "deleting":
        row["task_state"] = "deleting"
        forget_shelved(cloud, row)
        cloud.later("delete", lambda: boot.vanish(cloud, server_id))
    return Response(204)
