"""Events: what happened, in pages or as it happens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from pumphouse.api.documents import Document, Limit
from pumphouse.api.routes import Routes, service
from pumphouse.api.v1.migrations import OF_A_MIGRATION, MigrationPath
from pumphouse.store.events import EventRecord

routes = Routes("events", __name__, "What happened, in order.")


class Event(Document):
    """Something that happened."""

    seq: int = Field(description="Its number, which only grows.")
    migration: str = Field(description="The migration's id; empty for what belongs to none.")
    at: datetime
    kind: str
    payload: dict[str, Any]


class EventPage(Document):
    """Events in order."""

    events: list[Event]
    next_after: int | None = Field(description="Give it as `after` for the next page; null on the last.")


class EventQuery(Document):
    """Which events."""

    after: Annotated[int, Field(ge=0, le=2**62)] = Field(default=0, description="Only those numbered higher.")
    limit: Limit = 100


@routes.route_to("get", "/events", allow="migrations:read", answer=EventPage)
def list_events(query: EventQuery) -> Document:
    """List what happened in all migrations."""
    return _page(service().events(after=query.after, limit=query.limit + 1), query.limit)


@routes.route_to(
    "get",
    "/migrations/<migration_id>/events",
    allow="migrations:read",
    answer=EventPage,
    errors=OF_A_MIGRATION,
)
def list_migration_events(path: MigrationPath, query: EventQuery) -> Document:
    """List what happened in a migration."""
    found = service().events(path.migration_id, after=query.after, limit=query.limit + 1)
    return _page(found, query.limit)


def _page(found: list[EventRecord], limit: int) -> EventPage:
    events = [Event.model_validate(one) for one in found[:limit]]
    return EventPage(events=events, next_after=events[-1].seq if len(found) > limit else None)
