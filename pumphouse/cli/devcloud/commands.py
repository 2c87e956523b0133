"""``pumphouse devcloud``: start, stop, status, fill."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumphouse.cli.command import Command, Lister
from pumphouse.cli.parsing import name, seconds
from pumphouse.errors import UsageError

if TYPE_CHECKING:
    from pumphouse.cli.devcloud.process import Running


def _add_directory(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "--directory",
        metavar="DIR",
        type=Path,
        help="where the clouds keep everything (default: a place of yours)",
    )
    return parser


def _directory(parsed: argparse.Namespace) -> Path:
    from pumphouse.cli.devcloud.process import default_directory

    given: Path = parsed.directory or default_directory()
    return given.absolute()


class Start(Command):
    """Start embedded clouds in the background.

    They are empty but for an administrator, and keep nothing but their files when they end.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _add_directory(super().get_parser(prog_name))
        parser.add_argument(
            "names", metavar="NAME", nargs="*", type=name, help="the clouds (default: source destination)"
        )
        parser.add_argument(
            "--fill", metavar="NAME=FILE", action="append", default=[], help="fill a cloud from a description"
        )
        parser.add_argument(
            "--timing",
            metavar="KIND=SECONDS",
            action="append",
            default=[],
            help="how long a kind of change takes",
        )
        parser.add_argument(
            "--idle-exit", metavar="SECONDS", type=seconds, help="end after so long without a request"
        )
        parser.add_argument("--foreground", action="store_true", help="run until Ctrl-C")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Start them, and tell how to use them."""
        from pumphouse.cli.devcloud import process

        directory = _directory(parsed_args)
        words = process.arguments(
            directory,
            tuple(dict.fromkeys(parsed_args.names)) or process.CLOUDS,
            fill=[_absolute(pair) for pair in parsed_args.fill],
            timing=parsed_args.timing,
            idle_exit=parsed_args.idle_exit,
        )
        if parsed_args.foreground:
            from pumphouse.devcloud.runner import main

            return main(words)
        running = process.start(directory, words)
        for one, about in sorted(running.clouds.items()):
            self.say(f"{one}: {about['auth_url']}")
        self.say(f"Use them with: . {shlex.quote(str(running.env))}")
        return 0


def _absolute(pair: str) -> str:
    """NAME=FILE with the file's whole path: the clouds' process has a working directory of its own."""
    cloud, equals, file = pair.partition("=")
    if not (cloud and equals and file):
        raise UsageError(f"--fill takes NAME=FILE, not {pair!r}")
    _description(Path(file))
    return f"{cloud}={Path(file).absolute()}"


class Stop(Command):
    """Stop the embedded clouds that were started there."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _add_directory(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Stop them. None to stop is fine."""
        from pumphouse.cli.devcloud import process

        directory = _directory(parsed_args)
        self.say("Stopped." if process.stop(directory) else f"No clouds run in {directory}.")
        return 0


class Status(Lister):
    """List the embedded clouds that run there. Exits with 1 if none do."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return _add_directory(super().get_parser(prog_name))

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each."""
        running = _running(parsed_args)
        self.status = 0 if running else 1
        rows = [
            (one, about["auth_url"], running.pid, str(running.clouds_yaml))
            for one, about in sorted(running.clouds.items() if running else ())
            if running
        ]
        return ("Name", "Auth URL", "Process", "clouds.yaml"), rows


class Fill(Command):
    """Fill an embedded cloud from a description."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = _add_directory(super().get_parser(prog_name))
        parser.add_argument("name", metavar="NAME", type=name, help="the cloud")
        parser.add_argument("file", metavar="FILE", type=Path, help="the description, in YAML")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Fill it."""
        from pumphouse.cli.devcloud import process

        running = _running(parsed_args)
        if running is None:
            raise UsageError("no clouds run there", next_step="Start some with: pumphouse devcloud start")
        process.fill(running, parsed_args.name, _description(parsed_args.file))
        self.say(f"Filled {parsed_args.name}.")
        return 0


def _description(path: Path) -> dict[str, Any]:
    """A description from its file. Raises UsageError."""
    from pumphouse import yamlfile

    data = yamlfile.load(path, error=UsageError)
    if not isinstance(data, dict):
        raise UsageError(f"{path} does not hold a description")
    return data


def _running(parsed: argparse.Namespace) -> Running | None:
    from pumphouse.cli.devcloud import process

    return process.find(_directory(parsed))
