"""``pumphouse demo``: a tenant moves from one embedded cloud to another, before your eyes."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from pumphouse.cli.running import Running, expected, outcome, status_of, what_next
from pumphouse.errors import UsageError
from pumphouse.model import Scope, ScopeKind
from pumphouse.text import listed, one_line

if TYPE_CHECKING:
    from rich.console import Console

    from pumphouse.cli.devcloud import process
    from pumphouse.model import Inventory
    from pumphouse.service import Pumphouse
    from pumphouse.store.migrations import MigrationRecord

TENANT = "shop"
IDLE_SECONDS = 3600
SERVED_IDLE_SECONDS = 7 * 24 * 3600
"""While the dashboard is served the clouds end with it, unless it dies."""
TIMINGS = ("build=3", "suspend=1.5", "volume=1.5", "upload=1.5", "image=1", "snapshot=1")
"""Slow enough to be watched, and all of it still within a minute."""
_MARK = "pumphouse-demo"
_SHOWN = ("server", "volume", "network", "router", "floating_ip", "image", "user")


class Demo(Running):
    """Move a tenant between two embedded clouds, and show it.

    Starts two clouds on the loopback interface, fills the source with a web application, and migrates it.
    The clouds go on for an hour after the last request, so that you can try the other commands; with --serve
    they go on as long as the dashboard.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--directory",
            metavar="DIR",
            type=Path,
            help="where the demo keeps everything (default: a place of yours)",
        )
        parser.add_argument(
            "--serve",
            action="store_true",
            help="then serve the dashboard until Ctrl-C",
        )
        parser.add_argument(
            "--timing",
            metavar="KIND=SECONDS",
            action="append",
            help=f"how long a kind of change takes (default: {', '.join(TIMINGS)})",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Show it; the exit status of the migration."""
        from pumphouse.cli.devcloud import process
        from pumphouse.config import CONFIG_FILE_VARIABLE, load, state_directory

        directory = (parsed_args.directory or state_directory() / "demo").absolute()
        self.out_console = self.console(self.out(parsed_args))
        self._title("Starting two clouds on this machine")
        running = _start(directory, parsed_args.timing or TIMINGS, serves=parsed_args.serve)
        for name, about in sorted(running.clouds.items()):
            self._line(f"{name}: {about['auth_url']}")
        # From here on as in a shell that has read the env file.
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(running.clouds_yaml)
        os.environ[CONFIG_FILE_VARIABLE] = str(running.conf)
        with self.app.service(load()) as service:
            migration, interrupted = self._migrate(service, parsed_args)
            if str(migration.state) == "SUCCEEDED":
                self._title("The report")
                self._report(service, migration)
            if parsed_args.serve and not interrupted:
                for name in process.CLOUDS:
                    service.refresh(name)
        if parsed_args.serve and not interrupted:
            self._serve(running)
        self._title("What to try next")
        self._next(running, migration)
        return status_of(migration, interrupted=interrupted)

    def _serve(self, running: process.Running) -> None:
        """Serve the dashboard; with it ends this process, and so do the clouds."""
        from pumphouse.cli.api import serve
        from pumphouse.cli.devcloud import process
        from pumphouse.config import Auth, load

        config = load()
        options = replace(
            config.api, listen="127.0.0.1:0", auth=Auth.TOKEN, token_file=str(running.directory / "api-token")
        )
        self._title("The dashboard, until Ctrl-C")
        here = os.getpid()
        try:
            serve(replace(config, api=options), say=self._line, secrets=True)
        finally:
            if os.getpid() == here:  # the process that serves, which this one watches, ends through here, too
                process.stop(running.directory)

    def _migrate(self, service: Pumphouse, parsed: argparse.Namespace) -> tuple[MigrationRecord, bool]:
        """How it ended, and whether it was interrupted."""
        from pumphouse.cli import summary

        self._title(f"The tenant {TENANT} on the source")
        _show_tenant(service.inventory("source", tenant=TENANT), self.out_console)
        self._title("The plan")
        scope = Scope(kind=ScopeKind.TENANT, names=(TENANT,))
        plan = service.plan(scope, source="source", destination="destination")
        summary.show(plan, self.out_console)
        plan.require_unblocked()
        self._title("The migration")
        started = service.start(plan, check_fresh=False)
        ended, interrupted = self.carry_out(
            parsed, started.id, expected(plan, service.registry), lambda **how: service.run(started.id, **how)
        )
        self._line(outcome(ended))
        return ended, interrupted

    def _report(self, service: Pumphouse, migration: MigrationRecord) -> None:
        from pumphouse.cli.report import summarise

        summarise(service.report(migration.id), self.out_console)

    def _next(self, running: process.Running, migration: MigrationRecord) -> None:
        done = str(migration.state) == "SUCCEEDED"
        rows = [(f". {shlex.quote(str(running.env))}", "use these clouds in this shell")]
        if done:
            rows.append((f"pumphouse migrate tenant {TENANT}", "the second run, which has nothing to do"))
        rows += [(f"pumphouse migration {verb} {migration.id}", text) for verb, text in what_next(migration)]
        rows += [
            (f"pumphouse plan tenant {TENANT} --mermaid", "the plan as a graph"),
            (f"pumphouse devcloud stop --directory {shlex.quote(str(running.directory))}", "stop the clouds"),
        ]
        for command, meaning in rows:
            self.out_console.print(f"  # {meaning}", style="dim")
            self.out_console.print(f"  {command}", soft_wrap=True)

    def _title(self, text: str) -> None:
        self.out_console.print()
        self.out_console.print(f"== {text}", style="bold cyan")

    def _line(self, text: str) -> None:
        self.out_console.print(one_line(text), soft_wrap=True)
        self.out_console.file.flush()


def _start(directory: Path, timings: Iterable[str], *, serves: bool) -> process.Running:
    """The demo's clouds, fresh: those of an earlier demo there end, and what it left is removed."""
    from pumphouse.cli.devcloud import process

    mark = directory / _MARK
    if directory.is_dir() and any(directory.iterdir()) and not mark.exists():
        raise UsageError(
            f"{directory} is not empty, and not of an earlier demo", next_step="Name another --directory."
        )
    process.stop(directory)
    if directory.is_dir():
        shutil.rmtree(directory)
    process.make(directory)
    mark.touch()
    with as_file(files("pumphouse") / "samples" / "devcloud") as samples:
        words = process.arguments(
            directory,
            process.CLOUDS,
            fill=[f"{name}={samples / f'demo-{name}.yaml'}" for name in process.CLOUDS],
            timing=tuple(timings),
            idle_exit=SERVED_IDLE_SECONDS if serves else IDLE_SECONDS,
        )
        return process.start(directory, words)


def _show_tenant(inventory: Inventory, console: Console) -> None:
    """The tenant's main resources by name, and how many others there are."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    counts = inventory.counts()
    for kind in _SHOWN:
        names = sorted(one.name for one in inventory.of_type(kind))
        if names:
            table.add_row(f"{len(names)}", kind.replace("_", " "), listed(names))
    others = sum(count for kind, count in counts.items() if kind not in _SHOWN)
    table.add_row(f"{others}", "others", listed(sorted(set(counts) - set(_SHOWN)), most=6))
    console.print(table)
