"""The application: global options, logging, and the way to a command."""

from __future__ import annotations

import argparse
import inspect
import itertools
import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cliff.app
from cliff.commandmanager import CommandManager

from pumphouse import __version__
from pumphouse.cli import logs
from pumphouse.cli.parsing import plain_errors
from pumphouse.errors import UsageError

if TYPE_CHECKING:
    # Commands that need neither must not pay for their imports.
    from pumphouse.config import Config
    from pumphouse.service import Pumphouse

DESCRIPTION = "Move tenants and their workloads from one OpenStack cloud to another."
_HELP = "See: pumphouse --help"
_LEVELS = {0: logging.ERROR, 1: logging.WARNING, 2: logging.INFO}


class Application(cliff.app.App):
    """The ``pumphouse`` command. The commands are found by their entry points, ``pumphouse.cli``."""

    NAME = "pumphouse"

    def __init__(self) -> None:
        self.options = argparse.Namespace(debug=False)
        super().__init__(
            description=DESCRIPTION,
            version=__version__,
            command_manager=CommandManager("pumphouse.cli"),
            deferred_help=True,
        )

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        """The global options. Abbreviations are off: they would swallow options of the commands."""
        parser = argparse.ArgumentParser(
            prog=self.NAME, description=description, add_help=False, allow_abbrev=False
        )
        parser.add_argument("--version", action="version", version=f"{self.NAME} {version}")
        parser.add_argument("-h", "--help", dest="deferred_help", action="store_true", help="show this help")
        parser.add_argument(
            "-v",
            "--verbose",
            dest="verbose_level",
            action="count",
            default=1,
            help="say more on standard error; twice for the requests to the clouds",
        )
        parser.add_argument(
            "-q", "--quiet", dest="verbose_level", action="store_const", const=0, help="leave warnings out"
        )
        parser.add_argument("--log-file", metavar="FILE", help="append a detailed log to this file")
        parser.add_argument(
            "--debug",
            action="store_true",
            help="show the traceback of an error and the requests to the clouds, secrets masked",
        )
        parser.add_argument(
            "--config-file",
            metavar="FILE",
            action="append",
            help="read this instead of pumphouse.conf; can be repeated, later ones win",
        )
        return plain_errors(parser)

    @property
    def debugging(self) -> bool:
        """Whether tracebacks are wanted."""
        return bool(self.options.debug)

    def print_help_if_requested(self) -> None:
        """The options and the commands, one line each. Cliff's would make every command to ask it."""
        if not self.options.deferred_help:
            return
        commands = {name: inspect.getdoc(entry.load()) or "" for name, entry in sorted(self.command_manager)}
        width = max(map(len, commands))
        self.parser.print_help(self.stdout)
        lines = [f"  {name:<{width}}  {text.partition(chr(10))[0]}" for name, text in commands.items()]
        print(
            "", "commands:", *lines, "", f"{self.NAME} COMMAND --help tells more.", sep="\n", file=self.stdout
        )
        raise SystemExit(0)

    def configure_logging(self) -> None:
        """Ours instead of cliff's, which would let every package speak."""
        wordy = self.options.verbose_level
        logs.configure(
            level=_LEVELS.get(wordy, logging.DEBUG),
            debug=self.options.debug or wordy > 2,
            file=self.options.log_file,
        )

    def run(self, argv: list[str]) -> int:
        """Run one command; its exit status. Errors are the caller's to show."""
        self.options, words = self.parser.parse_known_args(argv)
        self.configure_logging()
        if self.options.deferred_help and words:
            self.options.deferred_help = False
            # What follows the command's words says nothing about which help is meant.
            words = ["help", *itertools.takewhile(lambda word: not word.startswith("-"), words)]
        self.print_help_if_requested()
        if not words:
            raise UsageError("no command given", next_step=_HELP)
        return self.run_subcommand(words)

    def run_subcommand(self, argv: list[str]) -> int:
        """Find the command, parse the rest and run it."""
        try:
            factory, name, rest = self.command_manager.find_command(argv)
        except ValueError:
            raise self._unknown(argv) from None
        if name == "help" and rest and not any(one.startswith(rest[0]) for one, _ in self.command_manager):
            raise self._unknown(rest)
        command = factory(self, self.options, cmd_name=name)
        parser = plain_errors(command.get_parser(f"{self.NAME} {name}"))
        return command.run(parser.parse_args(rest))

    def _unknown(self, argv: list[str]) -> UsageError:
        if argv[0].startswith("-"):
            return UsageError(f"there is no option {argv[0]!r}", next_step=_HELP)
        words = list(itertools.takewhile(lambda word: not word.startswith("-"), argv))
        group = [name for name, _ in self.command_manager if name.split()[0] == words[0]]
        near = sorted(group) or self.get_fuzzy_matches(words[0])
        return UsageError(
            f"there is no command {' '.join(words[:2])!r}",
            next_step=f"Did you mean: {', '.join(near)}?" if near else _HELP,
        )

    def again(self, *words: str) -> str:
        """A command to copy: with the configuration files that this one was given."""
        files = [word for file in self.options.config_file or () for word in ("--config-file", file)]
        return shlex.join([self.NAME, *files, *words])

    def config(self) -> Config:
        """The configuration, of the files that were named or else of the usual places."""
        from pumphouse.config import load

        return load(self.options.config_file)

    @contextmanager
    def service(self, config: Config | None = None) -> Iterator[Pumphouse]:
        """The use cases, for as long as the command runs."""
        from pumphouse.service import Pumphouse

        with Pumphouse.open(config or self.config()) as service:
            yield service
