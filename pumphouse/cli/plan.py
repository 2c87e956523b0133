"""``pumphouse plan``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumphouse.cli import scope
from pumphouse.cli.command import Lister
from pumphouse.cli.parsing import writable
from pumphouse.errors import PlanBlocked

if TYPE_CHECKING:
    from pumphouse.plan.document import Plan

_WIDE = ("ID", "Destination ID", "Selected", "Changed", "Bytes", "Mode", "Mover", "Seconds", "Needs")
_COLUMNS = ("Action", "Type", "Name", "Reason", *_WIDE)


class MakePlan(Lister):
    """Show what a migration would do.

    Writes nothing to any cloud. Exits with 4 when the plan is blocked.
    """

    wide = frozenset(_WIDE)

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        scope.add_arguments(parser, required=True)
        parser.add_argument(
            "-o",
            "--output",
            metavar="FILE",
            type=Path,
            help="save the plan, for: pumphouse migrate --plan FILE",
        )
        graph = parser.add_mutually_exclusive_group()
        graph.add_argument("--dot", action="store_true", help="print the graph for Graphviz instead")
        graph.add_argument("--mermaid", action="store_true", help="print the graph for Mermaid instead")
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Plan, save, show. A graph takes the place of the listing."""
        from pumphouse.cli.planning import make_plan
        from pumphouse.plan import render

        writable(parsed_args.output)
        config = self.app.config()
        with self.app.service(config) as service:
            plan = make_plan(service, config, parsed_args)
        if parsed_args.output:
            plan.save(parsed_args.output)
        if parsed_args.dot or parsed_args.mermaid:
            self.app.stdout.write(render.dot(plan) if parsed_args.dot else render.mermaid(plan))
        else:
            self.plan = plan
            super().run(parsed_args)
        if parsed_args.output:
            again = self.app.again("migrate", "--plan", str(parsed_args.output))
            print(f"Saved to {parsed_args.output}. Apply it with: {again}", file=sys.stderr)
        try:
            plan.require_unblocked()
        except PlanBlocked as error:
            self.complain(error)
            return error.exit_status
        return 0

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """The plan's resources, needed ones first; above a table, the summary."""
        if parsed_args.formatter == "table":
            from pumphouse.cli.summary import show

            show(self.plan, self.console())
        return _COLUMNS, _rows(self.plan)


def _rows(plan: Plan) -> Iterable[Sequence[Any]]:
    from pumphouse.cli.summary import name_of

    for one in plan.resources:
        yield (
            str(one.action),
            one.ref.type,
            name_of(one),
            one.reason,
            one.ref.id,
            one.destination_id,
            one.selected,
            list(one.changed),
            one.bytes,
            one.mode,
            one.mover,
            round(one.seconds, 1),
            [str(need) for need in one.needs],
        )
