"""Hypervisors of a cloud: how they are, emptying one, and watching that."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from pumphouse import errors
from pumphouse.api.auth import allow, user
from pumphouse.api.dashboard.pages import blueprint, page, part
from pumphouse.api.routes import service
from pumphouse.api.v1.hosts import moves_of
from pumphouse.service.evacuating import AT_ONCE
from pumphouse.service.moves import MoveState
from pumphouse.store.evacuations import EvacuationRecord

_MOST: Final = 20
_AT_ONCE_MOST: Final = 256
PARTS: Final = ("head", "moves")


@blueprint.get("/clouds/<cloud>/hosts")
@allow("clouds:check")
def show_hosts(cloud: str) -> Response:
    """The page; the cloud is asked while it is shown."""
    service().clouds.require(cloud)
    found = service().evacuations(cloud=cloud, limit=_MOST)
    return page("hosts.html", cloud=cloud, evacuations=found)


@blueprint.get("/clouds/<cloud>/hosts/list")
@allow("clouds:check")
def list_hosts(cloud: str) -> Response:
    """The hypervisors, as a part of the page."""
    values: dict[str, Any] = {"cloud": cloud}
    try:
        values["hosts"] = service().hosts(cloud)
    except errors.CloudError as error:
        values["error"] = error
    return part(render_template("hosts_list.html", **values))


@blueprint.get("/clouds/<cloud>/hosts/<host>")
@allow("clouds:check")
def show_host(cloud: str, host: str) -> Response:
    """One hypervisor: what would be done with its servers to empty it."""
    service().clouds.require(cloud)
    return page("host.html", cloud=cloud, host=host, at_once=AT_ONCE)


@blueprint.get("/clouds/<cloud>/hosts/<host>/moves")
@allow("clouds:check")
def show_moves(cloud: str, host: str) -> Response:
    """Its servers, as a part of the page: the cloud is asked now."""
    values: dict[str, Any] = {"cloud": cloud, "host": host, "at_once": AT_ONCE}
    try:
        values["moves"] = service().plan_evacuation(cloud, host)
    except (errors.CloudError, errors.UnknownResource, errors.PlanBlocked) as error:
        values["error"] = error
    return part(render_template("host_moves.html", **values))


@blueprint.post("/clouds/<cloud>/hosts/<host>/evacuate")
@allow("evacuations:create")
def evacuate(cloud: str, host: str) -> AnyResponse:
    """Have it emptied, and go to where that is told."""
    at_once = request.form.get("at_once", default=AT_ONCE, type=int)
    if not 1 <= at_once <= _AT_ONCE_MOST:
        raise errors.InvalidRequest(f"servers at once must be from 1 to {_AT_ONCE_MOST}, not {at_once}")
    operation = service().operations.evacuate(
        cloud, host, at_once=at_once, partly="partly" in request.form, asked_by=user().name
    )
    return redirect(url_for("dashboard.show_operation", operation_id=operation.id), 303)


@blueprint.get("/evacuations/<evacuation_id>")
@allow("evacuations:read")
def show_evacuation(evacuation_id: str) -> Response:
    """An evacuation, live."""
    return page("evacuation.html", **_values(service().evacuation(evacuation_id)))


@blueprint.get("/evacuations/<evacuation_id>/live")
@allow("evacuations:read")
def live_evacuation(evacuation_id: str) -> Response:
    """What of the page changes."""
    record = service().evacuation(evacuation_id)
    values = _values(record)
    parts = {name: render_template(f"evacuation_{name}.html", **values) for name in PARTS}
    return jsonify(parts=parts, ended=record.state.ended)


def _values(record: EvacuationRecord) -> dict[str, Any]:
    moves = moves_of(record)
    away = {MoveState.MOVED, MoveState.GONE}
    return {"record": record, "moves": moves, "away": sum(one.state in away for one in moves)}
