"""The clouds that are asked the same: an embedded one always, and real ones where they are named.

``PUMPHOUSE_TEST_CLOUDS="source destination"`` names those of clouds.yaml that are asked as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pumphouse.devcloud import TIMINGS, DevCloud, clouds_yaml

from .world import World

EMBEDDED = "embedded"
CLOUDS = (EMBEDDED, *os.environ.get("PUMPHOUSE_TEST_CLOUDS", "").split())


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where a cloud is known to answer otherwise, the reason stands at the test, and must hold."""
    for item in items:
        name = getattr(item, "callspec", None) and item.callspec.params.get("world")
        if name:
            item.add_marker(pytest.mark.xdist_group(name))  # one project each, for all of its tests
        if name and name != EMBEDDED:
            item.add_marker(pytest.mark.timeout(900))  # real guests, on a machine that may be small
        for mark in item.iter_markers("differs"):
            if mark.kwargs["cloud"] == name:
                item.add_marker(pytest.mark.xfail(strict=True, reason=mark.kwargs["why"]))


@pytest.fixture(scope="session", params=CLOUDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cloud, with a project of its own to try things in, which is removed again."""
    if request.param != EMBEDDED:
        with World(request.param) as made:
            yield made
        return
    folder = tmp_path_factory.mktemp("contract")
    with DevCloud(EMBEDDED, directory=folder / "cloud", timings=dict.fromkeys(TIMINGS, 0.02)) as cloud:
        path = folder / "clouds.yaml"
        path.write_text(clouds_yaml({EMBEDDED: cloud}))
        with World(EMBEDDED, clouds_file=path) as made:
            yield made
