"""``pumphouse migration``: list, show, events."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pumphouse.cli.command import Lister, ShowOne
from pumphouse.cli.parsing import whole
from pumphouse.cli.running import run_time
from pumphouse.text import explain_dict, when, when_short

if TYPE_CHECKING:
    from pumphouse.store.events import EventRecord

_MANY = 1_000_000


def add_id(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add ID."""
    parser.add_argument("id", metavar="ID", help="the migration's id, the beginning of it, or 'last'")
    return parser


class ListMigrations(Lister):
    """List migrations, newest first."""

    wide = frozenset({"Took"})

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--state", help="only those in this state")
        parser.add_argument(
            "--limit", metavar="N", type=whole(1, _MANY), default=50, help="at most so many (default: 50)"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each."""
        time = when_short if parsed_args.formatter == "table" else when
        with self.app.service() as service:
            found = service.migrations(state=parsed_args.state, limit=parsed_args.limit)
        columns = ("ID", "State", "Name", "Source", "Destination", "Created", "Took")
        rows = [
            (
                one.id,
                str(one.state),
                one.name,
                one.source,
                one.destination,
                time(one.created_at),
                run_time(one),
            )
            for one in found
        ]
        return columns, rows


class ShowMigration(ShowOne):
    """Show how a migration is."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return add_id(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """Its fields, and how many units are in which state."""
        with self.app.service() as service:
            one = service.migration(parsed_args.id)
            units = service.units(one.id)
        states = sorted({str(unit.state) for unit in units})
        fields = {
            "id": one.id,
            "name": one.name,
            "state": str(one.state),
            "reason": one.reason,
            "source": one.source,
            "destination": one.destination,
            "plan": one.plan_id,
            "created": when(one.created_at),
            "started": when(one.started_at),
            "ended": when(one.ended_at),
            "took": run_time(one),
            "process": str(one.owner) if one.owner else "",
            "units": ", ".join(
                f"{sum(str(unit.state) == state for unit in units)} {state}" for state in states
            ),
        }
        return tuple(fields), tuple(fields.values())


class ListUnits(Lister):
    """List a migration's units.

    A unit is what is done, and undone, as a whole.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return add_id(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each, in the order of the plan."""
        with self.app.service() as service:
            units = service.units(parsed_args.id)
        columns = ("Unit", "State", "Reason", "Started", "Ended")
        rows = [
            (unit.kind, str(unit.state), unit.reason, when(unit.started_at), when(unit.ended_at))
            for unit in units
        ]
        return columns, rows


class ListEvents(Lister):
    """List what happened in a migration, in order."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = add_id(super().get_parser(prog_name))
        parser.add_argument(
            "--after", metavar="NUMBER", type=whole(0, 2**62), default=0, help="only events after this one"
        )
        parser.add_argument(
            "--limit", metavar="N", type=whole(1, _MANY), default=_MANY, help="at most so many"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each; in JSON and YAML with its whole payload."""
        whole_payload = parsed_args.formatter in {"json", "yaml"}
        with self.app.service() as service:
            found = service.events(parsed_args.id, after=parsed_args.after, limit=parsed_args.limit)
        rows = [
            (
                stored.seq,
                when(stored.at),
                stored.kind,
                dict(stored.payload) if whole_payload else describe(stored),
            )
            for stored in found
        ]
        return ("Number", "At", "Kind", "Event"), rows


def describe(event: EventRecord) -> str:
    """An event's payload in a cell."""
    payload = dict(event.payload)
    error = payload.pop("error", None)
    words = [f"{name}={_word(value)}" for name, value in payload.items() if value not in (None, "")]
    return " ".join([*words, explain_dict(error)] if error else words)


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return json.dumps(text, ensure_ascii=False) if " " in text else text
