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
from pumphouse.service.operations import WantedPlan
from pumphouse.store.operations import OperationKind, OperationRecord
from pumphouse.store.states import OperationState

TITLES: Final = {
    OperationKind.REFRESH: "Reading a cloud",
    OperationKind.PLAN: "Making a plan",
    OperationKind.MIGRATE: "Beginning a migration",
    OperationKind.FINALIZABLE: "Looking for what could be removed for good",
    OperationKind.FINALIZE: "Removing for good",
    OperationKind.EVACUATE: "Emptying a hypervisor",
    OperationKind.PLAN_WAVE: "Planning a wave",
    OperationKind.RUN_WAVE: "Carrying out a wave",
    OperationKind.ROLLBACK_WAVE: "Taking back a wave",
}
NOT_DONE: Final = {
    OperationKind.REFRESH: "The cloud was not read.",
    OperationKind.PLAN: "No plan was made.",
    OperationKind.MIGRATE: "No migration has begun.",
    OperationKind.FINALIZABLE: "It could not be seen.",
    OperationKind.FINALIZE: "It could not be removed.",
    OperationKind.EVACUATE: "It could not be emptied.",
    OperationKind.PLAN_WAVE: "No wave was planned.",
    OperationKind.RUN_WAVE: "The wave could not be carried out.",
    OperationKind.ROLLBACK_WAVE: "The wave could not be taken back.",
}
"""What is said first of one that has failed."""
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
    """The path of what it has made, or is making where that can be watched; None before that."""
    watched = record.kind.long and record.state is not OperationState.FAILED
    if record.state is not OperationState.DONE and not watched:
        return None
    finalizes = record.kind in {OperationKind.FINALIZABLE, OperationKind.FINALIZE}
    for endpoint, name in (
        ("show_evacuation", "evacuation_id"),
        ("show_wave", "wave_id"),
        ("show_finalizable" if finalizes else "show_migration", "migration_id"),
        ("show_plan", "plan_id"),
    ):
        if (id := getattr(record, name)) is not None:
            return url_for(f"dashboard.{endpoint}", **{name: id})
    if record.kind is OperationKind.REFRESH:
        return url_for("dashboard.show_resources", cloud=record.cloud)
    return None


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
    return {
        "operation": record,
        "asked": asked,
        "clouds": _clouds(record, asked),
        "only_reads": record.kind.only_reads,
        "types": len(service().registry),
        "titles": TITLES,
        "not_done": NOT_DONE,
    }


def _clouds(record: OperationRecord, asked: WantedPlan | None) -> Sequence[str]:
    """The clouds that are read for it, as far as that is known."""
    if record.kind is OperationKind.EVACUATE:
        return ()
    if record.cloud is not None:
        return (record.cloud,)
    return (asked.source, asked.destination) if asked is not None else tuple(record.progress)
