"""The arguments that say what to move, and from where to where."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pumphouse.cli.parsing import name
from pumphouse.model import DiskMode, Scope, ScopeKind, Strategy

if TYPE_CHECKING:
    from pumphouse.plan.document import Plan

SOURCE = "source"
DESTINATION = "destination"


def add_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add KIND, NAME ... and the options of planning."""
    parser.add_argument(
        "kind",
        metavar="KIND",
        choices=[str(kind) for kind in ScopeKind],
        nargs=None if required else "?",
        help=f"what the names stand for: {', '.join(ScopeKind)}",
    )
    parser.add_argument(
        "names",
        metavar="NAME",
        type=name,
        nargs="+" if required else "*",
        help="a name or an id; a tenant may also be given as DOMAIN/NAME",
    )
    parser.add_argument(
        "--source", metavar="CLOUD", type=name, help=f"the cloud to move from (default: {SOURCE})"
    )
    parser.add_argument(
        "--destination", metavar="CLOUD", type=name, help=f"the cloud to move to (default: {DESTINATION})"
    )
    parser.add_argument(
        "--with",
        dest="strategy",
        choices=[str(strategy) for strategy in Strategy],
        help="which meta-resources come along: those that are needed, or all of the source's "
        "(default: as configured)",
    )
    add_mode(parser)
    parser.add_argument("--override", metavar="FILE", type=Path, help="a YAML file with mappings and rules")


def add_mode(parser: argparse.ArgumentParser, *, unless: str = "") -> None:
    """Add --mode, whose choice is :func:`mode_of`.

    :param unless: what wins over it.
    """
    parser.add_argument(
        "--mode",
        choices=[str(mode) for mode in DiskMode],
        help="how servers' root disks get there: made anew from the image, copied as a snapshot, copied into "
        f"a volume, or whichever loses nothing{unless and f', unless {unless}'} (default: as configured)",
    )


def mode_of(parsed: argparse.Namespace) -> DiskMode | None:
    """The mode that was given, if one was."""
    return DiskMode(parsed.mode) if parsed.mode else None


def scope_of(parsed: argparse.Namespace, default: Strategy) -> Scope:
    """The scope that was given."""
    return Scope(
        kind=ScopeKind(parsed.kind),
        names=tuple(dict.fromkeys(parsed.names)),
        strategy=Strategy(parsed.strategy) if parsed.strategy else default,
    )


def words(plan: Plan, *, override: Path | None) -> list[str]:
    """The arguments that make a plan again; what it was overridden with is in a file of its own."""
    scope = plan.scope
    given = [str(scope.kind), *scope.names, "--with", str(scope.strategy)]
    clouds = (("--source", plan.source, SOURCE), ("--destination", plan.destination, DESTINATION))
    given += [word for option, value, default in clouds if value != default for word in (option, value)]
    given += ["--mode", plan.disk_mode]
    return given if override is None else [*given, "--override", str(override)]
