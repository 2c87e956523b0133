"""Waves: groups that migrate in an order, each as a migration of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from flask import url_for
from pydantic import Field, model_validator

from pumphouse import errors
from pumphouse.api.auth import require, user
from pumphouse.api.documents import Document, Id, IdempotencyHeader, Page, Paging
from pumphouse.api.paging import cut
from pumphouse.api.routes import Answer, Reply, Routes, service
from pumphouse.api.v1 import operations
from pumphouse.api.v1.operations import accepted, asking
from pumphouse.api.v1.plans import PLANNING, Name
from pumphouse.model import DiskMode, ScopeKind
from pumphouse.service import wavefile
from pumphouse.service.wavefile import WaveFile
from pumphouse.store.states import MigrationState
from pumphouse.store.waves import WaveRecord, WaveState

routes = Routes("waves", __name__, "Groups that migrate in an order.")

OF_A_WAVE = (errors.UnknownMigration, errors.AmbiguousName)
Names = Annotated[list[Name], Field(min_length=1, max_length=1000)]


class NewGroup(Document):
    """What one group moves, and when it may begin. One of `tenants`, `servers` and `hosts`."""

    name: Name | None = Field(default=None, description="Null: what it moves.")
    tenants: Names | None = None
    servers: Names | None = None
    hosts: Names | None = None
    start: str | None = Field(
        default=None,
        max_length=64,
        description="A time with its zone (ISO 8601), or `ask` for somebody's word. Null: after the group "
        "before.",
    )


class NewWave(Document):
    """What a wave's file would hold."""

    name: Name = Field(description="A name, to tell it from others.")
    source: Id = Field(default="source", description="The cloud to move from.")
    destination: Id = Field(default="destination", description="The cloud to move to.")
    overrides: dict[str, Any] = Field(default={}, description="What an override file would hold.")
    mode: DiskMode | None = Field(
        default=None,
        description="How servers' root disks travel. Null: as the overrides say, or as configured.",
    )
    servers_at_once: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="How many servers are down at the same time, at most."
    )
    stop_at: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Per cent of a group's servers that may not fail. Null: none may."
    )
    groups: list[NewGroup] = Field(min_length=1, max_length=1000)

    def described(self) -> WaveFile:
        """The wave as the service takes it. Raises BadWave."""
        return wavefile.parse(self.model_dump(exclude={"name"}, exclude_none=True), where="the wave")


class WaveGroup(Document):
    """A group, and how far it has come."""

    name: str
    kind: ScopeKind
    names: list[str]
    start: str = Field(description="A time, `ask`, or empty.")
    allowed: bool = Field(description="Whether somebody has given the word.")
    state: MigrationState = Field(description="Of its migration; PLANNED before it has one.")
    plan_id: str
    migration_id: str | None


class Wave(Document):
    """A wave as it is now."""

    id: str
    name: str
    state: WaveState
    reason: str = Field(description="Why it is in that state, or what it waits for.")
    pausing: bool = Field(description="Whether it has been asked to pause.")
    operation_id: str | None = Field(description="The operation that is at work on it, or is about to be.")
    source: str
    destination: str
    servers_at_once: int | None
    stop_at: int | None = Field(description="In per cent.")
    created_at: datetime
    ended_at: datetime | None
    groups: list[WaveGroup] = Field(description="In their order.")

    @classmethod
    def of(cls, record: WaveRecord) -> Wave:
        """A wave's document."""
        app = service()
        operation = app.operations.of_wave(record.id)
        states = app.wave_states(record)
        return cls(
            id=record.id,
            name=record.name,
            state=record.state,
            reason=record.reason,
            pausing=record.pausing,
            operation_id=operation.id if operation else None,
            source=record.source,
            destination=record.destination,
            servers_at_once=record.servers_at_once,
            stop_at=None if record.stop_at is None else round(record.stop_at * 100),
            created_at=record.created_at,
            ended_at=record.ended_at,
            groups=[
                WaveGroup(
                    name=one.name,
                    kind=ScopeKind(one.kind),
                    names=list(one.names),
                    start=one.start,
                    allowed=one.allowed,
                    state=state,
                    plan_id=one.plan_id,
                    migration_id=one.migration_id or None,
                )
                for one, state in zip(record.groups, states, strict=True)
            ],
        )


