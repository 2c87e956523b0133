"""Nova: the actions of a server (``POST /servers/{id}/action``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pumphouse.devcloud import compute_moves
from pumphouse.devcloud.compute_history import note
from pumphouse.devcloud.compute_images import create_image, offload, shelve_image, unshelve
from pumphouse.devcloud.compute_model import SERVERS, find_server, only_admin
from pumphouse.devcloud.compute_network import set_groups
from pumphouse.devcloud.compute_states import check_state
from pumphouse.devcloud.errors import bad_request
from pumphouse.devcloud.http import Response
from pumphouse.devcloud.services import COMPUTE
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

RUNNING, PAUSED, SHUTDOWN = 1, 3, 4


@dataclass(frozen=True, kw_only=True)
class Change:
    """An action that ends in another state.

    It takes the ``states``, shows ``task`` on the way, and lasts the seconds of ``kind``.
    """

    name: str
    states: tuple[str, ...]
    task: str
    kind: str
    vm_state: str
    power_state: int


_CHANGES: Mapping[str, Change] = {
    "suspend": Change(
        name="suspend",
        states=("active",),
        task="suspending",
        kind="suspend",
        vm_state="suspended",
        power_state=SHUTDOWN,
    ),
    "resume": Change(
        name="resume",
        states=("suspended",),
        task="resuming",
        kind="resume",
        vm_state="active",
        power_state=RUNNING,
    ),
    "pause": Change(
        name="pause",
        states=("active",),
        task="pausing",
        kind="suspend",
        vm_state="paused",
        power_state=PAUSED,
    ),
    "unpause": Change(
        name="unpause",
        states=("paused",),
        task="unpausing",
        kind="resume",
        vm_state="active",
        power_state=RUNNING,
    ),
    "os-stop": Change(
        name="stop",
        states=("active", "error"),
        task="powering-off",
        kind="power",
        vm_state="stopped",
        power_state=SHUTDOWN,
    ),
    "os-start": Change(
        name="start",
        states=("stopped",),
        task="powering-on",
        kind="power",
        vm_state="active",
        power_state=RUNNING,
    ),
    "rescue": Change(
        name="rescue",
        states=("active", "stopped", "error"),
        task="rescuing",
        kind="power",
        vm_state="rescued",
        power_state=RUNNING,
    ),
    "unrescue": Change(
        name="unrescue",
        states=("rescued",),
        task="unrescuing",
        kind="power",
        vm_state="active",
        power_state=RUNNING,
    ),
}
_ANY_DISK = ("active", "stopped", "paused", "suspended")


@COMPUTE.route("POST", "/servers/{server_id}/action", policy="servers:action")
def act(cloud: DevCloud, request: ApiRequest, server_id: str) -> Response:
    """The body has one key, the action's name."""
    body = request.json_object()
    row = find_server(cloud, request, server_id)
    name = next(iter(body), "")
    if len(body) != 1 or (name not in _CHANGES and name not in _OTHERS):
        raise bad_request(f"There is no such action: {name}")
    if name in _CHANGES:
        response = _begin(cloud, request, row, _CHANGES[name])
    else:
        response = _OTHERS[name](cloud, request, row, body[name] or {})
    note(cloud, request, row, name)
    return response


def _begin(cloud: DevCloud, request: ApiRequest, row: Row, change: Change) -> Response:
    check_state(request, row, change.name, change.states)
    row["task_state"] = change.task
    cloud.later(
        change.kind, lambda: _finish(cloud, row["id"], change.task, change.vm_state, change.power_state)
    )
    return Response(202)


def _finish(cloud: DevCloud, server_id: str, task: str, vm_state: str, power_state: int) -> None:
    row = cloud.table(SERVERS).get(server_id)
    if row is None or row["task_state"] != task:
        return
    row |= {"vm_state": vm_state, "task_state": None, "power_state": power_state, "updated_at": cloud.now()}
    if vm_state != "error":
        row["fault"] = None


