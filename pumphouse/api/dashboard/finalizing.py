"""Removing for good what a migration has left: look, read the listing, and say yes to that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from pumphouse import errors
from pumphouse.api.audit import concerns
from pumphouse.api.auth import allow, user
from pumphouse.api.dashboard.pages import blueprint, page
from pumphouse.api.routes import service
from pumphouse.service.finalizable import Part
from pumphouse.store.operations import OperationRecord

PARTS: Final[Mapping[Part, tuple[str, str]]] = {
    Part.SERVERS: ("Servers", "the moved servers on the source"),
    Part.VOLUMES: ("Volumes", "the moved volumes on the source"),
    Part.MARKERS: ("Markers", "the markers on the destination, which say what was made from what"),
}
"""Each part in a word, and what is meant."""


@blueprint.get("/migrations/<migration_id>/finalize")
@allow("migrations:read")
def show_finalizable(migration_id: str) -> Response:
    """The page: what was seen last, and what came of the last removal."""
    record = service().migration(migration_id)
    operations = service().operations
    listing, last = operations.finalizable(record.id), operations.finalized(record.id)
    used = listing is not None and last is not None and last.created_at >= listing.looked_at
    if used or listing is None:
        return page("finalize.html", record=record, listing=None, last=last, parts=PARTS)
    order = list(PARTS)
    rows = sorted(listing.candidates, key=lambda one: (order.index(one.part), one.ref.type, one.name))
    return page("finalize.html", record=record, listing=listing, rows=rows, last=last, parts=PARTS)


@blueprint.post("/migrations/<migration_id>/finalizable")
@allow("migrations:finalizable")
def look_for_finalizable(migration_id: str) -> AnyResponse:
    """Have both clouds read, and go to where that is told."""
    try:
        parts = {Part(one) for one in request.form.getlist("parts")}
    except ValueError as error:
        raise errors.InvalidRequest(str(error)) from None
    if not parts:
        raise errors.InvalidRequest("nothing was chosen", next_step="Choose what to look for.")
    return _told(service().operations.look_for_finalizable(migration_id, parts, asked_by=user().name))


@blueprint.post("/migrations/<migration_id>/finalize")
@allow("migrations:finalize")
def finalize(migration_id: str) -> AnyResponse:
    """Have removed what goes of the listing that was shown."""
    listing = request.form.get("listing", "")
    return _told(service().operations.finalize(migration_id, listing, asked_by=user().name))


def _told(operation: OperationRecord) -> AnyResponse:
    concerns(operation.migration_id or "")
    return redirect(url_for("dashboard.show_operation", operation_id=operation.id), 303)
