"""Fixtures for all tests: embedded clouds on ephemeral ports in temporary directories, and databases."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from pumphouse.devcloud import TIMINGS, DevCloud, clouds_yaml

sys.path.insert(0, str(Path(__file__).parent))
from databases import all_databases, databases  # noqa: F401 -- fixtures

# Changes take a moment, so that waiting is tried, but no test waits for long.
QUICK = dict.fromkeys(TIMINGS, 0.02) | {"network": 0.0}

# Nothing is kept between runs, and no example has a deadline: the machine may have other work.
settings.register_profile(
    "quick",
    max_examples=20,
    deadline=None,
    database=None,
    print_blob=True,
    phases=set(Phase) - {Phase.explain},  # it traces every line, and so takes longer than all else
)
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True)
settings.register_profile("deep", settings.get_profile("quick"), max_examples=1000)
settings.load_profile("ci" if os.environ.get("CI") else "quick")

MakeCloud = Callable[..., DevCloud]


@dataclass(frozen=True)
class CloudPair:
    """Two running clouds and the clouds.yaml that names them ``source`` and ``destination``."""

    source: DevCloud
    destination: DevCloud
    clouds_yaml: Path


@pytest.fixture
def make_cloud(tmp_path: Path) -> Iterator[MakeCloud]:
    """A factory of running clouds: ``make_cloud("source", seed=1)``; they stop with the test."""
    clouds: list[DevCloud] = []

    def make(name: str = "devcloud", *, timings: dict[str, float] | None = None, **options: Any) -> DevCloud:
        directory = options.pop("directory", tmp_path / f"{name}-{len(clouds)}")
        cloud = DevCloud(name, directory=directory, timings=QUICK | (timings or {}), **options)
        clouds.append(cloud)
        cloud.start()
        return cloud

    yield make
    for cloud in clouds:
        cloud.stop()


@pytest.fixture
def write_clouds_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a clouds.yaml for clouds by name and points openstacksdk at it."""

    def write(**clouds: DevCloud) -> Path:
        path = tmp_path / "clouds.yaml"
        path.touch(mode=0o600)
        path.write_text(clouds_yaml(clouds))
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
        return path

    return write


@pytest.fixture
def cloud_pair(make_cloud: MakeCloud, write_clouds_yaml: Callable[..., Path]) -> CloudPair:
    """An empty source and an empty destination."""
    source, destination = make_cloud("source"), make_cloud("destination")
    path = write_clouds_yaml(source=source, destination=destination)
    return CloudPair(source, destination, path)
