"""Nova: servers that change their host, alive, cold, or from one that is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pumphouse.devcloud.compute_model import HOSTS, SERVER_GROUPS, SERVERS, only_admin
from pumphouse.devcloud.compute_network import rebind
from pumphouse.devcloud.compute_states import check_state
from pumphouse.devcloud.errors import bad_request, conflict
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

_RUNNING, _SHUTDOWN = 1, 4
_NO_HOST = "No valid host was found. There are not enough hosts available."


def migrate_live(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    """``os-migrateLive``. From 2.34 on a host is looked for later, and nobody is told that there is none."""
    only_admin(request, "os-migrate-server:migrate_live")
    check_state(request, row, "os-migrateLive", ("active", "paused"))
    if want.get("block_migration") == "auto" and not request.at_least(2, 25):
        raise bad_request("Invalid input for field/attribute block_migration. Value: auto.")
    here = cloud.table(HOSTS).first(host=row["host"])
    if here is not None and here["state"] != "up":
        raise bad_request(f"Compute service of {row['host']} is unavailable at this time.")
    host = _target(cloud, row, want.get("host"))
    if host is None and not request.at_least(2, 34):
        raise bad_request(_NO_HOST)
    row["task_state"] = "migrating"
    state = (row["vm_state"], row["power_state"])
    cloud.later("resume", lambda: _moved(cloud, row["id"], "migrating", host or row["host"], *state))
    return Response(202)


def evacuate(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    """``evacuate``: build it again elsewhere, as its host is down."""
    only_admin(request, "os-evacuate")
    check_state(request, row, "evacuate", ("active", "stopped", "error"))
    source = cloud.table(HOSTS).first(host=row["host"])
    if source is None or source["state"] == "up":
        raise conflict(f"Compute service of {row['host']} is still in use.")
    host = _target(cloud, row, want.get("host"))
    if host is None:
        raise bad_request(_NO_HOST)
    row["task_state"] = "rebuilding"
    stopped = row["vm_state"] == "stopped"
    states = ("stopped", _SHUTDOWN) if stopped else ("active", _RUNNING)
    cloud.later("build", lambda: _moved(cloud, row["id"], "rebuilding", host, *states))
    return Response(200, None if request.at_least(2, 14) else {"adminPass": row["id"][:12]})


def migrate(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    """``migrate``: it stops, is copied, and waits on the other host for a confirmation."""
    only_admin(request, "os-migrate-server:migrate")
    check_state(request, row, "migrate", ("active", "stopped"))
    if want and not request.at_least(2, 56):
        raise bad_request("Additional properties are not allowed ('host' was unexpected)")
    host = _target(cloud, row, want.get("host"))
    if host is None:
        raise bad_request(_NO_HOST)
    row |= {"task_state": "resize_migrating", "moved_from": row["host"], "moved_as": row["vm_state"]}
    power = row["power_state"]
    cloud.later("resume", lambda: _moved(cloud, row["id"], "resize_migrating", host, "resized", power))
    return Response(202)


def confirm(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    """``confirmResize``: it is as it was before, and its old place is given up."""
    check_state(request, row, "confirmResize", ("resized",))
    cloud.later("power", lambda: _settled(cloud, row["id"], row["host"]))
    return Response(204)


def revert(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    """``revertResize``: it goes back to where it came from."""
    check_state(request, row, "revertResize", ("resized",))
    row["task_state"] = "resize_reverting"
    cloud.later("power", lambda: _settled(cloud, row["id"], row["moved_from"]))
    return Response(202)


def _settled(cloud: DevCloud, server_id: str, host: str) -> None:
    row = cloud.table(SERVERS).get(server_id)
    if row is not None and row["vm_state"] == "resized":
        _moved(cloud, server_id, row["task_state"], host, row.pop("moved_as"), row["power_state"])
        row.pop("moved_from")


def _target(cloud: DevCloud, row: Row, wanted: str | None) -> str | None:
    """The host to move to: the one that was named, or another that is up and enabled and suits; or None."""
    if wanted == row["host"]:
        raise bad_request(f"Migration to the same host {wanted} is not allowed.")
    group = cloud.table(SERVER_GROUPS).get(row["group_id"] or "")
    others = [cloud.table(SERVERS)[one]["host"] for one in group["members"]] if group else []
    for host in cloud.table(HOSTS):
        name = str(host["host"])
        if wanted is not None:
            if name == wanted and host["state"] == "up":
                return name
            continue
        if name == row["host"] or host["state"] != "up" or host["status"] != "enabled":
            continue
        if row["pinned_zone"] not in (None, host["zone"]):
            continue
        if group is not None and group["policy"] == "anti-affinity" and name in others:
            continue
        if group is not None and group["policy"] == "affinity" and len(others) > 1:
            continue
        return name
    if wanted is not None:
        raise bad_request(f"Compute host {wanted} could not be found.")
    return None


def _moved(
    cloud: DevCloud, server_id: str, task: str | None, host: str, vm_state: str, power_state: int
) -> None:
    row = cloud.table(SERVERS).get(server_id)
    if row is None or row["task_state"] != task:
        return
    cloud.table(SERVERS).update(server_id, host=host)
    rebind(cloud, row)
    row |= {"vm_state": vm_state, "task_state": None, "power_state": power_state, "updated_at": cloud.now()}
    if vm_state != "error":
        row["fault"] = None
