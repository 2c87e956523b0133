"""``pumphouse migrate wave``, ``plan wave`` and ``wave``: groups that migrate in an order."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pumphouse.cli.command import Command, Lister
from pumphouse.cli.parsing import whole
from pumphouse.cli.planning import reading
from pumphouse.cli.running import Running, conclude, expected
from pumphouse.cli.scope import add_mode, mode_of
from pumphouse.errors import UsageError
from pumphouse.text import one_line, when

if TYPE_CHECKING:
    from pumphouse.plan.document import Plan
    from pumphouse.service import Pumphouse
    from pumphouse.store.migrations import MigrationRecord
    from pumphouse.store.waves import Group, WaveRecord

STATUSES = {"SUCCEEDED": 0, "ROLLED_BACK": 0, "PARTIAL": 3, "PAUSED": 3, "ROLLING_BACK": 3}


def _add_id(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("id", metavar="ID", help="the wave's id, the beginning of it, or 'last'")
    return parser


def _add_file(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("file", metavar="FILE", type=Path, help="the description of the wave, in YAML")
    add_mode(parser, unless="the file or its overrides say so")
    return parser


def _show_plans(command: Command | Running, service: Pumphouse, record: WaveRecord, out: TextIO) -> None:
    """Each group's plan, in a summary."""
    from pumphouse.cli.summary import show

    console = command.console(out)
    for group, plan in zip(record.groups, service.wave_plans(record.id), strict=True):
        begins = {"": "", "ask": ", when you say so"}.get(group.start, f", not before {group.start}")
        print(f"Group {one_line(group.name)}{begins}", file=out)
        show(plan, console)
        print(file=out)


