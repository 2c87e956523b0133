"""Plans: made from a scope, shown as a document or as a graph."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from flask import url_for
from pydantic import ConfigDict, Field

from pumphouse import errors
from pumphouse.api.documents import Document, Id, IdempotencyHeader, Page, Paging
from pumphouse.api.paging import cut
from pumphouse.api.routes import Answer, Reply, Routes, service
from pumphouse.api.v1.clouds import OF_A_CLOUD, CloudResource
from pumphouse.api.v1.operations import ACCEPTED, accepted, asking
from pumphouse.config import FloatingIPs
from pumphouse.model import Action, DiskMode, Scope, ScopeKind, Strategy
from pumphouse.plan import render
from pumphouse.plan.document import Plan as ServicePlan
from pumphouse.resource import Severity
from pumphouse.service.operations import WantedPlan
from pumphouse.store.plans import PlanRecord

routes = Routes("plans", __name__, "What a migration would do to each resource, and why.")

Name = Annotated[str, Field(min_length=1, max_length=255)]
OF_A_PLAN = (errors.UnknownMigration, errors.AmbiguousName)
PLANNING = (*OF_A_CLOUD, errors.SameCloud, errors.BadOverride)


class ScopeDocument(Document):
    """What to move."""

    kind: ScopeKind = Field(description="What the names stand for.")
    names: list[Name] = Field(
        min_length=1,
        max_length=1000,
        description="Names or ids; a tenant may also be given as `domain/name`.",
    )
    strategy: Strategy | None = Field(
        default=None, description="Which meta-resources come along. Null: as configured."
    )

    def scope(self) -> Scope:
        """The scope as the service takes it."""
        return Scope(
            kind=self.kind,
            names=tuple(dict.fromkeys(self.names)),
            strategy=self.strategy or service().config.migration.strategy,
        )


class NewPlan(Document):
    """What to plan: a scope, two clouds, and what shall be otherwise than on the source."""

    scope: ScopeDocument
    source: Id = Field(default="source", description="The cloud to move from.")
    destination: Id = Field(default="destination", description="The cloud to move to.")
    overrides: dict[str, Any] = Field(default={}, description="What an override file would hold.")
    floating_ips: FloatingIPs | None = Field(
        default=None, description="What becomes of floating addresses. Null: as configured."
    )
    disk_mode: DiskMode | None = Field(
        default=None, description="How servers' root disks get there. Null: as configured."
    )

    def wanted(self) -> WantedPlan:
        """What to plan, as the service takes it."""
        return WantedPlan(
            scope=self.scope.scope(),
            source=self.source,
            destination=self.destination,
            overrides=self.overrides,
            floating_ips=self.floating_ips,
            disk_mode=self.disk_mode,
        )


class PlanProblem(Document):
    """Something that planning found: what, and what to do about it."""

    severity: Severity
    summary: str
    next_step: str
    field: str


class PlannedResource(Document):
    """One resource of a plan, what is done with it, and why."""

    resource: CloudResource
    action: Action
    reason: str
    selected: str = Field(description="Why it is part of the plan.")
    needs: list[str] = Field(description="What comes before it.")
    destination_id: str | None
    changed: list[str] = Field(description="The fields that an update changes.")
    before: dict[str, Any] = Field(description="The destination's values of those fields.")
    problems: list[PlanProblem]
    bytes: int = Field(description="How much data moves with it.")
    seconds: float = Field(description="How long it is expected to take.")
    shared: bool = Field(description="Whether another migration may make it first.")
    mode: str = Field(description="How a server's root disk gets there: a disk mode.")
    mover: str = Field(description="Which way data take.")


class PlanSummary(Document):
    """A plan without its resources."""

    id: str
    created_at: datetime
    source: str
    destination: str
    scope: ScopeDocument


class PlanPage(Page):
    """Plans, newest first."""

    plans: list[PlanSummary]


class Plan(PlanSummary):
    """A plan: what is done to each resource, needed ones first."""

    counts: dict[Action, int] = Field(description="How many resources each action has.")
    bytes: int = Field(description="How much data moves.")
    seconds: float = Field(description="How long it takes at most: one step after the other.")
    nothing_to_do: bool
    blocked: bool
    overrides: dict[str, Any]
    floating_ips: FloatingIPs
    disk_mode: DiskMode
    resources: list[PlannedResource]

    @classmethod
    def of(cls, plan: ServicePlan) -> Plan:
        """A plan's document."""
        doing = plan.doing(Action.CREATE, Action.UPDATE)
        resources = [
            PlannedResource.model_validate({**one.to_dict(), "resource": CloudResource.of(one.resource)})
            for one in plan.resources
        ]
        return cls(
            id=plan.id,
            created_at=plan.created_at,
            source=plan.source,
            destination=plan.destination,
            scope=ScopeDocument.model_validate(plan.scope.to_dict()),
            counts=plan.counts(),
            bytes=sum(one.bytes for one in doing),
            seconds=round(sum(one.seconds for one in doing), 3),
            nothing_to_do=plan.nothing_to_do,
            blocked=bool(plan.doing(Action.BLOCKED)),
            overrides=dict(plan.overrides),
            floating_ips=FloatingIPs(plan.floating_ips),
            disk_mode=DiskMode(plan.disk_mode),
            resources=resources,
        )


