"""Beginning migrations, and steering them. The work itself is done by the supervisor, never in a request."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from flask import url_for
from pydantic import Field, model_validator

from pumphouse import errors
from pumphouse.api.audit import concerns
from pumphouse.api.auth import require
from pumphouse.api.documents import Document, Id, IdempotencyHeader
from pumphouse.api.routes import Answer, Reply, Routes, service
from pumphouse.api.v1 import operations
from pumphouse.api.v1.migrations import OF_A_MIGRATION, Migration, MigrationPath
from pumphouse.api.v1.operations import accepted, asking
from pumphouse.api.v1.plans import PLANNING, NewPlan
from pumphouse.config import Passwords, Quiesce
from pumphouse.service.operations import WantedMigration
from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.wishes import Wish

routes = Routes("actions", __name__, "Beginning migrations, and steering them.")

ACCEPTED = Answer(
    document=Migration,
    status=202,
    description="It will be done. The migration as it is now.",
    headers={"Location": "Where the migration is."},
)


Jobs = Annotated[int, Field(ge=1, le=256)]


class MigrationOptions(Document):
    """Choices of one migration that differ from the configured ones."""

    quiesce: Quiesce | None = None
    passwords: Passwords | None = None
    jobs: Jobs | None = Field(default=None, description="How many steps run at the same time.")
    transfers: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="How many images and disks are copied at the same time."
    )
    bandwidth: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many bytes per second all copies may take together. 0 is no limit."
    )
    prepare: bool | None = Field(
        default=None, description="Leave all that needs downtime for the action `cutover`."
    )


class NewMigration(Document):
    """What to carry out: a plan that was made before, or one to be made now."""

    plan_id: Id | None = Field(default=None, description="A plan's id, or the unique beginning of one.")
    plan: NewPlan | None = Field(default=None, description="Make this plan, and carry it out.")
    check_fresh: bool = Field(
        default=True,
        description="Plan the given plan's scope again, and refuse if the clouds have changed since.",
    )
    name: str = Field(default="", max_length=255, description="A name, to tell it from others.")
    options: MigrationOptions = MigrationOptions()

    def wanted(self) -> WantedMigration:
        """What to carry out, as the service takes it."""
        return WantedMigration(
            plan=self.plan.wanted() if self.plan is not None else None,
            plan_id=self.plan_id or "",
            check_fresh=self.check_fresh,
            name=self.name,
            options=self.options.model_dump(mode="json", exclude_none=True),
        )

    @model_validator(mode="after")
    def _one_plan(self) -> Self:
        if (self.plan_id is None) == (self.plan is None):
            raise ValueError("give either plan_id or plan")
        return self


class MigrationAction(StrEnum):
    """What can be asked of a migration."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    CUTOVER = "cutover"
    ROLLBACK = "rollback"
    VERIFY = "verify"


WITH_JOBS = frozenset(
    {MigrationAction.RESUME, MigrationAction.CUTOVER, MigrationAction.RETRY, MigrationAction.ROLLBACK}
)
"""Those that may be told how many steps run at the same time."""


class NewAction(Document):
    """What to do."""

    action: MigrationAction
    jobs: Jobs | None = Field(
        default=None,
        description="How many steps run at the same time from now on: for `resume`, `cutover`, `retry` and "
        "`rollback`.",
    )

    @model_validator(mode="after")
    def _jobs_where_steps_run(self) -> Self:
        if self.jobs is not None and self.action not in WITH_JOBS:
            raise ValueError(f"{self.action} takes no jobs")
        return self


WISHES = {
    MigrationAction.RESUME: Wish.RUN,
    MigrationAction.CANCEL: Wish.CANCEL,
    MigrationAction.RETRY: Wish.RETRY,
    MigrationAction.CUTOVER: Wish.CUTOVER,
    MigrationAction.ROLLBACK: Wish.ROLLBACK,
    MigrationAction.VERIFY: Wish.VERIFY,
}
"""What a supervisor does for each action but the pause."""


@routes.route_to(
    "post",
    "/migrations",
    allow="migrations:create",
    answer=operations.ACCEPTED,
    errors=(
        *PLANNING,
        errors.UnknownMigration,
        errors.AmbiguousName,
        errors.PlanBlocked,
        errors.BadPlan,
        errors.KeyReused,
    ),
)
def create_migration(header: IdempotencyHeader, body: NewMigration) -> Reply:
    """Carry out a plan.

    Both clouds are read first, unless a plan is given that need not be fresh. The operation tells what stands
    in the way, or which migration has begun.
    """
    return accepted(service().operations.migrate(body.wanted(), **asking(header, body)))


@routes.route_to(
    "post",
    "/migrations/<migration_id>/actions",
    allow="migrations:read",
    answer=ACCEPTED,
    errors=(*OF_A_MIGRATION, errors.WrongState, errors.MigrationBusy),
)
def act_on_migration(path: MigrationPath, body: NewAction) -> Reply:
    """Pause, resume, cut over, cancel, retry, roll back or verify a migration.

    Asked again, it changes nothing. What could not be begun afterwards is an event, and the migration's
    reason.
    """
    require(f"migrations:{body.action}")
    if body.action is MigrationAction.PAUSE:
        return _migration(service().pause(path.migration_id))
    return _migration(service().want(path.migration_id, WISHES[body.action], jobs=body.jobs))


def _migration(record: MigrationRecord) -> Reply:
    concerns(record.id)
    return Reply(
        document=Migration(**Migration.fields_of(record)),
        headers={"Location": url_for("migrations.show_migration", migration_id=record.id)},
    )
