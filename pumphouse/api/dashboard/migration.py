"""One migration, live: how it stands, what can be done with it, its graph and its log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, jsonify, render_template, request, url_for

from pumphouse.api.auth import allow, allowed
from pumphouse.api.dashboard import kept, log
from pumphouse.api.dashboard.members import error_of
from pumphouse.api.dashboard.pages import blueprint, page, part
from pumphouse.api.dashboard.situation import Situation
from pumphouse.api.documents import Paging
from pumphouse.api.paging import page_of
from pumphouse.api.routes import service
from pumphouse.api.v1.actions import WISHES, WITH_JOBS, MigrationAction
from pumphouse.store.migrations import MigrationRecord, Request
from pumphouse.store.states import FINALIZABLE, MigrationState
from pumphouse.store.units import UnitRecord
from pumphouse.store.wishes import ALLOWED

_MOST_LISTED: Final = 12
PER_PAGE: Final = 100
PARTS: Final = ("head", "progress", "running", "types", "log")


@blueprint.get("/migrations/<migration_id>")
@allow("migrations:read")
def show_migration(migration_id: str) -> Response:
    """The page."""
    record = service().migration(migration_id)
    last = service().store.events.last()
    return page(
        "migration.html",
        **_values(record),
        last=last,
        events=url_for("events.list_migration_events", migration_id=record.id, after=last),
    )


@blueprint.get("/migrations/<migration_id>/live")
@allow("migrations:read")
def live_migration(migration_id: str) -> Response:
    """What of the page changes; and how far each resource has come, for the graph."""
    record = service().migration(migration_id)
    last = service().store.events.last()
    values = _values(record)
    parts = {name: render_template(f"migration_{name}.html", **values) for name in PARTS}
    return jsonify(parts=parts, last=last, plan=record.plan_id, letters=values["situation"].letters)


@blueprint.get("/migrations/<migration_id>/log")
@allow("migrations:read")
def show_log(migration_id: str) -> Response:
    """More of the log, for the end of what is shown."""
    record = service().migration(migration_id)
    found = _log(record, service().units(record.id))
    return part(render_template("migration_log.html", record=record, **found))


@blueprint.get("/migrations/<migration_id>/units")
@allow("migrations:read")
def show_units(migration_id: str) -> Response:
    """Its units: what is done, and undone, as a whole."""
    record = service().migration(migration_id)
    units = service().units(record.id)
    state = request.args.get("state", "")
    rows, marker = page_of(
        [one for one in units if state in {"", one.state}],
        Paging(limit=PER_PAGE, marker=request.args.get("marker") or None),
        key=lambda one: one.name,
    )
    counts = Counter(one.state for one in units)
    return page(
        "units.html", record=record, rows=rows, marker=marker, state=state, counts=counts, error_of=error_of
    )


@blueprint.get("/migrations/<migration_id>/resources/<int:number>")
@allow("migrations:read")
def show_resource(migration_id: str, number: int) -> Response:
    """One resource of the graph, by its place in the plan."""
    found = situation(service().migration(migration_id))
    member = found.members[number] if number < len(found.members) else None
    return part(render_template("resource.html", member=member, situation=found))


def situation(record: MigrationRecord) -> Situation:
    """How it stands now. All who watch it are given the same until something happens."""
    app = service()
    key = (record.id, record.plan_id, record.state, app.store.events.last())

    def make() -> Situation:
        plan = kept.shown(record.plan_id).plan
        return Situation(record, plan, app.steps(record.id), app.units(record.id), now=datetime.now(UTC))

    return kept.situations().get(key, make)


def _values(record: MigrationRecord) -> dict[str, Any]:
    found = situation(record)
    return {
        "record": record,
        "situation": found,
        "at_work": record.at_work(datetime.now(UTC)),
        "actions": actions(record),
        "error_of": error_of,
        "most": _MOST_LISTED,
        "finalizable": record.state in FINALIZABLE and allowed("migrations:finalizable"),
        "has_report": service().store.migrations.report(record.id) is not None,
        "queue": service().config.api.migrations,
        "jobs": service().config.engine.jobs,
        "with_jobs": WITH_JOBS,
        **_log(record, found.units),
    }


def _log(record: MigrationRecord, units: Sequence[UnitRecord]) -> Mapping[str, Any]:
    group = request.args.get("group", "all")
    text = request.args.get("text", "")
    found = log.read(
        service().store.events,
        record.id,
        {unit.name: unit.kind for unit in units},
        group=group if group in log.FILTERS else "all",
        text=text,
        before=request.args.get("before", type=int),
    )
    return {"log": found, "log_filters": log.FILTERS, "group": group, "text": text}


def actions(record: MigrationRecord) -> list[MigrationAction]:
    """What can be asked of it now, and what this user may ask."""
    if record.state.active and record.at_work(datetime.now(UTC)):
        paused = record.request or record.state is MigrationState.CANCELLING
        found = [] if paused else [MigrationAction.PAUSE]
        if record.state is MigrationState.RUNNING and record.request is not Request.CANCEL:
            found.append(MigrationAction.CANCEL)
    elif record.wanted is not None:
        found = [MigrationAction.PAUSE]
    else:
        found = [name for name, wish in WISHES.items() if record.state in ALLOWED[wish]]
        if not record.prepared:
            found = [one for one in found if one is not MigrationAction.CUTOVER]
        if record.state is MigrationState.PLANNED:
            found.append(MigrationAction.CANCEL)
        if record.state is MigrationState.ROLLED_BACK or record.finalized:
            found = [one for one in found if one is not MigrationAction.ROLLBACK]  # nothing can be taken back
    return [one for one in found if allowed(f"migrations:{one}")]