def _reboot(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    hard = str(want.get("type", "")).upper() == "HARD"
    states = (*_ANY_DISK, "error", "rescued") if hard else ("active",)
    check_state(request, row, "reboot", states)
    task = row["task_state"] = "rebooting_hard" if hard else "rebooting"
    cloud.later("power", lambda: _finish(cloud, row["id"], task, "active", RUNNING))
    return Response(202)


def _lock(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    if want.get("locked_reason") is not None and not request.at_least(2, 73):
        raise bad_request("Additional properties are not allowed ('locked_reason' was unexpected)")
    row |= {
        "locked": True,
        "locked_by_admin": request.token.is_admin,
        "locked_reason": want.get("locked_reason"),
    }
    return Response(202)


def _unlock(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    if row["locked"] and row.get("locked_by_admin"):
        only_admin(request, "os-lock-server:unlock:unlock_override")
    row |= {"locked": False, "locked_by_admin": False, "locked_reason": None}
    return Response(202)


def _reset_state(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    only_admin(request, "os-admin-actions:reset_state")
    state = want.get("state")
    if state not in ("active", "error"):
        raise bad_request(f"Invalid input for field/attribute state. Value: {state}.")
    row |= {"vm_state": state, "task_state": None}
    return Response(202)


def _shelve(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    check_state(request, row, "shelve", _ANY_DISK)
    row["task_state"] = "shelving"
    owner = request.token.project_id or row["project_id"]
    cloud.later("shelve", lambda: _shelved(cloud, row["id"], owner=owner))
    return Response(202)


def _shelved(cloud: DevCloud, server_id: str, *, owner: str) -> None:
    """SHELVED, and soon SHELVED_OFFLOADED, as with Nova's ``shelved_offload_time`` of 0."""
    row = cloud.table(SERVERS).get(server_id)
    if row is None or row["task_state"] != "shelving":
        return
    shelve_image(cloud, row, owner=owner)
    row |= {"vm_state": "shelved", "task_state": None, "power_state": SHUTDOWN, "updated_at": cloud.now()}
    cloud.later("shelve", lambda: offload(cloud, server_id))


def _shelve_offload(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    only_admin(request, "os-shelve:shelve_offload")
    check_state(request, row, "shelveOffload", ("shelved",))
    offload(cloud, row["id"])
    return Response(202)


def _unshelve(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    check_state(request, row, "unshelve", ("shelved", "shelved_offloaded"))
    row["task_state"] = "unshelving"
    cloud.later("shelve", lambda: unshelve(cloud, row["id"]))
    return Response(202)


def _create_image(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    check_state(request, row, "createImage", _ANY_DISK)
    name = want.get("name")
    if not isinstance(name, str) or not name.strip():
        raise bad_request("Invalid input for field/attribute name. 'name' is a required property")
    image_id = create_image(
        cloud, row, name, want.get("metadata") or {}, owner=request.token.project_id or ""
    )
    if request.at_least(2, 45):
        return Response(202, {"image_id": image_id})
    return Response(202, None, {"Location": f"{cloud.url}/image/v2/images/{image_id}"})


def _add_group(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    set_groups(cloud, row, str(want.get("name")), add=True)
    return Response(202)


def _remove_group(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    set_groups(cloud, row, str(want.get("name")), add=False)
    return Response(202)


def _console(cloud: DevCloud, request: ApiRequest, row: Row, want: Row) -> Response:
    check_state(request, row, "get_console_output", (*_ANY_DISK, "rescued"))
    return Response(200, {"output": f"{row['hostname']} login: \n"})


_OTHERS: Mapping[str, Callable[[DevCloud, ApiRequest, Row, Row], Response]] = {
    "reboot": _reboot,
    "lock": _lock,
    "unlock": _unlock,
    "os-resetState": _reset_state,
    "shelve": _shelve,
    "shelveOffload": _shelve_offload,
    "unshelve": _unshelve,
    "createImage": _create_image,
    "os-migrateLive": compute_moves.migrate_live,
    "evacuate": compute_moves.evacuate,
    "migrate": compute_moves.migrate,
    "confirmResize": compute_moves.confirm,
    "revertResize": compute_moves.revert,
    "addSecurityGroup": _add_group,
    "removeSecurityGroup": _remove_group,
    "os-getConsoleOutput": _console,
}
