"""Hypervisors, and emptying them inside their cloud."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from flask import url_for
from pydantic import Field

from pumphouse import errors
from pumphouse.api.documents import Document, Id, IdempotencyHeader, Page, Paging
from pumphouse.api.paging import cut
from pumphouse.api.routes import Answer, Reply, Routes, service
from pumphouse.api.v1 import operations
from pumphouse.api.v1.clouds import ASKS_A_CLOUD, OF_A_CLOUD, CloudPath
from pumphouse.api.v1.operations import accepted, asking
from pumphouse.service.evacuating import AT_ONCE
from pumphouse.service.moves import Move, MoveState, Way
from pumphouse.store.evacuations import EvacuationRecord, EvacuationState

routes = Routes("hosts", __name__, "Hypervisors, and emptying them inside their cloud.")

OF_AN_EVACUATION = (errors.UnknownMigration, errors.AmbiguousName)


class Host(Document):
    """A hypervisor, as its compute service tells of it."""

    name: str
    zone: str
    up: bool = Field(description="Whether its compute service answers.")
    enabled: bool = Field(description="Whether servers may be placed there.")
    reason: str = Field(description="Why it is disabled.")


class HostList(Document):
    """A cloud's hypervisors, by name."""

    hosts: list[Host]


class HostPath(CloudPath):
    """A cloud's name, and a hypervisor's as its compute service calls it."""

    host: Id


class MoveDocument(Document):
    """A server of a hypervisor that is emptied."""

    id: str
    name: str
    was: str = Field(description="Its status when it was found.")
    way: Way = Field(description="How it moves: `live`, `cold`, or not at all.")
    state: MoveState
    to: str = Field(description="The hypervisor that has it now.")
    seconds: float | None = Field(description="How long it took.")
    why: str = Field(description="Why it stays, or what has become of it.")


class MoveList(Document):
    """What would be done with each server, by name."""

    moves: list[MoveDocument]


class NewEvacuation(Document):
    """How to empty a hypervisor."""

    at_once: Annotated[int, Field(ge=1, le=256)] = Field(
        default=AT_ONCE, description="How many servers move at the same time."
    )
    partly: bool = Field(default=False, description="Move what can be moved, though some servers cannot.")


class Evacuation(Document):
    """A hypervisor that is being emptied, or was."""

    id: str
    cloud: str
    host: str
    state: EvacuationState
    reason: str = Field(description="Why it is in that state.")
    stopping: bool = Field(description="Whether it was asked to stop: what is under way comes to its end.")
    disabled: bool = Field(
        description="Whether it has disabled the compute service. That stays so when the host is empty."
    )
    created_at: datetime
    ended_at: datetime | None
    process: str | None = Field(description="The process that is at work on it.")
    moves: list[MoveDocument]

    @classmethod
    def of(cls, record: EvacuationRecord) -> Evacuation:
        """An evacuation's document."""
        return cls(
            id=record.id,
            cloud=record.cloud,
            host=record.host,
            state=record.state,
            reason=record.reason,
            stopping=record.stopping,
            disabled=record.disabled,
            created_at=record.created_at,
            ended_at=record.ended_at,
            process=str(record.owner) if record.owner else None,
            moves=[MoveDocument.model_validate(one) for one in moves_of(record)],
        )


class EvacuationPage(Page):
    """Evacuations, newest first."""

    evacuations: list[Evacuation]


class EvacuationPath(Document):
    """An evacuation's id, the unique beginning of one, or `last`."""

    evacuation_id: Id


class EvacuationQuery(Paging):
    """Which evacuations."""

    cloud: Id | None = Field(default=None, description="Only those of this cloud.")


def moves_of(record: EvacuationRecord) -> list[Move]:
    """The servers of an evacuation, by name."""
    return sorted(map(Move.of, record.servers.values()), key=lambda one: (one.name, one.id))


@routes.route_to("get", "/clouds/<cloud>/hosts", allow="clouds:check", answer=HostList, errors=ASKS_A_CLOUD)
def list_hosts(path: CloudPath) -> Document:
    """List the hypervisors of a cloud, which is asked now."""
    return HostList(hosts=[Host.model_validate(one) for one in service().hosts(path.cloud)])


@routes.route_to(
    "get",
    "/clouds/<cloud>/hosts/<host>/moves",
    allow="clouds:check",
    answer=MoveList,
    errors=(*ASKS_A_CLOUD, errors.UnknownResource, errors.PlanBlocked),
)
def list_moves(path: HostPath) -> Document:
    """Tell what would be done with each server of a hypervisor to empty it. Changes nothing."""
    found = service().plan_evacuation(path.cloud, path.host)
    return MoveList(moves=[MoveDocument.model_validate(one) for one in found])


@routes.route_to(
    "post",
    "/clouds/<cloud>/hosts/<host>/evacuate",
    allow="evacuations:create",
    answer=operations.ACCEPTED,
    errors=(*OF_A_CLOUD, errors.MigrationBusy, errors.KeyReused),
)
def evacuate_host(header: IdempotencyHeader, path: HostPath, body: NewEvacuation) -> Reply:
    """Empty a hypervisor inside its cloud.

    Running servers move alive, stopped ones cold. The compute service is disabled first; it stays so when the
    host is empty, and is enabled again when some servers stay. Asked again after an end with servers that
    stay, it goes on.
    """
    return accepted(
        service().operations.evacuate(
            path.cloud, path.host, at_once=body.at_once, partly=body.partly, **asking(header, body)
        )
    )


@routes.route_to(
    "get", "/evacuations", allow="evacuations:read", answer=EvacuationPage, errors=OF_AN_EVACUATION
)
def list_evacuations(query: EvacuationQuery) -> Document:
    """List evacuations, newest first."""
    found = service().evacuations(cloud=query.cloud, limit=query.limit + 1, marker=query.marker)
    page, marker = cut(found, query.limit, key=lambda one: one.id)
    return EvacuationPage(evacuations=[Evacuation.of(one) for one in page], next_marker=marker)


@routes.route_to(
    "get",
    "/evacuations/<evacuation_id>",
    allow="evacuations:read",
    answer=Evacuation,
    errors=OF_AN_EVACUATION,
)
def show_evacuation(path: EvacuationPath) -> Document:
    """Show how far an evacuation is, and where each server has gone."""
    return Evacuation.of(service().evacuation(path.evacuation_id))


@routes.route_to(
    "post",
    "/evacuations/<evacuation_id>/stop",
    allow="evacuations:stop",
    answer=Answer(
        document=Evacuation,
        status=202,
        description="It will stop. The evacuation as it is now.",
        headers={"Location": "Where the evacuation is."},
    ),
    errors=(*OF_AN_EVACUATION, errors.WrongState),
)
def stop_evacuation(path: EvacuationPath) -> Reply:
    """Move no further server.

    What is under way comes to its end, and the compute service is enabled again unless it was not before.
    """
    record = service().stop_evacuation(path.evacuation_id)
    where = url_for("hosts.show_evacuation", evacuation_id=record.id)
    return Reply(document=Evacuation.of(record), headers={"Location": where})
