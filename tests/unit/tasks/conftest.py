"""Fixtures for the tests of resource types."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from pumphouse import config
from pumphouse.clouds import Clouds, Settings

from .harness import Bench

CLOUDS = "PUMPHOUSE_TEST_CLOUDS"


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Two clouds, embedded unless the environment names others."""
    names = os.environ.get(CLOUDS, "").split()
    if not names:
        request.getfixturevalue("cloud_pair")
    opened = Clouds(settings=Settings(limits=config.Clouds(first_wait=0.05), poll_interval=0.05))
    source, destination = (opened.open(name) for name in names or ("source", "destination"))
    bench = Bench(source=source, destination=destination)
    yield bench
    if names:
        bench.close()


@pytest.fixture
def real_clouds() -> bool:
    return bool(os.environ.get(CLOUDS))


@pytest.fixture
def cloud_pair(cloud_pair: Any, real_clouds: bool) -> Any:
    """The embedded clouds, for what looks into them: real ones count nothing, nor fail at will."""
    if real_clouds:
        pytest.skip("it looks into the embedded clouds")
    return cloud_pair
