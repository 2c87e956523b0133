"""``pumphouse inventory``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from pumphouse.cli.command import Lister
from pumphouse.cli.parsing import name


class ListInventory(Lister):
    """List what a cloud holds."""

    wide = frozenset({"Project ID"})

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("cloud", metavar="CLOUD", type=name, help="the cloud's name in clouds.yaml")
        parser.add_argument("--tenant", metavar="T", type=name, help="only what belongs to this tenant")
        parser.add_argument(
            "--type",
            metavar="TYPE",
            dest="types",
            action="append",
            default=[],
            help="only this type; can be repeated",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each resource; in JSON and YAML with its fields."""
        from pumphouse.cli.planning import reading

        with self.app.service() as service:
            with reading() as progress:
                found = service.inventory(
                    parsed_args.cloud, tenant=parsed_args.tenant, types=parsed_args.types, progress=progress
                )
            rank = service.registry.rank
        ordered = sorted(found, key=lambda one: (rank[one.ref.type], one.name, one.ref.id))
        columns: tuple[str, ...] = ("Type", "Name", "ID", "Project ID")
        rows: list[tuple[Any, ...]] = [
            (one.ref.type, one.name, one.ref.id, one.project_id) for one in ordered
        ]
        if parsed_args.formatter in {"json", "yaml"}:
            columns += ("Fields",)
            rows = [(*row, dict(one.fields)) for row, one in zip(rows, ordered, strict=True)]
        return columns, rows
