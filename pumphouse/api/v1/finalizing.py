"""Removing for good what a migration has left: seeing it first, and then only what was seen."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from pumphouse import errors
from pumphouse.api.audit import concerns
from pumphouse.api.documents import Document, Id, IdempotencyHeader
from pumphouse.api.routes import Reply, Routes, service
from pumphouse.api.v1.migrations import OF_A_MIGRATION, MigrationPath
from pumphouse.api.v1.operations import ACCEPTED, accepted, asking
from pumphouse.service.finalizable import Candidate, Part
from pumphouse.service.operations import Finalizable

routes = Routes("finalizing", __name__, "Removing for good what migrations have left.")

FINALIZING = (*OF_A_MIGRATION, errors.WrongState, errors.KeyReused)


class NewListing(Document):
    """What to look for."""

    parts: list[Part] = Field(
        default=list(Part), min_length=1, description="What there is of these; what needs others stays."
    )


class FinalizableThing(Document):
    """One thing that a migration has left."""

    part: Part
    ref: str = Field(description="The source's resource: `server:7b…`.")
    name: str
    id: str = Field(description="Of what would go: on the source, or of what has the marker.")
    cloud: str
    goes: bool
    why_not: str = Field(description="Why it must stay; empty if it would go.")
    lost: list[str] = Field(description="What is lost with it.")

    @classmethod
    def of(cls, one: Candidate) -> FinalizableThing:
        """A candidate's document."""
        return cls(
            part=one.part,
            ref=str(one.ref),
            name=one.name,
            id=one.identity,
            cloud=one.cloud,
            goes=one.goes,
            why_not=one.why_not,
            lost=list(one.lost),
        )


class Listing(Document):
    """What of a migration could be removed for good, as it was when somebody looked."""

    id: str = Field(description="Give it as `listing` to have removed what goes.")
    migration_id: str
    looked_at: datetime
    things: list[FinalizableThing]

    @classmethod
    def of(cls, found: Finalizable) -> Listing:
        """A listing's document."""
        return cls(
            id=found.id,
            migration_id=found.migration_id,
            looked_at=found.looked_at,
            things=[FinalizableThing.of(one) for one in found.candidates],
        )


class NewFinalizing(Document):
    """What to remove: all that goes of a listing."""

    listing: Id = Field(description="The `id` of the migration's last listing.")


@routes.route_to(
    "post",
    "/migrations/<migration_id>/finalizable",
    allow="migrations:finalizable",
    answer=ACCEPTED,
    errors=FINALIZING,
)
def look_for_finalizable(header: IdempotencyHeader, path: MigrationPath, body: NewListing) -> Reply:
    """See what a migration has left that could be removed for good. Changes nothing.

    Both clouds are read. When the operation is done, a GET of the same path shows the listing.
    """
    record = service().operations.look_for_finalizable(
        path.migration_id, set(body.parts), **asking(header, body)
    )
    concerns(record.migration_id or "")
    return accepted(record)


@routes.route_to(
    "get",
    "/migrations/<migration_id>/finalizable",
    allow="migrations:read",
    answer=Listing,
    errors=(*OF_A_MIGRATION, errors.NotRead),
)
def show_finalizable(path: MigrationPath) -> Document:
    """Show what of a migration could be removed for good, as it was when somebody looked last."""
    found = service().operations.finalizable(path.migration_id)
    if found is None:
        raise errors.NotRead(
            "nobody has looked for what this migration has left",
            next_step="Look for it with a POST of the same path.",
        )
    return Listing.of(found)


@routes.route_to(
    "post",
    "/migrations/<migration_id>/finalize",
    allow="migrations:finalize",
    answer=ACCEPTED,
    errors=(*FINALIZING, errors.StaleListing),
)
def finalize_migration(header: IdempotencyHeader, path: MigrationPath, body: NewFinalizing) -> Reply:
    """Remove for good what goes of a listing. It cannot be undone, and the migration not be rolled back.

    Both clouds are read again first: what was used or has lost its counterpart since then stays. The
    operation's `left` tells what was not removed.
    """
    record = service().operations.finalize(path.migration_id, body.listing, **asking(header, body))
    concerns(record.migration_id or "")
    return accepted(record)
