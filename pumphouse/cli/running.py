"""Runs a migration with live progress and says how it ended and what to do next."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from pumphouse.cli import progress
from pumphouse.cli.command import Base
from pumphouse.cli.interrupt import pausing
from pumphouse.cli.parsing import whole
from pumphouse.cli.progress import Progress, Style, Tally
from pumphouse.cli.streams import patient
from pumphouse.errors import WrongState
from pumphouse.model import Action
from pumphouse.text import duration, one_line

if TYPE_CHECKING:
    from rich.console import Console

    from pumphouse.plan.document import Plan
    from pumphouse.registry import Registry
    from pumphouse.service import Pumphouse
    from pumphouse.store.migrations import MigrationRecord

INTERRUPTED = 130
STATUSES = {"SUCCEEDED": 0, "PARTIAL": 3, "PAUSED": 3}
"""Exit statuses by a migration's state; 1 for all others."""


class Running(Base):
    """The base of commands that carry a migration out."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--jobs", metavar="N", type=whole(1, 256), help="how many steps run at the same time"
        )
        progress.add_option(parser)
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """As any command, and to the end, whether or not anybody reads what it says."""
        with patient(self.app):
            return super().run(parsed_args)

    def out(self, parsed: argparse.Namespace) -> TextIO:
        """Where text for people goes: standard output, unless that carries events for programs."""
        return self.app.stderr if parsed.progress == Style.JSON else self.app.stdout

    def carry_out(
        self, parsed: argparse.Namespace, id: str, tally: Tally, work: Callable[..., MigrationRecord]
    ) -> tuple[MigrationRecord, bool]:
        """Do it, with progress and with Ctrl-C handled; how it ended, and whether it was interrupted."""
        from pumphouse.engine.control import Control

        control = Control()
        style = progress.choose(parsed.progress, self.app.stdout)
        view: Progress = progress.make(style, self.app.stdout, tally)
        resume = self.app.again("migration", "resume", id)
        with view, pausing(control, say=view.say, restore=view.end, resume=resume) as interrupts:
            ended = work(jobs=parsed.jobs, listener=view, control=control)
        return ended, bool(interrupts.count)


def expected(plan: Plan, registry: Registry) -> Tally:
    """A tally that knows what is to come."""
    from pumphouse.flow.tasks import applying

    doing = plan.doing(Action.CREATE, Action.UPDATE)
    steps = {name: [step.name for step in kind.steps] for name, kind in registry.items()}
    return Tally(
        steps=steps,
        resources=len(doing),
        total=sum(len(applying(one, registry)) for one in doing),
        names={str(one.ref): one.resource.name for one in plan.resources},
    )


def told(service: Pumphouse, migration: MigrationRecord, console: Console, out: TextIO) -> None:
    """Print the report's sums, where the migration came far enough to have one."""
    from pumphouse.cli.report import summarise

    try:
        report = service.report(migration.id)
    except WrongState:
        return
    print(file=out)
    summarise(report, console)


def status_of(migration: MigrationRecord, *, interrupted: bool = False, taken_back: bool = False) -> int:
    """The exit status for how a migration ended; ``taken_back`` says that a roll-back was asked for."""
    if migration.prepared or (taken_back and str(migration.state) == "ROLLED_BACK"):
        return 0
    if interrupted and str(migration.state) == "PAUSED":
        return INTERRUPTED
    return STATUSES.get(str(migration.state), 1)


def conclude(command: Base, out: TextIO, service: Pumphouse, migration: MigrationRecord) -> None:
    """Print how it ended, what did not work and the commands that come next."""
    print(f"\n{outcome(migration)}", file=out)
    for unit in service.units(migration.id):
        if str(unit.state) in {"FAILED", "SKIPPED"}:
            print(f"  {one_line(unit.kind)}: {one_line(unit.reason) or str(unit.state).lower()}", file=out)
    print("\nNext:", file=out)
    rows = [(command.app.again("migration", verb, migration.id), text) for verb, text in what_next(migration)]
    width = max(len(row[0]) for row in rows)
    for text, meaning in rows:
        print(f"  {text:<{width}}  # {meaning}", file=out)


def what_next(migration: MigrationRecord) -> tuple[tuple[str, str], ...]:
    """The commands that make sense in its state, each with what it is for."""
    found = _PREPARED if migration.prepared else _NEXT.get(str(migration.state), _LOOK)
    return tuple(one for one in found if not (migration.finalized and one[0] == "rollback"))


def outcome(migration: MigrationRecord) -> str:
    """How a migration ended, in a line."""
    state = str(migration.state)
    if migration.prepared:
        return f"Migration {migration.id} is prepared: nothing was brought to rest on the source yet"
    took = f" in {run_time(migration)}" if run_time(migration) else ""
    why = f": {one_line(migration.reason)}" if migration.reason else ""
    return f"Migration {migration.id} {_ENDS.get(state, f'is {state}')}{took}{why}"


def run_time(migration: MigrationRecord) -> str:
    """How long its last run took, for a person; empty while it runs."""
    return "" if migration.took is None else duration(migration.took)


_ENDS = {
    "SUCCEEDED": "succeeded",
    "PARTIAL": "is partly done",
    "FAILED": "failed",
    "CANCELLED": "was cancelled",
    "PAUSED": "is paused",
    "ROLLED_BACK": "was rolled back",
    "ROLLBACK_INCOMPLETE": "could not be rolled back completely",
}
_REPORT = ("report", "what was kept, changed and lost, field by field")
_ROLLBACK = ("rollback", "take it all back")
_EVENTS = ("events", "what happened")
_PREPARED = (("cutover", "move the servers"), _ROLLBACK)
_RETRY = ("retry", "plan what is missing again, and do it")
_LOOK = (("show", "how it is"), _EVENTS)
_NEXT = {
    "SUCCEEDED": (_REPORT, ("verify", "compare both clouds again"), _ROLLBACK),
    "PARTIAL": (_REPORT, _RETRY, _ROLLBACK),
    "FAILED": (_EVENTS, _RETRY, _ROLLBACK),
    "CANCELLED": (("show", "how it is"), _RETRY, _ROLLBACK),
    "PAUSED": (("resume", "carry on"), ("rollback", "take back what was done")),
    "ROLLED_BACK": (("retry", "plan it again, and do it"),),
    "ROLLBACK_INCOMPLETE": (("report", "what could not be removed"), ("rollback", "try again")),
}
