"""What takes more than a moment: an operation tells how far it is, and what it came to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import request, url_for
from pydantic import Field

from pumphouse import errors
from pumphouse.api import auth
from pumphouse.api.documents import Document, Id, IdempotencyHeader, Page, Paging
from pumphouse.api.paging import cut
from pumphouse.api.problems import Problem, problem_of_dict
from pumphouse.api.routes import Answer, Reply, Routes, service
from pumphouse.store.migrations import RequestKey
from pumphouse.store.operations import OperationKind, OperationRecord
from pumphouse.store.states import OperationState

routes = Routes("operations", __name__, "What was asked for and takes more than a moment.")

OF_AN_OPERATION = (errors.UnknownMigration, errors.AmbiguousName)


class Operation(Document):
    """Something that was asked for. Once it is DONE, what it has made is named here."""

    id: str
    kind: OperationKind
    state: OperationState
    asked_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    read: Mapping[str, Mapping[str, int]] = Field(
        description="What was read so far: by cloud, how many resources of each type."
    )
    types: int = Field(description="How many types a cloud is read for.")
    cloud: str | None = Field(description="The cloud that it is about; null for what concerns two.")
    plan_id: str | None = Field(description="The plan that was made, or is carried out.")
    migration_id: str | None = Field(description="The migration that has begun, or that it is about.")
    wave_id: str | None = Field(description="The wave that was planned, or that it is about.")
    evacuation_id: str | None = Field(description="The evacuation that has begun, told from then on.")
    left: list[str] = Field(description="What of it could not be done, in words.")
    error: Problem | None = Field(description="Why it has FAILED. Mend that, and ask again.")

    @classmethod
    def of(cls, record: OperationRecord) -> Operation:
        """An operation's document."""
        return cls(
            id=record.id,
            kind=record.kind,
            state=record.state,
            asked_by=record.asked_by,
            created_at=record.created_at,
            started_at=record.started_at,
            ended_at=record.ended_at,
            read=record.progress,
            types=len(service().registry),
            cloud=record.cloud,
            plan_id=record.plan_id,
            migration_id=record.migration_id,
            wave_id=record.wave_id,
            evacuation_id=record.evacuation_id,
            left=list(record.left),
            error=problem_of_dict(record.error) if record.error is not None else None,
        )


class OperationPage(Page):
    """Operations, newest first."""

    operations: list[Operation]


class OperationPath(Document):
    """An operation's id, the unique beginning of one, or `last`."""

    operation_id: Id


class OperationQuery(Paging):
    """Which operations."""

    state: OperationState | None = Field(default=None, description="Only those in this state.")


ACCEPTED = Answer(
    document=Operation,
    status=202,
    description="It will be done, also if this server is restarted meanwhile. The operation as it is now.",
    headers={
        "Location": "Where the operation is. Look there until it is `DONE` or has `FAILED`.",
        "Retry-After": "Seconds until it is worth looking.",
    },
)
_LOOK_AGAIN = "1"


@routes.route_to("get", "/operations", allow="operations:read", answer=OperationPage, errors=OF_AN_OPERATION)
def list_operations(query: OperationQuery) -> Document:
    """List what was asked for, newest first. It is kept for 30 days."""
    found = service().operations.list(state=query.state, limit=query.limit + 1, marker=query.marker)
    page, marker = cut(found, query.limit, key=lambda one: one.id)
    return OperationPage(operations=[Operation.of(one) for one in page], next_marker=marker)


@routes.route_to(
    "get", "/operations/<operation_id>", allow="operations:read", answer=Operation, errors=OF_AN_OPERATION
)
def show_operation(path: OperationPath) -> Document:
    """Show how far an operation is, and what it came to."""
    return Operation.of(service().operations.get(path.operation_id))


def asking(header: IdempotencyHeader, body: Document | None = None) -> dict[str, Any]:
    """Who asks, and the key of the request, as the service takes them."""
    return {"asked_by": auth.user().name, "key": _key(header.idempotency_key, body)}


def accepted(record: OperationRecord) -> Reply:
    """The answer to who has asked for an operation."""
    where = url_for("operations.show_operation", operation_id=record.id)
    return Reply(document=Operation.of(record), headers={"Location": where, "Retry-After": _LOOK_AGAIN})


def _key(given: str | None, body: Document | None) -> RequestKey | None:
    if given is None:
        return None
    # Of the path, too: the same key for another kind of thing is no repetition.
    asked = f"{request.path}\n{body.model_dump_json() if body is not None else ''}"
    return RequestKey(
        key=hashlib.sha256(given.encode()).hexdigest(), digest=hashlib.sha256(asked.encode()).hexdigest()
    )
