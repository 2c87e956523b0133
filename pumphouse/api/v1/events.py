"""Events: what happened, in pages or as it happens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import Response
from pydantic import ConfigDict, Field

from pumphouse import errors
from pumphouse.api import stream
from pumphouse.api.documents import Document, Limit
from pumphouse.api.routes import Answer, Routes, service
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


class FollowHeader(Document):
    """Where a follower goes on."""

    model_config = ConfigDict(extra="ignore")

    last_event_id: Annotated[int, Field(ge=0, le=2**62)] | None = Field(
        default=None,
        alias="Last-Event-ID",
        description="For a stream: the number of the last event that came; wins over `after`.",
    )


_ANSWER = Answer(
    document=EventPage,
    description="A page of events; or, if only `text/event-stream` is accepted, all of them as they come.",
    text={stream.MEDIA_TYPE: "Server-sent events. Each has the number as its id and an event as its data."},
)


def frame(record: EventRecord) -> bytes:
    """An event as a server-sent one."""
    return stream.frame(record.seq, Event.model_validate(record).model_dump_json())


@routes.route_to("get", "/events", allow="migrations:read", answer=_ANSWER, errors=(errors.TooMany,))
def list_events(header: FollowHeader, query: EventQuery) -> Document | Response:
    """List what happened in all migrations, or follow it."""
    if stream.wanted():
        return stream.follow(header.last_event_id or query.after)
    return _page(service().events(after=query.after, limit=query.limit + 1), query.limit)


@routes.route_to(
    "get",
    "/migrations/<migration_id>/events",
    allow="migrations:read",
    answer=_ANSWER,
    errors=(*OF_A_MIGRATION, errors.TooMany),
)
def list_migration_events(
    path: MigrationPath, header: FollowHeader, query: EventQuery
) -> Document | Response:
    """List what happened in a migration, or follow it."""
    if stream.wanted():
        migration = service().migration(path.migration_id).id
        return stream.follow(header.last_event_id or query.after, migration=migration)
    found = service().events(path.migration_id, after=query.after, limit=query.limit + 1)
    return _page(found, query.limit)


def _page(found: list[EventRecord], limit: int) -> EventPage:
    events = [Event.model_validate(one) for one in found[:limit]]
    return EventPage(events=events, next_after=events[-1].seq if len(found) > limit else None)
