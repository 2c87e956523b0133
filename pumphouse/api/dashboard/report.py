"""What a migration came to: kept, changed and impossible, per resource; when its units ran; downloads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask import Response, request

from pumphouse.api.auth import allow
from pumphouse.api.dashboard.pages import blueprint, page
from pumphouse.api.documents import Paging
from pumphouse.api.paging import page_of
from pumphouse.api.routes import service
from pumphouse.report.make import DOWN_FROM, DOWN_UNTIL
from pumphouse.report.model import SEVERITY, ResourceReport
from pumphouse.service.steps import StepRecord
from pumphouse.store.units import UnitRecord

PER_PAGE: Final = 100
_MOST_BARS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When a unit ran, in seconds from the beginning; and of these, when its server was down."""

    unit: UnitRecord
    begin: float
    end: float
    down: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The spans of the units that ran, first one first; ``seconds`` is how long all of it took."""

    spans: Sequence[Span]
    seconds: float
    left_out: int


@blueprint.get("/migrations/<migration_id>/report")
@allow("migrations:read")
def show_report(migration_id: str) -> Response:
    """The page."""
    record = service().migration(migration_id)
    report = service().report(record.id)
    given = {name: request.args.get(name, "").strip() for name in ("outcome", "type", "text")}
    rows, marker = page_of(
        [one for one in report.resources if _wanted(one, given)],
        Paging(limit=PER_PAGE, marker=request.args.get("marker") or None),
        key=lambda one: str(one.ref),
    )
    return page(
        "report.html",
        record=record,
        report=report,
        outcomes=SEVERITY,
        types=Counter(one.ref.type for one in report.resources),
        rows=rows,
        marker=marker,
        given=given,
        filters={name: one for name, one in given.items() if one},
        downtimes=sorted(
            (one for one in report.resources if one.downtime is not None),
            key=lambda one: -(one.downtime or 0),
        ),
        notes=[(one, note) for one in report.resources for note in one.notes],
        chart=chart(service().units(record.id), service().steps(record.id)),
    )


def chart(units: Sequence[UnitRecord], steps: Sequence[StepRecord]) -> Chart:
    """When each unit ran. Pure."""
    ran = sorted(
        ((one.started_at, one.ended_at, one) for one in units if one.started_at and one.ended_at),
        key=lambda one: (one[0], one[1], one[2].name),
    )
    if not ran:
        return Chart(spans=(), seconds=0.0, left_out=0)
    first, last = ran[0][0], max(end for _, end, _ in ran)
    down = _down(steps)
    spans = [
        Span(
            unit=unit,
            begin=(begin - first).total_seconds(),
            end=(end - first).total_seconds(),
            down=_since(first, down.get(unit.name)),
        )
        for begin, end, unit in ran[:_MOST_BARS]
    ]
    return Chart(spans=spans, seconds=(last - first).total_seconds(), left_out=len(ran) - len(spans))


def _down(steps: Sequence[StepRecord]) -> Mapping[str, tuple[datetime, datetime]]:
    """By unit, from when until when a server of it was down."""
    of: dict[str, list[StepRecord]] = {}
    for step in steps:
        if step.unit and step.step in {DOWN_FROM, *DOWN_UNTIL}:
            of.setdefault(step.unit, []).append(step)
    found: dict[str, tuple[datetime, datetime]] = {}
    for unit, those in of.items():
        begins = [one.started_at for one in those if one.step == DOWN_FROM and one.started_at]
        ends = [one.ended_at for one in those if one.step in DOWN_UNTIL and one.ended_at]
        if begins and ends and min(begins) < max(ends):
            found[unit] = (min(begins), max(ends))
    return found


def _since(first: datetime, span: tuple[datetime, datetime] | None) -> tuple[float, float] | None:
    return None if span is None else ((span[0] - first).total_seconds(), (span[1] - first).total_seconds())


def _wanted(one: ResourceReport, given: Mapping[str, Any]) -> bool:
    return (
        given["outcome"] in {"", one.outcome}
        and given["type"] in {"", one.ref.type}
        and given["text"].casefold() in f"{one.name} {one.ref.id} {one.destination_id}".casefold()
    )
