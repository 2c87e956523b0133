"""Two real clouds and an operator's command line between them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checks import Moved
from listing import Listing, listing
from openstack.connection import Connection
from tenant import Site

SIDES = ("source", "destination")


@dataclass(frozen=True)
class Pair:
    """A source and a destination. What a run of the tests finds goes into ``record``."""

    directory: Path
    clouds: Mapping[str, Connection]
    keystones: Mapping[str, str | None]
    record: dict[str, Any] = field(default_factory=dict)

    def back(self, directory: Path) -> Pair:
        """The other way round, with a store of its own."""
        turned = dict(zip(SIDES, reversed(SIDES), strict=True))
        return Pair(
            directory,
            {side: self.clouds[other] for side, other in turned.items()},
            {side: self.keystones[other] for side, other in turned.items()},
            self.record,
        ).ready()

    def ready(self) -> Pair:
        """Write the operator's configuration."""
        groups = [
            f"[cloud:{self.clouds[side].config.name}]\nkeystone_database = {url.replace('$', '$$')}\n"
            for side, url in self.keystones.items()
            if url
        ]
        config = self.directory / "pumphouse.conf"
        config.touch(mode=0o600)
        config.write_text(f"[store]\nurl = sqlite:///{self.directory}/pumphouse.db\n{''.join(groups)}")
        self.override()
        return self

    @property
    def overrides(self) -> Path:
        """The operator's override file."""
        return self.directory / "override.yaml"

    def override(self, **more: Any) -> None:
        """Write the operator's override file: the way outside, and what a test wants besides."""
        here, there = (self._outside(side) for side in SIDES)
        text = json.dumps({"networks": {here: there}, **more})
        self.overrides.write_text(text)

    def _outside(self, side: str) -> str:
        networks = self.clouds[side].network.networks(is_router_external=True)
        return next(str(one.name) for one in networks if one.subnet_ids)

    def site(self, side: str, name: str) -> Site:
        """A tenant's place on one side."""
        return Site(self.clouds[side], name, self.keystones[side])

    def listings(self) -> dict[str, Listing]:
        """Everything on both clouds."""
        return {side: listing(cloud, self.keystones[side]) for side, cloud in self.clouds.items()}

    def moved(self, name: str, before: Listing, now: Mapping[str, Listing]) -> Moved:
        """The tenant as the checks want it."""
        here, there = (self.site(side, name) for side in SIDES)
        return Moved(here, there, before, now["source"], now["destination"])

    # -- the command line

    def command(self, *words: str) -> list[str]:
        """A command with this run's configuration."""
        path = str(self.directory / "pumphouse.conf")
        return [sys.executable, "-m", "pumphouse", "--config-file", path, *words]

    def run(self, *words: str, status: int = 0) -> str:
        """What a command printed, once it has ended with ``status``."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == status, (
            f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def migration(self, *names: str, more: Sequence[str] = ("--progress", "none")) -> list[str]:
        """The words that migrate projects of the default domain."""
        return ["migrate", *self.scope(*names), "--yes", *more]

    def scope(self, *names: str) -> list[str]:
        """The words that say which projects, and between which clouds."""
        return ["tenant", *(f"Default/{name}" for name in names), *self.between()]

    def between(self) -> list[str]:
        """The words that say between which clouds, and how."""
        sides = [word for side in SIDES for word in (f"--{side}", self.clouds[side].config.name)]
        return [*sides, "--override", str(self.overrides)]

    def migrate(self, *names: str, more: Sequence[str] = (), status: int = 0) -> str:
        """Migrate projects of the default domain; what was printed."""
        return self.run(*self.migration(*names, more=("--progress", "none", *more)), status=status)

    def plan(self, *names: str) -> list[dict[str, Any]]:
        """What a migration would do, without what is there already and what is left for people."""
        printed = self.run("plan", *self.scope(*names), "-f", "json")
        return [
            one for one in json.loads(printed[printed.index("[") :]) if one["Action"] not in {"reuse", "skip"}
        ]

    def roll_back(self, identity: str) -> None:
        """Take a migration back."""
        self.run("migration", "rollback", identity, "--yes", "--progress", "none")

    def last(self) -> dict[str, Any] | None:
        """The newest migration, if there is one."""
        listed = json.loads(self.run("migration", "list", "-f", "json", "--limit", "1"))
        return listed[0] if listed else None

    def report(self) -> dict[str, Any]:
        """The report of the newest migration."""
        path = self.directory / "report.json"
        self.run("migration", "report", "last", "-o", str(path))
        found: dict[str, Any] = json.loads(path.read_text())
        return found
