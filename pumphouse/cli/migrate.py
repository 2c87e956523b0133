"""``pumphouse migrate``: plan, show, ask, run, report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pumphouse.cli import scope
from pumphouse.cli.parsing import size, whole
from pumphouse.cli.running import Running, conclude, expected, status_of, told
from pumphouse.errors import UsageError

if TYPE_CHECKING:
    from pumphouse.config import Config
    from pumphouse.plan.document import Plan
    from pumphouse.service import Pumphouse


class Migrate(Running):
    """Move tenants, servers, images or identities.

    Shows the plan and asks before anything is written. Ctrl-C pauses in order, a second one stops at once.
    Exits with 0 when all was moved (or was there already), 1 when it failed, 3 when a part failed, and 4
    when the plan is blocked.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        scope.add_arguments(parser, required=False)
        parser.add_argument(
            "--plan", metavar="FILE", type=Path, help="apply this saved plan instead of making one"
        )
        parser.add_argument(
            "--prepare",
            action="store_true",
            help="move only what needs no downtime, for: pumphouse migration cutover ID",
        )
        parser.add_argument(
            "--transfers",
            metavar="N",
            type=whole(1, 256),
            help="how many images and disks are copied at the same time (default: as configured)",
        )
        parser.add_argument(
            "--bandwidth",
            metavar="BYTES",
            type=size,
            help="how many bytes per second all copies may take together, such as 50M; 0 is no limit "
            "(default: as configured)",
        )
        parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
        parser.add_argument("--name", default="", help="a name for the migration, to tell it from others")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Do it; the exit status."""
        _check(parsed_args)
        out = self.out(parsed_args)
        config = self.app.config()
        with self.app.service(config) as service:
            plan = self._plan(service, config, parsed_args, out)
            if plan.nothing_to_do:
                print("Nothing to do: all of it is on the destination already.", file=out)
                return 0
            if not parsed_args.yes and not _confirmed(plan, out):
                print("Nothing was written.", file=out)
                return 1
            migration = service.start(
                plan,
                check_fresh=parsed_args.plan is not None,
                name=parsed_args.name,
                options=_options(parsed_args),
            )
            print(f"Migration {migration.id}", file=out, flush=True)
            ended, interrupted = self.carry_out(
                parsed_args,
                migration.id,
                expected(plan, service.registry),
                lambda **how: service.run(migration.id, **how),
            )
            told(service, ended, self.console(out), out)
            conclude(self, out, service, ended)
            return status_of(ended, interrupted=interrupted)

    def _plan(self, service: Pumphouse, config: Config, parsed: argparse.Namespace, out: TextIO) -> Plan:
        """The plan, shown. Raises PlanBlocked."""
        from pumphouse.cli.planning import make_plan
        from pumphouse.cli.summary import show
        from pumphouse.plan.document import Plan

        plan = Plan.load(parsed.plan) if parsed.plan else make_plan(service, config, parsed)
        show(plan, self.console(out))
        out.flush()
        # What a saved plan was overridden with is in its file alone, which is no override file.
        again = () if plan.overrides and parsed.plan else scope.words(plan, override=parsed.override)
        plan.require_unblocked(see_all=self.app.again("plan", *again) if again else "")
        return plan


def _options(parsed: argparse.Namespace) -> dict[str, int]:
    """The choices that were given. The migration keeps to them, also when it is resumed."""
    given = {name: getattr(parsed, name) for name in ("transfers", "bandwidth")}
    given["prepare"] = parsed.prepare or None
    return {name: value for name, value in given.items() if value is not None}


def _check(parsed: argparse.Namespace) -> None:
    """Refuse what makes no sense together, before any cloud is asked."""
    if parsed.plan:
        given = [
            option
            for option, value in (
                ("KIND and NAME", parsed.kind),
                ("--source", parsed.source),
                ("--destination", parsed.destination),
                ("--with", parsed.strategy),
                ("--mode", parsed.mode),
                ("--override", parsed.override),
            )
            if value
        ]
        if given:
            raise UsageError(f"--plan holds all choices already: leave out {', '.join(given)}")
    elif not (parsed.kind and parsed.names):
        raise UsageError("say what to migrate, such as: pumphouse migrate tenant NAME (or --plan FILE)")
    if not parsed.yes and not sys.stdin.isatty():
        raise UsageError(
            "standard input is no terminal, so nobody can be asked",
            next_step="See the plan with 'pumphouse plan', and migrate with --yes.",
        )


def _confirmed(plan: Plan, out: TextIO) -> bool:
    print(f"Write this to {plan.destination}? [y/N] ", end="", file=out, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