class WaveRunning(Running):
    """The base of commands that carry a wave out."""

    def allows(self, group: Group) -> bool:
        """Ask on a terminal; elsewhere nobody can give the word."""
        if not sys.stdin.isatty():
            return False
        print(f"Begin with group {one_line(group.name)}? [y/N] ", end="", file=self._out, flush=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def waits(self, group: Group, until: datetime) -> None:
        """Say so."""
        print(
            f"Group {one_line(group.name)} begins at {when(until)}. Ctrl-C stops waiting.",
            file=self._out,
            flush=True,
        )

    def carries(
        self,
        group: Group,
        migration: MigrationRecord,
        plan: Plan,
        work: Callable[..., MigrationRecord],
    ) -> MigrationRecord:
        """With the progress of any migration."""
        print(f"\nGroup {one_line(group.name)}: migration {migration.id}", file=self._out, flush=True)
        tally = expected(plan, self._service.registry)
        ended, _ = self.carry_out(self._parsed, migration.id, tally, work)
        conclude(self, self._out, self._service, ended)
        return ended

    def begin(self, parsed: argparse.Namespace, service: Pumphouse) -> None:
        """Remember what the callbacks need."""
        self._parsed, self._service, self._out = parsed, service, self.out(parsed)

    def go_on(self, record: WaveRecord, *, replan: bool = False, skip_failed: bool = False) -> int:
        """Carry out what is left; the exit status."""
        ended = self._service.run_wave(record.id, self, replan=replan, skip_failed=skip_failed)
        return self.tell(ended)

    def tell(self, record: WaveRecord) -> int:
        """Say how the wave ended; the exit status."""
        why = f": {one_line(record.reason)}" if record.reason else ""
        print(f"\nWave {record.id} is {record.state}{why}", file=self._out)
        verbs = {
            "PAUSED": ("resume", "rollback"),
            "PARTIAL": ("resume", "rollback"),
            "SUCCEEDED": ("rollback",),
            "ROLLING_BACK": ("resume",),
        }
        for verb in verbs.get(str(record.state), ()):
            print(f"  {self.app.again('wave', verb, record.id)}", file=self._out)
        return STATUSES.get(str(record.state), 1)


class MigrateWave(WaveRunning):
    """Move groups of tenants or servers one after the other.

    Shows the plans of all groups and asks before anything is written. A group may wait for a time or for your
    word; the wave stops when too much fails. Exits with 3 when it waits for somebody, or a part has failed.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _add_file(super().get_parser(prog_name))
        parser.add_argument(
            "-y", "--yes", action="store_true", help="do not ask at the beginning; groups that ask still do"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Plan, show, ask, carry out."""
        if not parsed_args.yes and not sys.stdin.isatty():
            raise UsageError(
                "standard input is no terminal, so nobody can be asked",
                next_step="See the plans with 'pumphouse plan wave', and migrate with --yes.",
            )
        with self.app.service() as service:
            self.begin(parsed_args, service)
            with reading() as progress:
                mode = mode_of(parsed_args)
                record = service.plan_wave(parsed_args.file, disk_mode=mode, progress=progress)
            print(f"Wave {record.id}", file=self._out, flush=True)
            _show_plans(self, service, record, self._out)
            if not parsed_args.yes:
                print(f"Write this to {record.destination}? [y/N] ", end="", file=self._out, flush=True)
                if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
                    again = self.app.again("wave", "resume", record.id)
                    print(f"Nothing was written. The wave is kept; begin it with: {again}", file=self._out)
                    return 1
            return self.go_on(record)


class PlanWave(Command):
    """Show what a wave would do, and keep it.

    Writes nothing to any cloud. The wave begins with: pumphouse wave resume ID. Exits with 4 when the plan of
    a group is blocked.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _add_file(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Plan and show."""
        with self.app.service() as service:
            with reading() as progress:
                mode = mode_of(parsed_args)
                record = service.plan_wave(parsed_args.file, disk_mode=mode, progress=progress)
            self.say(f"Wave {record.id}")
            _show_plans(self, service, record, self.app.stdout)
            self.say(f"Begin it with: {self.app.again('wave', 'resume', record.id)}")
            for plan in service.wave_plans(record.id):
                plan.require_unblocked()
        return 0


class ResumeWave(WaveRunning):
    """Begin a wave that was planned, or go on with one.

    To resume is to give your word to the group that waits for it. A wave that was being taken back is taken
    back further.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _add_id(super().get_parser(prog_name))
        parser.add_argument(
            "--replan", action="store_true", help="move what has changed since it was planned as it is now"
        )
        parser.add_argument(
            "--skip-failed",
            action="store_true",
            help="leave what has failed or cannot begin, rather than try it again first",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Carry on; the exit status."""
        with self.app.service() as service:
            self.begin(parsed_args, service)
            record = service.wave(parsed_args.id)
            service.allow_wave(record.id)
            return self.go_on(record, replan=parsed_args.replan, skip_failed=parsed_args.skip_failed)


class RollbackWave(WaveRunning):
    """Take back all groups of a wave, the last one first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _add_id(super().get_parser(prog_name))
        parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Ask, and take back; 0 when all of it is taken back."""
        if not parsed_args.yes and not sys.stdin.isatty():
            raise UsageError(
                "standard input is no terminal, so nobody can be asked", next_step="Roll back with --yes."
            )
        with self.app.service() as service:
            self.begin(parsed_args, service)
            record = service.wave(parsed_args.id)
            if not parsed_args.yes:
                question = f"Remove from {record.destination} what wave {record.id} made? [y/N] "
                print(question, end="", file=self._out, flush=True)
                if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
                    self.say("Nothing was removed.")
                    return 1
            return self.tell(service.rollback_wave(record.id, self))


class ListWaves(Lister):
    """List waves, newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--limit", metavar="N", type=whole(1, 1_000_000), default=50, help="at most so many"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each."""
        with self.app.service() as service:
            found = service.waves(limit=parsed_args.limit)
        rows = [
            (one.id, str(one.state), one.name, len(one.groups), when(one.created_at), one.reason)
            for one in found
        ]
        return ("ID", "State", "Name", "Groups", "Created", "Reason"), rows


class ShowWave(Lister):
    """Show the groups of a wave."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _add_id(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each group."""
        with self.app.service() as service:
            record = service.wave(parsed_args.id)
            states = service.wave_states(record)
        rows = [
            (
                one.name,
                f"{one.kind} {', '.join(one.names)}",
                one.start,
                str(state),
                one.migration_id,
                one.plan_id,
            )
            for one, state in zip(record.groups, states, strict=True)
        ]
        return ("Group", "Moves", "Start", "State", "Migration", "Plan"), rows