class WavePage(Page):
    """Waves, newest first."""

    waves: list[Wave]


class WavePath(Document):
    """A wave's id, the unique beginning of one, or `last`."""

    wave_id: Id


class WaveAction(StrEnum):
    """What can be asked of a wave."""

    RESUME = "resume"
    PAUSE = "pause"
    ROLLBACK = "rollback"


class NewWaveAction(Document):
    """What to do."""

    action: WaveAction
    replan: bool = Field(
        default=False,
        description="For `resume`: move what has changed since it was planned as it is now.",
    )
    skip_failed: bool = Field(
        default=False, description="For `resume`: leave what has failed, rather than try it again first."
    )

    @model_validator(mode="after")
    def _choices_of_a_resume(self) -> Self:
        if (self.replan or self.skip_failed) and self.action is not WaveAction.RESUME:
            raise ValueError(f"{self.action} takes neither replan nor skip_failed")
        return self


ACCEPTED = Answer(
    document=Wave,
    status=202,
    description="It will be done. The wave as it is now.",
    headers={"Location": "Where the wave is."},
)


@routes.route_to("get", "/waves", allow="waves:read", answer=WavePage, errors=OF_A_WAVE)
def list_waves(query: Paging) -> Document:
    """List waves, newest first."""
    found = service().waves(limit=query.limit + 1, marker=query.marker)
    page, marker = cut(found, query.limit, key=lambda one: one.id)
    return WavePage(waves=[Wave.of(one) for one in page], next_marker=marker)


@routes.route_to("get", "/waves/<wave_id>", allow="waves:read", answer=Wave, errors=OF_A_WAVE)
def show_wave(path: WavePath) -> Document:
    """Show how far a wave and its groups have come."""
    return Wave.of(service().wave(path.wave_id))


@routes.route_to(
    "post",
    "/waves",
    allow="waves:create",
    answer=operations.ACCEPTED,
    errors=(*PLANNING, errors.BadWave, errors.KeyReused),
)
def create_wave(header: IdempotencyHeader, body: NewWave) -> Reply:
    """Plan all groups of a wave, and keep it.

    Writes nothing to any cloud. Once the plans are approved, the action `resume` begins it.
    """
    return accepted(service().operations.plan_wave(body.described(), name=body.name, **asking(header, body)))


@routes.route_to(
    "post",
    "/waves/<wave_id>/actions",
    allow="waves:read",
    answer=ACCEPTED,
    errors=(*OF_A_WAVE, errors.WrongState, errors.MigrationBusy, errors.PlanBlocked),
)
def act_on_wave(path: WavePath, body: NewWaveAction) -> Reply:
    """Begin or go on with a wave, pause it, or take it back.

    To resume is to give the word to the group that waits for it. Asked again, it changes nothing.
    """
    require(f"waves:{body.action}")
    choices = {"replan": body.replan, "skip_failed": body.skip_failed}
    record = act(path.wave_id, body.action, choices if body.action is WaveAction.RESUME else {})
    where = url_for("waves.show_wave", wave_id=record.id)
    return Reply(document=Wave.of(record), headers={"Location": where})


def act(wave_id: str, action: WaveAction, choices: Mapping[str, bool]) -> WaveRecord:
    """Have it done; the wave as it is now."""
    app = service()
    if action is WaveAction.PAUSE:
        return app.pause_wave(wave_id)
    ask: Callable[..., Any] = (
        app.operations.run_wave if action is WaveAction.RESUME else app.operations.rollback_wave
    )
    ask(wave_id, asked_by=user().name, **choices)
    return app.wave(wave_id)
