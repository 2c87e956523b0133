"""``pumphouse migration``: watch, pause, resume, cancel, retry, rollback."""

from __future__ import annotations

import argparse
import sys
import time
from abc import abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from pumphouse.cli import progress
from pumphouse.cli.command import Command
from pumphouse.cli.migration import add_id
from pumphouse.cli.progress import Style
from pumphouse.cli.running import Running, conclude, expected, status_of, told
from pumphouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pumphouse.events import Event
    from pumphouse.service import Pumphouse
    from pumphouse.store.migrations import MigrationRecord

_LOOK_EVERY = 0.5


class Watch(Command):
    """Follow a migration that another process runs.

    Ends with it, and with its exit status. Ctrl-C stops watching only.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = add_id(super().get_parser(prog_name))
        progress.add_option(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Show the events from the first one on; the exit status of the migration."""
        json = parsed_args.progress == Style.JSON
        with self.app.service() as service:
            id = service.migration(parsed_args.id).id
            style = progress.choose(parsed_args.progress, self.app.stdout)
            tally = expected(service.plan_of(id), service.registry)
            with progress.make(style, self.app.stdout, tally) as view:
                ended = _follow(service, id, view)
            conclude(self, self.app.stderr if json else self.app.stdout, service, ended)
        return status_of(ended)


def _follow(service: Pumphouse, id: str, view: progress.Progress) -> MigrationRecord:
    """Feed the view until nobody is at work any longer; how the migration is then."""
    after = 0
    while True:
        migration = service.migration(id)  # read before the events, so that none is missed at the end
        for number, event in _events(service, id, after):
            view(event)
            after = number
        if migration.state.ended or str(migration.state) == "PAUSED":
            return migration
        if migration.state.active and not _at_work(migration):
            view.say("No process is at work on it.")
            return migration
        time.sleep(_LOOK_EVERY)


def _events(service: Pumphouse, id: str, after: int) -> Iterator[tuple[int, Event]]:
    """All events numbered above ``after``, page by page."""
    while page := service.events(id, after=after):
        for stored in page:
            after = stored.seq
            yield after, stored.event()


def _at_work(migration: MigrationRecord) -> bool:
    owner = migration.owner
    return owner is not None and owner.alive(heartbeat_at=migration.heartbeat_at, now=datetime.now(UTC))


class Pause(Command):
    """Pause a migration when the steps under way are done."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return add_id(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Ask."""
        with self.app.service() as service:
            migration = service.pause(parsed_args.id)
        paused = str(migration.state) == "PAUSED"
        self.say(f"Migration {migration.id} " + ("is paused." if paused else "will pause."))
        self.say(f"Carry on with: {self.app.again('migration', 'resume', migration.id)}")
        return 0


class Cancel(Command):
    """Stop a migration for good.

    The process that runs it takes back what is not done; what is done stays, until it is rolled back.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return add_id(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Ask."""
        with self.app.service() as service:
            migration = service.cancel(parsed_args.id)
        cancelled = str(migration.state) == "CANCELLED"
        self.say(f"Migration {migration.id} " + ("is cancelled." if cancelled else "will be cancelled."))
        self.say(f"Take back what it did with: {self.app.again('migration', 'rollback', migration.id)}")
        return 0


class Resume(Running):
    """Carry on with a paused migration, or after a crash."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return add_id(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Carry on; the exit status."""
        out = self.out(parsed_args)
        with self.app.service() as service:
            id = service.migration(parsed_args.id).id
            tally = expected(service.plan_of(id), service.registry)
            # What was done before the pause counts too.
            for _, event in _events(service, id, 0):
                tally.take(event)
            tally.running.clear()
            ended, interrupted = self.carry_out(
                parsed_args, id, tally, lambda **how: service.resume(id, **how)
            )
            conclude(self, out, service, ended)
        # It goes on with a roll-back only if that was asked for before.
        return status_of(ended, interrupted=interrupted, taken_back=True)


class PlanningAgain(Running):
    """Makes a new plan for a migration, and carries it out."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return add_id(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Do it; the exit status."""
        out = self.out(parsed_args)
        with self.app.service() as service:
            id = service.migration(parsed_args.id).id
            tally = expected(service.plan_of(id), service.registry)
            tally.total = tally.resources = 0  # only the new plan knows, which the service makes
            do = self.use_case(service)
            ended, interrupted = self.carry_out(parsed_args, id, tally, lambda **how: do(id, **how))
            self.tell(service, ended, out)
            conclude(self, out, service, ended)
        return status_of(ended, interrupted=interrupted)

    @abstractmethod
    def use_case(self, service: Pumphouse) -> Callable[..., MigrationRecord]:
        """What of the service does it."""

    def tell(self, service: Pumphouse, ended: MigrationRecord, out: TextIO) -> None:
        """Print what there is to say before how it ended."""


class Retry(PlanningAgain):
    """Plan again what a migration did not achieve, and do it."""

    def use_case(self, service: Pumphouse) -> Callable[..., MigrationRecord]:
        """Retry."""
        return service.retry


class CutOver(PlanningAgain):
    """Move the servers of a prepared migration.

    And all else that was left. Plans again first: what has changed since it was prepared comes along.
    """

    def use_case(self, service: Pumphouse) -> Callable[..., MigrationRecord]:
        """Cut over."""
        return service.cut_over

    def tell(self, service: Pumphouse, ended: MigrationRecord, out: TextIO) -> None:
        """The sums, with each server's downtime."""
        told(service, ended, self.console(out), out)


class Rollback(Running):
    """Take back what a migration made.

    What it only reused stays. Asks before anything is removed.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = add_id(super().get_parser(prog_name))
        parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Do it; 0 when all of it is taken back."""
        out = self.out(parsed_args)
        if not parsed_args.yes and not sys.stdin.isatty():
            raise UsageError(
                "standard input is no terminal, so nobody can be asked", next_step="Roll back with --yes."
            )
        with self.app.service() as service:
            migration = service.migration(parsed_args.id)
            if not parsed_args.yes and not self._confirmed(migration):
                self.say("Nothing was removed.")
                return 1
            tally = expected(service.plan_of(migration.id), service.registry)
            ended, interrupted = self.carry_out(
                parsed_args, migration.id, tally, lambda **how: service.rollback(migration.id, **how)
            )
            conclude(self, out, service, ended)
        return status_of(ended, interrupted=interrupted, taken_back=True)

    def _confirmed(self, migration: MigrationRecord) -> bool:
        print(
            f"Remove from {migration.destination} what migration {migration.id} made? [y/N] ",
            end="",
            flush=True,
        )
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
