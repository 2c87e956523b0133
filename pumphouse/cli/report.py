"""``pumphouse migration report`` and ``verify``: what became of each resource and each field."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumphouse.cli.command import Lister
from pumphouse.cli.migration import add_id
from pumphouse.cli.parsing import writable
from pumphouse.errors import UsageError
from pumphouse.text import counted, duration, one_line, size

if TYPE_CHECKING:
    from rich.console import Console

    from pumphouse.report.model import Report, ResourceReport
    from pumphouse.service import Pumphouse

_COLUMNS = ("Type", "Name", "Field", "Source", "Destination", "Outcome", "Reason")
_LONGEST = 40
"""Of a field's value in a table."""


class ShowReport(Lister):
    """Show what a migration kept, changed and lost.

    Lists the fields that are not simply kept; --all lists the others too. The document has everything.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = add_id(super().get_parser(prog_name))
        parser.add_argument("--all", action="store_true", help="list the fields that were kept, too")
        parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="save the whole report as JSON")
        return parser

    wide = frozenset({"Source", "Destination"})

    def make(self, service: Pumphouse, id: str) -> Report:
        """The stored one."""
        return service.report(id)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each field."""
        writable(parsed_args.output)
        with self.app.service() as service:
            report = self.make(service, parsed_args.id)
        if parsed_args.output:
            _save(report, parsed_args.output)
            print(f"Saved to {parsed_args.output}", file=sys.stderr)
        table = parsed_args.formatter == "table"
        if table:
            summarise(report, self.console())
        self.status = 0 if report.verified else 1
        rows = [
            (
                one.ref.type,
                one.name or one.ref.id,
                field.field,
                _value(field.source, short=table),
                _value(field.destination, short=table),
                str(field.outcome),
                field.reason,
            )
            for one in report.resources
            for field in one.fields
            if parsed_args.all or str(field.outcome) != "kept"
        ]
        return _COLUMNS, rows


class Verify(ShowReport):
    """Compare both clouds again, now.

    Writes nothing to any cloud. Exits with 1 when something is missing or differs.
    """

    def make(self, service: Pumphouse, id: str) -> Report:
        """A new one, which takes the stored one's place."""
        from pumphouse.cli.planning import reading

        with reading() as progress:
            return service.verify(id, progress)


_MOST_DOWN = 20
"""How many servers' downtimes are told; the report's tables have all."""


def summarise(report: Report, console: Console) -> None:
    """Print the report's sums: resources, fields, data and downtime."""
    from rich.text import Text

    resources, fields = report.counts(), report.field_counts()
    verdict = Text("verified", style="green") if report.verified else Text("not verified", style="bold red")
    console.print(Text.assemble(("Report", "bold"), f" on {report.migration}: ", verdict))
    console.print(f"  {_counts(resources, 'resource')}")
    console.print(f"  {_counts(fields, 'field')}")
    hashed = [one for one in report.resources if one.data]
    moved = [one for one in report.resources if one.bytes and str(one.action) == "create"]
    if moved:
        proved = f", {counted(len(hashed), 'digest')} compared" if hashed else ""
        console.print(
            f"  {size(sum(one.bytes for one in moved))} of data in {counted(len(moved), 'resource')}{proved}"
        )
    down = [(one.downtime, one) for one in report.resources if one.downtime is not None]
    if down:
        longest, which = max(down, key=lambda pair: pair[0])
        console.print(
            f"  downtime: {duration(longest)} at most ({which.ref.type} {one_line(which.name)}), "
            f"{counted(len(down), 'server')}"
        )
        for seconds, one in sorted(down, key=lambda pair: -pair[0])[: _MOST_DOWN if len(down) > 1 else 0]:
            console.print(f"    {one_line(one.name)}: {duration(seconds)}")
    notes = [(one, note) for one in report.resources for note in one.notes]
    for one, note in notes:
        console.print(f"  note: {one.ref.type} {one_line(one.name)}: {one_line(note)}")
    for one in report.for_people():
        for field in one.fields:
            console.print(f"  left to do: {one.ref.type} {one_line(one.name)}: {one_line(field.reason)}")
    for left in report.left:
        console.print(Text(f"  left: {one_line(left)}", style="red"))
    for wrong in report.wrong():
        console.print(Text(f"  {_wrong(wrong)}", style="red"))


def _wrong(one: ResourceReport) -> str:
    told = [field.field or one_line(field.reason) for field in one.fields if field.outcome == one.outcome]
    what = f" ({', '.join(told)})" if told else ""
    return f"{one.ref.type} {one_line(one.name)}: {one.outcome}{what}"


def _counts(counts: Any, noun: str) -> str:
    total = sum(counts.values())
    parts = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    return f"{counted(total, noun)}: {parts}" if total else f"no {noun}s"


def _value(value: Any, *, short: bool) -> Any:
    if value is None or not short:
        return value
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)
    )
    text = one_line(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _save(report: Report, path: Path) -> None:
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False, default=str) + "\n"
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
