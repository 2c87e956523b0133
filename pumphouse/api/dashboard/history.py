"""All migrations, newest first, with filters."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, render_template, request, url_for

from pumphouse.api.auth import allow
from pumphouse.api.dashboard.operations import TITLES, noteworthy
from pumphouse.api.dashboard.pages import blueprint, page
from pumphouse.api.paging import cut
from pumphouse.api.routes import service
from pumphouse.store.states import MigrationState

PER_PAGE = 50


@blueprint.get("/")
@allow("migrations:read")
def show_history() -> Response:
    """The page."""
    return page("history.html", **_found(), events=url_for("events.list_events", after=_last()))


@blueprint.get("/live")
@allow("migrations:read")
def live_history() -> Response:
    """What of the page changes: the listing."""
    return jsonify(parts={"list": render_template("history_list.html", **_found())}, last=_last())


def _last() -> int:
    return service().store.events.last()


def _found() -> dict[str, Any]:
    given = {name: request.args.get(name, "").strip() for name in ("state", "tenant", "text", "marker")}
    state = given["state"] if given["state"] in set(MigrationState) else ""
    found = service().migrations(
        state=state or None,
        tenant=given["tenant"] or None,
        text=given["text"],
        limit=PER_PAGE + 1,
        marker=given["marker"] or None,
    )
    shown, marker = cut(found, PER_PAGE, key=lambda one: one.id)
    return {
        "migrations": shown,
        "marker": marker,
        "given": given | {"state": state},
        "filters": {name: one for name, one in given.items() if one and name != "marker"},
        "counts": service().store.migrations.counts(),
        "operations": noteworthy(),
        "titles": TITLES,
    }
