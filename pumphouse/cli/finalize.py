"""``pumphouse migration finalize``: list, ask, remove for good."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pumphouse.cli.command import Lister
from pumphouse.cli.migration import add_id
from pumphouse.errors import UsageError
from pumphouse.text import counted, one_line

if TYPE_CHECKING:
    from pumphouse.service import Pumphouse
    from pumphouse.service.finalizable import Candidate

INCOMPLETE = 3
"""The exit status when something of what was asked for is still there."""
_PARTS = {
    "source-servers": "the moved servers on the source",
    "source-volumes": "the moved volumes on the source",
    "markers": "the markers on the destination, which say what was made from what",
}


class Finalize(Lister):
    """Remove for good what a migration has left.

    Without options it lists what could be removed, and changes nothing. Servers and volumes of the source are
    removed only if they are proved to be on the destination and were not used since. The migration cannot be
    rolled back afterwards. Exits with 3 when some of it had to stay.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = add_id(super().get_parser(prog_name))
        for name, meaning in _PARTS.items():
            parser.add_argument(
                f"--{name}", dest="parts", action="append_const", const=name, help=f"remove {meaning}"
            )
        parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """List, ask, remove; the exit status."""
        from pumphouse.service.finalizable import Part

        parts = {Part(name) for name in parsed_args.parts or ()}
        if parts and not parsed_args.yes and not sys.stdin.isatty():
            raise UsageError(
                "standard input is no terminal, so nobody can be asked",
                next_step="See what would go without options, and finalise with --yes.",
            )
        with self.app.service() as service:
            id = service.migration(parsed_args.id).id
            self.found = service.finalizable(id, parts or None)
            super().run(parsed_args)
            going = [one for one in self.found if one.goes]
            if not parts:
                self._hint(id, going)
                return 0
            if going and not (parsed_args.yes or self._confirmed(going)):
                self._tell("Nothing was removed.")
                return 1
            return self._remove(service, id, going)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each candidate."""
        rows = [
            (
                "marker" if one.part == "markers" else f"source {one.ref.type}",
                one.name,
                one.identity,
                "yes" if one.goes else "no",
                one.why_not or "; ".join(one.lost),
            )
            for one in self.found
        ]
        return ("What", "Name", "ID", "Goes", "Reason, or what is lost with it"), rows

    def _hint(self, id: str, going: Sequence[Candidate]) -> None:
        options = [f"--{name}" for name in _PARTS if any(one.part == name for one in going)]
        again = self.app.again("migration", "finalize", id, *options)
        self._tell(
            f"Nothing was removed. Remove it for good with: {again}"
            if options
            else "There is nothing to remove."
        )

    def _confirmed(self, going: Sequence[Candidate]) -> bool:
        """Ask, once."""
        print(
            f"Remove {counted(len(going), 'thing')} for good? It cannot be undone, and the migration "
            "cannot be rolled back afterwards. [y/N] ",
            end="",
            file=self.app.stderr,
            flush=True,
        )
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def _remove(self, service: Pumphouse, id: str, going: Sequence[Candidate]) -> int:
        failed = service.finalize(id, going)
        for line in failed:
            self.complain(f"not removed: {line}")
        kept = len(self.found) - len(going)
        self._tell(f"Removed: {len(going) - len(failed)}. Not removed: {kept + len(failed)}.")
        return INCOMPLETE if kept or failed else 0

    def _tell(self, text: str) -> None:
        """Beside the listing, which programs read."""
        print(one_line(text), file=self.app.stderr)
