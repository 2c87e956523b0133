"""``pumphouse evacuate``: empty a hypervisor inside its cloud."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pumphouse.cli.command import Lister
from pumphouse.cli.interrupt import pausing
from pumphouse.cli.parsing import name, whole
from pumphouse.errors import PlanBlocked, UsageError
from pumphouse.text import counted, one_line

if TYPE_CHECKING:
    from pumphouse.service import Pumphouse

INCOMPLETE = 3
INTERRUPTED = 130


class Evacuate(Lister):
    """Empty a hypervisor inside its cloud, such as before maintenance.

    Running servers move alive, stopped ones cold. The host's compute service is disabled first; it stays so
    when the host is empty, and is enabled again when some servers stay. Ctrl-C lets what is under way end.
    Run again after a crash, it goes on. Exits with 3 when some servers stay, and 4 when it cannot be begun.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "host", metavar="HOST", type=name, help="the host, as its compute service calls it"
        )
        parser.add_argument("--cloud", metavar="CLOUD", type=name, required=True, help="the host's cloud")
        parser.add_argument(
            "--at-once",
            metavar="N",
            type=whole(1, 256),
            default=4,
            help="how many servers move at the same time (default: 4)",
        )
        parser.add_argument(
            "--partly", action="store_true", help="move what can be moved, though some servers cannot"
        )
        parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Show, ask, move, show; the exit status."""
        from pumphouse.service.moves import require_movable

        if not parsed_args.yes and not sys.stdin.isatty():
            raise UsageError(
                "standard input is no terminal, so nobody can be asked", next_step="Evacuate with --yes."
            )
        with self.app.service() as service:
            self.moves = service.plan_evacuation(parsed_args.cloud, parsed_args.host)
            if not parsed_args.partly:
                try:
                    require_movable(self.moves, cloud=parsed_args.cloud)
                except PlanBlocked:
                    super().run(parsed_args)
                    raise
            if not parsed_args.yes:
                super().run(parsed_args)
                if not self._confirmed(parsed_args.host):
                    self._tell("Nothing was changed.")
                    return 1
            return self._evacuate(service, parsed_args)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each server."""
        columns = ("ID", "Name", "Status", "Way", "State", "To", "Seconds", "Reason")
        rows = [
            (one.id, one.name, one.was, str(one.way), str(one.state), one.to, one.seconds, one.why)
            for one in self.moves
        ]
        return columns, rows

    def _evacuate(self, service: Pumphouse, parsed: argparse.Namespace) -> int:
        from pumphouse.engine.control import Control
        from pumphouse.service.moves import Move

        control = Control()
        again = self.app.again("evacuate", parsed.host, "--cloud", parsed.cloud)
        with pausing(control, say=self._tell, restore=lambda: None, resume=again) as interrupts:
            record = service.evacuate(
                parsed.cloud, parsed.host, at_once=parsed.at_once, listener=self._tell, stop=control.stop
            )
        self.moves = sorted(map(Move.of, record.servers.values()), key=lambda one: (one.name, one.id))
        super().run(parsed)
        if record.state == "DONE":
            self._tell(f"Host {parsed.host} is empty, and its compute service is disabled.")
            return 0
        self._tell(f"{record.reason}. Go on with: {again}")
        return INTERRUPTED if interrupts.count else INCOMPLETE

    def _confirmed(self, host: str) -> bool:
        moving = sum(one.state != "STAYS" for one in self.moves)
        text = f"Disable the compute service of {host}, and move {counted(moving, 'server')}? [y/N] "
        print(text, end="", file=self.app.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def _tell(self, text: str) -> None:
        print(one_line(text), file=self.app.stderr, flush=True)
