"""Two real OpenStack clouds on this machine's loopback: an old one and the newest.

``python tests/openstack/bed up|down|reset|status``; ``status`` exits with 1 unless all of it runs. The first
``up`` installs them, in a few minutes, on Debian 12 and as root. They live in ``$PUMPHOUSE_BED``, by default
``~/.cache/pumphouse-bed``. ``clouds.yaml`` beside this file names them ``source`` and ``destination``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bus import Bus
from cloud import HERE, PASSWORD, Cloud

ROOT = Path(os.environ.get("PUMPHOUSE_BED") or Path.home() / ".cache/pumphouse-bed")
CLOUDS = {
    "source": Cloud("source", ROOT, address="127.0.0.11", external="203.0.113.0/24", newest=False),
    "destination": Cloud("destination", ROOT, address="127.0.0.12", external="198.51.100.0/24", newest=True),
}
BUS = Bus(ROOT / "rabbit", hosts=CLOUDS, password=PASSWORD)


def say(text: str) -> None:
    """Tell the one who runs it."""
    sys.stdout.write(f"{text}\n")


def main() -> None:
    """Do what was asked, for both clouds at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["up", "down", "reset", "status"])
    action = parser.parse_args().action
    if os.geteuid() != 0:
        sys.exit("the clouds mount and unshare, so they need root")
    began = time.monotonic()
    if action == "status":
        states = {
            f"{name} {service}": pid for name, one in CLOUDS.items() for service, pid in one.states().items()
        }
        for service, pid in states.items():
            say(f"{service}: {pid or 'down'}")
        sys.exit(None if all(states.values()) else 1)
    if action in {"up", "reset"}:
        subprocess.run([HERE / "install.sh", ROOT], check=True)
        BUS.up()
    with ThreadPoolExecutor(len(CLOUDS)) as pool:
        done = [pool.submit(getattr(cloud, action)) for cloud in CLOUDS.values()]
        for one in done:
            one.result()
    if action == "down":
        BUS.down()
    say(f"{action}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
