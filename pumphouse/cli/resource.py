"""``pumphouse resource types``."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from pumphouse.cli.command import Lister


class ListTypes(Lister):
    """List the types of resources, needed ones first.

    One without steps is not moved: plans and reports list it as work for people.
    """

    wide = frozenset({"Refers to", "Steps"})

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each, from its declaration."""
        from pumphouse.registry import Registry, targets

        registry = Registry.load()
        columns = ("Type", "Service", "Scope", "Refers to", "Steps", "What it is")
        rows = [
            (
                name,
                str(kind.service),
                str(kind.scope),
                sorted(targets(kind)),
                [step.name for step in kind.steps],
                (inspect.getdoc(type(kind)) or "").partition("\n")[0],
            )
            for name, kind in registry.items()
        ]
        return columns, rows
