"""Nova: what has been done to a server (``os-instance-actions``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pumphouse.devcloud.compute_model import find_server, isotime
from pumphouse.devcloud.services import COMPUTE
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.cloud import DevCloud
    from pumphouse.devcloud.dispatch import ApiRequest

_NAMES = {"os-start": "start", "os-stop": "stop", "os-migrateLive": "live-migration"}
_UNTOLD = frozenset({"os-resetState", "os-getConsoleOutput", "addSecurityGroup", "removeSecurityGroup"})


def note(cloud: DevCloud, request: ApiRequest, row: Row, action: str) -> None:
    """Write an action down, unless Nova keeps no record of its kind."""
    if action not in _UNTOLD:
        done = {
            "action": _NAMES.get(action, action),
            "request_id": request.request_id,
            "user_id": request.token.user_id,
            "project_id": request.token.project_id,
            "start_time": cloud.now(),
        }
        row["actions"] = [*row.get("actions", ()), done]


@COMPUTE.route("GET", "/servers/{server_id}/os-instance-actions", policy="os-instance-actions:list")
def list_actions(cloud: DevCloud, request: ApiRequest, server_id: str) -> dict[str, Any]:
    """The newest first."""
    row = find_server(cloud, request, server_id)
    return {"instanceActions": [_view(request, server_id, one) for one in reversed(row.get("actions", ()))]}


def _view(request: ApiRequest, server_id: str, done: Row) -> Row:
    began = f"{str(isotime(done['start_time'])).removesuffix('Z')}.000000"
    shown = {**done, "instance_uuid": server_id, "start_time": began, "message": None}
    if request.at_least(2, 58):
        shown["updated_at"] = began
    return shown
