"""The report as text for other tools: a table in CSV, and a page to print."""

from __future__ import annotations

import csv as table
import io
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from pumphouse.report.model import Outcome, Report, ResourceReport

COLUMNS = (
    "type",
    "id",
    "name",
    "action",
    "destination_id",
    "field",
    "outcome",
    "source",
    "destination",
    "reason",
    "bytes",
    "data",
    "seconds",
    "downtime",
    "mode",
    "mover",
)
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; color: #1b1b1b; margin: 2em auto; max-width: 75em }
table { border-collapse: collapse; width: 100%; margin: 0 0 2em }
th, td { border-bottom: 1px solid #ccc; padding: .3em .6em; text-align: left; vertical-align: top }
td { overflow-wrap: anywhere }
.changed, .impossible { color: #7a4b00 } .differs, .missing { color: #a40000; font-weight: bold }
@media print { body { margin: 0; max-width: none } tr { break-inside: avoid } }
"""


def csv(report: Report) -> str:
    """One row for each field of each resource (RFC 4180)."""
    out = io.StringIO()
    writer = table.writer(out)
    writer.writerow(COLUMNS)
    for one in report.resources:
        for field in one.fields:
            row = (
                one.ref.type,
                one.ref.id,
                one.name,
                str(one.action),
                one.destination_id,
                field.field,
                str(field.outcome),
                _text(field.source),
                _text(field.destination),
                field.reason,
                one.bytes,
                one.data,
                one.seconds,
                one.downtime,
                one.mode,
                one.mover,
            )
            writer.writerow([_harmless(cell) for cell in row])
    return out.getvalue()


def html(report: Report) -> str:
    """A page that needs nothing besides, made to be read and printed."""
    return "".join(_html(report))


def _html(report: Report) -> Iterator[str]:
    title = f"Migration {report.migration}"
    yield f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    yield f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
    verdict = "verified" if report.verified else "not verified"
    made = report.made_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"<p>From {escape(report.source)} to {escape(report.destination)}, read on {made}: {verdict}.</p>"
    yield f"<p>Resources: {_counts(report.counts())}. Fields: {_counts(report.field_counts())}.</p>"
    if report.left:
        yield from _list("Left behind", report.left)
    notes = [f"{one.ref.type} {one.name}: {note}" for one in report.resources for note in one.notes]
    if notes:
        yield from _list("Notes", notes)
    yield "<h2>Resources</h2>"
    head = ("Type", "Name", "Action", "Outcome", "Data", "Seconds", "Downtime")
    yield from _table(head, (_summary(one) for one in report.resources))
    yield "<h2>Fields that are not simply kept</h2>"
    head = ("Type", "Name", "Field", "Outcome", "Source", "Destination", "Reason")
    yield from _table(head, _fields(report))
    yield "</body></html>\n"


def _summary(one: ResourceReport) -> tuple[Any, ...]:
    return (one.ref.type, one.name, one.action, one.outcome, one.data, one.seconds, one.downtime)


def _fields(report: Report) -> Iterator[tuple[Any, ...]]:
    for one in report.resources:
        for field in one.fields:
            if field.outcome is not Outcome.KEPT:
                values = (_text(field.source), _text(field.destination))
                yield (one.ref.type, one.name, field.field, field.outcome, *values, field.reason)


def _table(head: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    titles = "".join(f'<th scope="col">{one}</th>' for one in head)
    yield f"<table><thead><tr>{titles}</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(map(_cell, row))}</tr>"
    yield "</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, Outcome):
        return f'<td class="{value}">{value}</td>'
    return f"<td>{escape('' if value is None else str(value))}</td>"


def _list(title: str, lines: list[str] | tuple[str, ...]) -> Iterator[str]:
    yield f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _counts(counts: Any) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "none"


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)


def _harmless(cell: Any) -> Any:
    """A spreadsheet would run what begins like a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell
