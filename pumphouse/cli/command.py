"""The bases of commands, on cliff's."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

import cliff.command
import cliff.lister
import cliff.show

from pumphouse.cli.app import Application
from pumphouse.errors import UsageError
from pumphouse.text import one_line

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_FILES = 160
_FOR_PEOPLE = frozenset({"table", "value"})


class Base(cliff.command.Command):
    """What all commands have: the application with its own type."""

    app: Application

    def get_epilog(self) -> str:
        """The class's. Cliff's would read every installed package to see which one has the command."""
        return ""

    def say(self, text: str = "") -> None:
        """A line on standard output."""
        print(text, file=self.app.stdout)

    def complain(self, text: object) -> None:
        """A line on standard error."""
        print(f"{self.app.NAME}: {one_line(text)}", file=self.app.stderr)

    def console(self, out: TextIO | None = None) -> Console:
        """For output with colours where they are wanted. Names are never taken for markup."""
        from rich.console import Console

        out = out or self.app.stdout
        width = None if out.isatty() else _WIDTH_OF_FILES
        return Console(file=out, width=width, highlight=False, markup=False, emoji=False)


class Command(Base):
    """A command that prints what it likes; ``take_action`` returns the exit status, None being 0."""


class Lister(Base, cliff.lister.Lister):
    """A listing, in each of cliff's formats.

    ``status`` is the exit status. ``wide`` names columns that a table has only with ``--long``: it shall fit
    a terminal. The other formats always have them all.
    """

    status = 0
    wide: ClassVar[frozenset[str]] = frozenset()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The parser, to which a command adds its arguments."""
        parser = super().get_parser(prog_name)
        if self.wide:
            columns = ", ".join(sorted(self.wide))
            parser.add_argument(
                "--long", action="store_true", help=f"put more columns into a table: {columns}"
            )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Show it; the exit status."""
        return super().run(parsed_args) or self.status

    def produce_output(
        self, parsed_args: argparse.Namespace, column_names: Sequence[str], data: Iterable[Sequence[Any]]
    ) -> int:
        """Rows of a table stay rows, whatever the cells hold; JSON, YAML and CSV have their own ways."""
        if parsed_args.formatter in _FOR_PEOPLE:
            data = [tuple(map(_cell, row)) for row in data]
        if parsed_args.formatter == "table" and self.wide and not (parsed_args.long or parsed_args.columns):
            parsed_args.columns = [name for name in column_names if name not in self.wide]
        with _known_columns():
            return super().produce_output(parsed_args, column_names, data)


class ShowOne(Base, cliff.show.ShowOne):
    """One thing, field by field, in each of cliff's formats."""

    def produce_output(
        self, parsed_args: argparse.Namespace, column_names: Sequence[str], data: Sequence[Any]
    ) -> int:
        """Values stay on their line."""
        if parsed_args.formatter in _FOR_PEOPLE:
            data = tuple(map(_cell, data))
        with _known_columns():
            return super().produce_output(parsed_args, column_names, data)


@contextmanager
def _known_columns() -> Iterator[None]:
    """Cliff's complaint about a column that does not exist, as bad usage."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error).rstrip(".")) from None


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(one_line, value))
    return one_line(value) if isinstance(value, str) else value
