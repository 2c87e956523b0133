"""Makes a plan for a command, telling what is read meanwhile."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pumphouse.cli.scope import DESTINATION, SOURCE, mode_of, scope_of

if TYPE_CHECKING:
    from pumphouse.config import Config
    from pumphouse.plan.document import Plan
    from pumphouse.service import Pumphouse


def make_plan(service: Pumphouse, config: Config, parsed: argparse.Namespace) -> Plan:
    """The plan for the arguments of :mod:`pumphouse.cli.scope`."""
    with reading() as progress:
        return service.plan(
            scope_of(parsed, config.migration.strategy),
            source=parsed.source or SOURCE,
            destination=parsed.destination or DESTINATION,
            override_file=parsed.override,
            disk_mode=mode_of(parsed),
            progress=progress,
        )


@contextmanager
def reading() -> Iterator[Callable[[str, str, int], None]]:
    """A function (cloud, type, how many) that shows what was read, on a terminal's standard error only."""
    if not sys.stderr.isatty():
        yield lambda _cloud, _type, _count: None
        return
    from rich.console import Console

    found: dict[str, int] = {}
    console = Console(stderr=True)
    with console.status("Reading the clouds", spinner="dots") as status:

        def show(cloud: str, _type: str, count: int) -> None:
            found[cloud] = found.get(cloud, 0) + count
            counts = ", ".join(f"{name}: {number} resources" for name, number in sorted(found.items()))
            status.update(f"Reading the clouds: {counts}")

        yield show
