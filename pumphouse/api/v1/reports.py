"""Reports: what was kept, changed and lost."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from flask import Response, make_response
from pydantic import Field

from pumphouse import errors
from pumphouse.api.documents import Document
from pumphouse.api.routes import Answer, Reply, Routes, service
from pumphouse.api.security import with_style
from pumphouse.api.v1.migrations import OF_A_MIGRATION, MigrationPath
from pumphouse.model import Action
from pumphouse.report import render
from pumphouse.report.model import Outcome

routes = Routes("reports", __name__, "What migrations came to, field by field.")


class ReportedField(Document):
    """What became of one field; the empty one stands for the resource as a whole."""

    field: str
    outcome: Outcome
    source: Any
    destination: Any
    reason: str


class ReportedResource(Document):
    """What became of one resource."""

    ref: str
    name: str
    action: Action
    outcome: Outcome = Field(description="The worst of its fields.")
    destination_id: str | None
    fields: list[ReportedField]
    bytes: int
    data: str | None = Field(description="The digest of its data, where both clouds tell the same.")
    seconds: float | None = Field(description="The work on it.")
    downtime: float | None = Field(description="Seconds without service.")
    notes: list[str]
    mode: str = Field(description="How a server's root disk got there: a disk mode.")
    mover: str = Field(description="Which way data took.")


class Report(Document):
    """What a migration came to, read from both clouds."""

    migration: str
    source: str
    destination: str
    made_at: datetime
    verified: bool = Field(description="Whether nothing is missing and nothing differs.")
    counts: dict[Outcome, int] = Field(description="How many resources have each outcome.")
    fields: dict[Outcome, int] = Field(description="How many fields have each outcome.")
    left: list[str] = Field(description="What should have been removed and could not be.")
    resources: list[ReportedResource]


class ReportFormat(StrEnum):
    """The forms of a report."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


class ReportQuery(Document):
    """How to show the report."""

    format: ReportFormat = ReportFormat.JSON


@routes.route_to(
    "get",
    "/migrations/<migration_id>/report",
    allow="migrations:read",
    answer=Answer(
        document=Report,
        description="The report.",
        text={
            "text/csv": "With `format=csv`: one row for each field.",
            "text/html": "With `format=html`: a page to print.",
        },
    ),
    errors=(*OF_A_MIGRATION, errors.WrongState),
)
def show_report(path: MigrationPath, query: ReportQuery) -> Document | Reply | Response:
    """Show what a migration kept, changed and lost: as JSON, as a table, or as a page to print."""
    report = service().report(path.migration_id)
    name = f"report-{report.migration}"
    if query.format is ReportFormat.CSV:
        return Reply(
            text=render.csv(report),
            media_type="text/csv; charset=utf-8; header=present",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
        )
    if query.format is ReportFormat.HTML:
        page = make_response(render.html(report))
        return with_style(page, render.STYLE)
    return Report.model_validate(report.to_dict())