class PlanFile(Document):
    """A plan as the command line saves it. What it holds besides is pumphouse's own."""

    model_config = ConfigDict(extra="allow")

    format: str
    version: int
    id: str
    created_at: str
    source: Id
    destination: Id
    scope: ScopeDocument
    resources: list[dict[str, Any]]


class Node(Document):
    """A resource in the graph."""

    ref: str
    type: str
    name: str
    action: Action
    generation: int = Field(description="0 for what needs nothing; else one more than what it needs.")


class Edge(Document):
    """`needs` comes before `ref`."""

    ref: str
    needs: str


class Graph(Document):
    """A plan's graph."""

    nodes: list[Node]
    edges: list[Edge]


class GraphFormat(StrEnum):
    """The languages of a graph."""

    JSON = "json"
    DOT = "dot"
    MERMAID = "mermaid"


class PlanPath(Document):
    """A plan's id, the unique beginning of one, or `last`."""

    plan_id: Id


class GraphQuery(Document):
    """How to show the graph."""

    format: GraphFormat = GraphFormat.JSON


@routes.route_to("get", "/plans", allow="plans:read", answer=PlanPage, errors=OF_A_PLAN)
def list_plans(query: Paging) -> Document:
    """List the plans, newest first."""
    found = service().plans(limit=query.limit + 1, marker=query.marker)
    page, marker = cut(found, query.limit, key=lambda one: one.id)
    return PlanPage(plans=[_summary(one) for one in page], next_marker=marker)


@routes.route_to(
    "post",
    "/plans",
    allow="plans:create",
    answer=ACCEPTED,
    errors=(*PLANNING, errors.KeyReused),
)
def create_plan(header: IdempotencyHeader, body: NewPlan) -> Reply:
    """Have both clouds read, and what to do decided. Writes nothing to any cloud."""
    return accepted(service().operations.plan(body.wanted(), **asking(header, body)))


@routes.route_to("get", "/plans/<plan_id>", allow="plans:read", answer=Plan, errors=OF_A_PLAN)
def show_plan(path: PlanPath) -> Document:
    """Show a plan."""
    return Plan.of(service().stored_plan(path.plan_id))


@routes.route_to(
    "get",
    "/plans/<plan_id>/graph",
    allow="plans:read",
    answer=Answer(
        document=Graph,
        description="The graph.",
        text={"text/vnd.graphviz": "With `format=dot`.", "text/vnd.mermaid": "With `format=mermaid`."},
    ),
    errors=OF_A_PLAN,
)
def show_plan_graph(path: PlanPath, query: GraphQuery) -> Document | Reply:
    """Show a plan's graph: as JSON, for Graphviz, or for Mermaid."""
    plan = service().stored_plan(path.plan_id)
    if query.format is GraphFormat.DOT:
        return Reply(text=render.dot(plan), media_type="text/vnd.graphviz; charset=utf-8")
    if query.format is GraphFormat.MERMAID:
        return Reply(text=render.mermaid(plan), media_type="text/vnd.mermaid; charset=utf-8")
    return _graph(plan)


@routes.route_to("get", "/plans/<plan_id>/file", allow="plans:read", answer=PlanFile, errors=OF_A_PLAN)
def show_plan_file(path: PlanPath) -> Document:
    """Show a plan as the command line saves and takes it: `pumphouse migrate --plan FILE`."""
    return PlanFile.model_validate(service().stored_plan(path.plan_id).to_dict())


@routes.route_to(
    "post",
    "/plan-files",
    allow="plans:create",
    answer=Answer(
        document=PlanSummary,
        status=201,
        description="The plan, with its id in this store.",
        headers={"Location": "Where the plan is."},
    ),
    errors=(errors.BadPlan, errors.BadOverride),
)
def take_plan_file(body: PlanFile) -> Reply:
    """Take in a plan that was saved as a file. It is planned again when it is carried out."""
    plan = service().keep_plan(ServicePlan.from_dict(body.model_dump(mode="json"), where="what was sent"))
    return Reply(
        document=PlanSummary(
            id=plan.id,
            created_at=plan.created_at,
            source=plan.source,
            destination=plan.destination,
            scope=ScopeDocument.model_validate(plan.scope.to_dict()),
        ),
        headers={"Location": url_for("plans.show_plan", plan_id=plan.id)},
    )


@routes.route_to(
    "delete",
    "/plans/<plan_id>",
    allow="plans:delete",
    answer=Answer(status=204, description="It is gone."),
    errors=(*OF_A_PLAN, errors.WrongState),
)
def delete_plan(path: PlanPath) -> Reply:
    """Forget a plan. One that a migration carries out, or once did, is kept."""
    service().delete_plan(path.plan_id)
    return Reply()


def _summary(record: PlanRecord) -> PlanSummary:
    return PlanSummary.model_validate(record)


def _graph(plan: ServicePlan) -> Graph:
    generations = plan.generations()
    return Graph(
        nodes=[
            Node(
                ref=str(one.ref),
                type=one.ref.type,
                name=one.resource.name,
                action=one.action,
                generation=generations[one.ref],
            )
            for one in plan.resources
        ],
        edges=[Edge(ref=str(ref), needs=str(need)) for need, ref in plan.graph.edges],
    )
