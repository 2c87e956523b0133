"""Runs all that wants real clouds: the contract on both of them, then the acceptance between them.

``python tests/openstack [options] [pytest's own arguments]``. Without ``--source`` and ``--destination`` it
brings up the two clouds of ``bed/``, as they were at first, and takes them down again if they were down. With
them it uses any two clouds of clouds.yaml, on which it makes throw-away projects and removes them again;
nobody else may use those clouds meanwhile. With ``--embedded`` it uses two embedded clouds, which shows in a
few minutes whether the tests themselves are right, and nothing about real clouds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pumphouse.devcloud import TIMINGS, DevCloud, clouds_yaml
from pumphouse.devcloud.fill import fill

HERE = Path(__file__).resolve().parent
BED = HERE / "bed"
ACCEPTANCE: tuple[str, ...] = (str(HERE),)
CONTRACT = (str(HERE.parent / "contract/clouds"), "--dist", "loadgroup", "--numprocesses", "2")
"""Each cloud is asked in a process of its own, both at once; the acceptance has both to itself."""
NOTHING_ASKED = 5
"""What pytest ends with where the words choose none of the tests."""


@dataclass(frozen=True)
class Cloud:
    """What the tests want to know of one; ``keystone`` is the URL of its Keystone's database."""

    name: str
    keystone: str | None = None
    release: str | None = None

    def variables(self, side: str) -> dict[str, str]:
        """As they want to be told."""
        told = {"": self.name, "_KEYSTONE": self.keystone, "_RELEASE": self.release}
        return {f"PUMPHOUSE_TEST_{side.upper()}{what}": one for what, one in told.items() if one}


KEYSTONE = "mysql+pymysql://openstack:secret@{}/keystone"
OF_BED = {
    "source": Cloud("source", KEYSTONE.format("127.0.0.11"), "Zed (2022.2)"),
    "destination": Cloud("destination", KEYSTONE.format("127.0.0.12"), "2026.2"),
}

EMBEDDED = {"source": "203.0.113.0/24", "destination": "198.51.100.0/24"}
"""The embedded clouds, each with the addresses of its network to the outside."""


def bed(action: str, **options: Any) -> int:
    """Do something to the clouds of ``bed/``; the exit status."""
    return subprocess.run([sys.executable, BED, action], check=False, **options).returncode


def run(
    clouds: Mapping[str, Cloud],
    words: Sequence[str],
    page: Path | None = None,
    *,
    parts: Sequence[Sequence[str]] = (CONTRACT, ACCEPTANCE),
    **more: str,
) -> int:
    """Run the parts one after the other, and write the page if they succeed; the exit status."""
    told = {name: one for side, cloud in clouds.items() for name, one in cloud.variables(side).items()}
    told["PUMPHOUSE_TEST_CLOUDS"] = " ".join(cloud.name for cloud in clouds.values())
    with tempfile.TemporaryDirectory() as directory:
        record = str(Path(directory) / "record.json")
        environment = {**os.environ, **told, **more, "PUMPHOUSE_TEST_RECORD": record}
        command = [sys.executable, "-m", "pytest", "-p", "no:randomly"]
        ended = [
            subprocess.run([*command, *part, *words], check=False, env=environment).returncode
            for part in parts
        ]
        asked = [one for one in ended if one != NOTHING_ASKED]
        status = next(filter(None, asked), 0) if asked else NOTHING_ASKED
        if status == 0 and page:
            subprocess.run([sys.executable, HERE / "write_report.py", record, page], check=True)
    return status


def run_on_bed(words: Sequence[str], page: Path | None) -> int:
    """The same on the clouds of ``bed/``; they are left as they were found, up or down."""
    home = os.environ.get("PUMPHOUSE_BED") or str(Path.home() / ".cache/pumphouse-bed")
    was_up = bed("status", stdout=subprocess.DEVNULL) == 0
    try:
        if bed("reset"):
            sys.stderr.write("NOT RUN ON REAL CLOUDS: they did not come up, see above\n")
            return 1
        return run(
            OF_BED,
            words,
            page,
            OS_CLIENT_CONFIG_FILE=str(BED / "clouds.yaml"),
            PUMPHOUSE_TEST_VOLUME_FILE=f"{home}/{{cloud}}/state/volumes/volume-{{id}}",
        )
    finally:
        if not was_up:
            bed("down")


def run_on_embedded(words: Sequence[str]) -> int:
    """The acceptance on two embedded clouds, which end with it; they keep the contract in ``make test``."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        clouds = {}
        for name, cidr in EMBEDDED.items():
            cloud = DevCloud(name, directory=Path(directory) / name, timings=dict.fromkeys(TIMINGS, 0.1))
            clouds[name] = stack.enter_context(cloud)
            subnet = {"name": "public", "cidr": cidr, "enable_dhcp": False}
            fill(cloud, {"networks": [{"name": "public", "router:external": True, "subnets": [subnet]}]})
        file = Path(directory) / "clouds.yaml"
        file.touch(mode=0o600)
        file.write_text(clouds_yaml(clouds))
        return run(
            {name: Cloud(name, cloud.keystone_database_url) for name, cloud in clouds.items()},
            words,
            parts=(ACCEPTANCE,),
            OS_CLIENT_CONFIG_FILE=str(file),
            PUMPHOUSE_TEST_VOLUME_FILE=f"{directory}/{{cloud}}/files/volumes/{{id}}",
            PUMPHOUSE_TEST_DISK_FILE=f"{directory}/{{cloud}}/files/disks/{{id}}",
        )


def main() -> int:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__)
    for side in OF_BED:
        parser.add_argument(f"--{side}", metavar="CLOUD", help=f"the {side} in clouds.yaml")
        parser.add_argument(
            f"--{side}-keystone", metavar="URL", help=f"the database of the {side}'s Keystone"
        )
    parser.add_argument("--embedded", action="store_true", help="use two embedded clouds")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the documentation's page anew")
    chosen, words = parser.parse_known_args()
    if bool(chosen.source) != bool(chosen.destination):
        parser.error("--source and --destination belong together")
    if chosen.embedded and (chosen.source or chosen.page):
        parser.error("--embedded goes with neither --source nor --page")
    if chosen.embedded:
        return run_on_embedded(words)
    if not chosen.source:
        return run_on_bed(words, chosen.page)
    clouds = {side: Cloud(getattr(chosen, side), getattr(chosen, f"{side}_keystone")) for side in OF_BED}
    return run(clouds, words, chosen.page)


if __name__ == "__main__":
    sys.exit(main())
