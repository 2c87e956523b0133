"""The clouds that the acceptance runs on, and tenants that are made there and removed again.

``python tests/openstack`` sets these; by hand they name any two clouds that nobody else uses meanwhile:

* ``PUMPHOUSE_TEST_SOURCE``, ``PUMPHOUSE_TEST_DESTINATION``: their names in clouds.yaml;
* ``PUMPHOUSE_TEST_SOURCE_KEYSTONE``, ``PUMPHOUSE_TEST_DESTINATION_KEYSTONE``: the URLs of their Keystones'
  databases, if passwords shall be looked at;
* if you like, ``PUMPHOUSE_TEST_VOLUME_FILE`` (see checks/volumes.py) and ``PUMPHOUSE_TEST_RECORD``, a file
  for what the run found, from which ``write_report.py`` makes a page of the documentation;
* where no guests run, ``PUMPHOUSE_TEST_DISK_FILE`` (see checks/disks.py).
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import openstack
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # these are programs and their modules, and no package

from pair import SIDES, Pair
from tenant import Site, fill, remove

VARIABLES = {side: f"PUMPHOUSE_TEST_{side.upper()}" for side in SIDES}
MISSING = [name for name in VARIABLES.values() if not os.environ.get(name)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without clouds it is said loudly that nothing was tried."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(3600))
            if MISSING:
                why = f"NOT RUN ON REAL CLOUDS: set {', '.join(MISSING)}, or run make test-openstack"
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both clouds. What is recorded is written at the end."""
    clouds = {side: openstack.connect(cloud=os.environ[name]) for side, name in VARIABLES.items()}
    keystones = {side: os.environ.get(f"{name}_KEYSTONE") for side, name in VARIABLES.items()}
    found = Pair(tmp_path_factory.mktemp("acceptance"), clouds, keystones).ready()
    found.record["clouds"] = {
        side: {"Release": os.environ.get(f"{VARIABLES[side]}_RELEASE", "unknown"), **_versions(cloud)}
        for side, cloud in clouds.items()
    }
    yield found
    if os.environ.get("PUMPHOUSE_TEST_RECORD"):
        text = json.dumps(found.record, indent=1)
        Path(os.environ["PUMPHOUSE_TEST_RECORD"]).write_text(f"{text}\n")


def _versions(cloud: openstack.connection.Connection) -> dict[str, str]:
    services = {"compute": cloud.compute, "block storage": cloud.block_storage}
    versions = {name: proxy.get_endpoint_data().max_microversion for name, proxy in services.items()}
    return {f"Newest version of {name}": ".".join(map(str, one)) for name, one in versions.items()}


@pytest.fixture
def tenant(pair: Pair) -> Iterator[Callable[..., str]]:
    """Fills a tenant on a source; whatever became of it is removed from both clouds."""
    made: list[str] = []

    def make(pair: Pair, filled: Callable[[Site], None] = fill) -> str:
        name = f"acceptance-{uuid.uuid4().hex[:6]}"
        made.append(name)
        filled(pair.site("source", name))
        return name

    yield make
    for name in made:
        for side in SIDES:
            remove(pair.site(side, name))
