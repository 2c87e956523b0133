"""What was asked for and takes more than a moment: how far it is, and then the way to what it has made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Response, jsonify, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from pumphouse.api.auth import allow, allowed
from pumphouse.api.dashboard.pages import blueprint, page
from pumphouse.api.routes import service
from pumphouse.store.operations import OperationKind, OperationRecord
from pumphouse.store.states import OperationState

TITLES: Final = {
    OperationKind.REFRESH: "Reading a cloud",
    OperationKind.PLAN: "Making a plan",
    OperationKind.MIGRATE: "Beginning a migration",
    OperationKind.FINALIZABLE: "Looking for what could be removed for good",
    OperationKind.FINALIZE: "Removing for good",
}
_SHOWN_FOR: Final = timedelta(hours=12)
"""How long those that failed are shown in listings."""
_MOST: Final = 20


@blueprint.get("/operations/<operation_id>")
@allow("operations:read")
def show_operation(operation_id: str) -> AnyResponse:
    """The page; of one that is done, what it has made."""
    record = service().operations.get(operation_id)
    made = made_by(record)
    if made is not None:
        return redirect(made, 303)
    return page("operation.html", **_values(record))


@blueprint.get("/operations/<operation_id>/live")
@allow("operations:read")
def live_operation(operation_id: str) -> Response:
    """What of the page changes; and where to go once it is done."""
    record = service().operations.get(operation_id)
    parts = {"state": render_template("operation_state.html", **_values(record))}
    return jsonify(parts=parts, goto=made_by(record), ended=record.state.ended)


def made_by(record: OperationRecord) -> str | None:
    """The path of what it has made; None before that."""
    if record.state is not OperationState.DONE:
        return None
    if record.migration_id is not None:
        return url_for("dashboard.show_migration", migration_id=record.migration_id)
    if record.plan_id is not None:
        return url_for("dashboard.show_plan", plan_id=record.plan_id)
    return url_for("dashboard.show_resources", cloud=record.cloud)


def noteworthy() -> Sequence[OperationRecord]:
    """The newest that have not ended, or have failed not long ago; none if the user may not see them."""
    if not allowed("operations:read"):
        return ()
    since = datetime.now(UTC) - _SHOWN_FOR
    return [
        one
        for one in service().operations.list(limit=_MOST)
        if not one.state.ended
        or (one.state is OperationState.FAILED and one.ended_at is not None and one.ended_at > since)
    ]


def _values(record: OperationRecord) -> Mapping[str, Any]:
    asked = service().operations.asked_plan(record.id)
    return {"operation": record, "asked": asked, "types": len(service().registry), "titles": TITLES}
