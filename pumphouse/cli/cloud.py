"""``pumphouse cloud list`` and ``pumphouse cloud check``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from pumphouse.cli.command import Lister
from pumphouse.cli.parsing import name


class ListClouds(Lister):
    """List the clouds of clouds.yaml."""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """Their names; nothing is asked of them."""
        with self.app.service() as service:
            return ("Name",), [(one,) for one in service.cloud_names()]


class CheckCloud(Lister):
    """Check what a cloud offers and what you may do there.

    Tells what a migration would lose, too. Exits with 1 when the cloud cannot be used for a migration.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("cloud", metavar="CLOUD", type=name, help="the cloud's name in clouds.yaml")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Any]]:
        """One row for each thing that was looked at."""
        with self.app.service() as service:
            found = service.check_cloud(parsed_args.cloud)
        self.status = 0 if found.usable else 1
        rows: list[tuple[str, str, str]] = [
            (
                "account",
                _state(found.admin),
                f"roles {', '.join(found.roles) or 'none'}; region {found.region}",
            ),
        ]
        for one in found.services:
            versions = (
                f", {one.oldest_microversion} to {one.newest_microversion}" if one.newest_microversion else ""
            )
            about = one.error or f"{one.url} (version {one.version or 'unknown'}{versions})"
            rows.append((str(one.service), _state(not one.error), about))
        rows += [("", "warning", warning) for warning in found.warnings]
        return ("What", "State", "About"), rows


def _state(fine: bool) -> str:  # noqa: FBT001 - the word for it
    return "ok" if fine else "fails"
