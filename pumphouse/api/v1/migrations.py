"""Migrations: how they are, their units and their steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from pumphouse import errors
from pumphouse.api.documents import Document, Id, Page, Paging
from pumphouse.api.paging import cut, page_of
from pumphouse.api.routes import Routes, service
from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.states import MigrationState, UnitState

routes = Routes("migrations", __name__, "Plans being carried out.")

OF_A_MIGRATION = (errors.UnknownMigration, errors.AmbiguousName)


class Migration(Document):
    """A migration as it is now."""

    id: str
    name: str
    state: MigrationState
    reason: str = Field(description="Why it is in that state.")
    plan_id: str
    source: str
    destination: str
    created_at: datetime
    started_at: datetime | None
    run_started_at: datetime | None = Field(
        description="When the run that it is in, or the last one, began: a retry or a roll-back is one."
    )
    ended_at: datetime | None
    process: str | None = Field(description="The process that is at work on it.")
    request: str | None = Field(description="What that process is asked to do: `pause` or `cancel`.")
    wanted: str | None = Field(
        description="What waits to be done, or is being done until it ends: `run`, `retry`, `cancel`, "
        "`rollback` or `verify`."
    )

    @classmethod
    def fields_of(cls, record: MigrationRecord) -> dict[str, Any]:
        """The values of a record."""
        return {
            "id": record.id,
            "name": record.name,
            "state": record.state,
            "reason": record.reason,
            "plan_id": record.plan_id,
            "source": record.source,
            "destination": record.destination,
            "created_at": record.created_at,
            "started_at": record.started_at,
            "run_started_at": record.run_started_at,
            "ended_at": record.ended_at,
            "process": str(record.owner) if record.owner else None,
            "request": record.request,
            "wanted": record.wanted,
        }


class MigrationDetail(Migration):
    """A migration, and how far it has come."""

    units: dict[UnitState, int] = Field(description="How many units are in which state.")
    steps: Mapping[str, Mapping[str, int]] = Field(description="How many steps are in which state, by type.")


class MigrationPage(Page):
    """Migrations, newest first."""

    migrations: list[Migration]


class Unit(Document):
    """What is done, and undone, as a whole."""

    name: str
    kind: str
    state: UnitState
    reason: str
    error: dict[str, Any] | None
    started_at: datetime | None
    ended_at: datetime | None


class UnitPage(Page):
    """Units, in the order of the plan."""

    units: list[Unit]


class StepDocument(Document):
    """One step of one resource."""

    resource: str
    name: str = Field(description="The resource's name.")
    step: str
    doing: str
    state: str = Field(description="PENDING, or TaskFlow's state of it.")
    unit: str = Field(description="Empty until it has begun.")
    share: float | None = Field(description="From 0 to 1, while it runs and tells so.")
    text: str = Field(description="What it tells besides its share.")
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float | None
    error: dict[str, Any] | None


class StepPage(Page):
    """Steps, in the order of the plan."""

    steps: list[StepDocument]


class MigrationPath(Document):
    """A migration's id, the unique beginning of one, or `last`."""

    migration_id: Id


class MigrationQuery(Paging):
    """Which migrations."""

    state: MigrationState | None = Field(default=None, description="Only those in this state.")
    source: Id | None = Field(default=None, description="Only those from this cloud.")
    destination: Id | None = Field(default=None, description="Only those to this cloud.")
    name: str = Field(default="", max_length=255, description="Only those with this in their name or id.")
    tenant: Id | None = Field(default=None, description="Only those that move it: a name or a source's id.")


class UnitQuery(Paging):
    """Which units."""

    state: UnitState | None = Field(default=None, description="Only those in this state.")


class StepQuery(Paging):
    """Which steps."""

    state: str = Field(default="", max_length=32, description="Only those in this state.")
    type: str = Field(default="", max_length=64, description="Only those of this type of resource.")


@routes.route_to("get", "/migrations", allow="migrations:read", answer=MigrationPage, errors=OF_A_MIGRATION)
def list_migrations(query: MigrationQuery) -> Document:
    """List the migrations, newest first."""
    found = service().migrations(
        state=query.state,
        source=query.source,
        destination=query.destination,
        text=query.name,
        tenant=query.tenant,
        limit=query.limit + 1,
        marker=query.marker,
    )
    page, marker = cut(found, query.limit, key=lambda one: one.id)
    migrations = [Migration(**Migration.fields_of(one)) for one in page]
    return MigrationPage(migrations=migrations, next_marker=marker)


@routes.route_to(
    "get",
    "/migrations/<migration_id>",
    allow="migrations:read",
    answer=MigrationDetail,
    errors=OF_A_MIGRATION,
)
def show_migration(path: MigrationPath) -> Document:
    """Show how a migration is, and how far it has come."""
    record = service().migration(path.migration_id)
    return MigrationDetail(
        **Migration.fields_of(record),
        units=Counter(unit.state for unit in service().units(record.id)),
        steps=service().step_counts(record.id),
    )


@routes.route_to(
    "get",
    "/migrations/<migration_id>/units",
    allow="migrations:read",
    answer=UnitPage,
    errors=OF_A_MIGRATION,
)
def list_units(path: MigrationPath, query: UnitQuery) -> Document:
    """List a migration's units, in the order of its plan."""
    found = [one for one in service().units(path.migration_id) if query.state in {None, one.state}]
    page, marker = page_of(found, query, key=lambda one: one.name)
    return UnitPage(units=[Unit.model_validate(one) for one in page], next_marker=marker)


@routes.route_to(
    "get",
    "/migrations/<migration_id>/steps",
    allow="migrations:read",
    answer=StepPage,
    errors=OF_A_MIGRATION,
)
def list_steps(path: MigrationPath, query: StepQuery) -> Document:
    """List a migration's steps, in the order of its plan."""
    found = [
        one
        for one in service().steps(path.migration_id)
        if query.state in {"", one.state} and query.type in {"", one.resource.partition(":")[0]}
    ]
    page, marker = page_of(found, query, key=lambda one: one.key)
    return StepPage(steps=[StepDocument.model_validate(one) for one in page], next_marker=marker)
