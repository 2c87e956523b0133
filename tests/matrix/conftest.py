"""The tenant's clouds for the matrices: filled once in each process of tests, restored for each case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Pair, open_pair


@pytest.fixture(scope="session")
def filled_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with open_pair(tmp_path_factory.mktemp("pair")) as pair:
        yield pair


@pytest.fixture
def pair(filled_pair: Pair) -> Iterator[Pair]:
    """The pair as it was filled. What a case has started is killed after it."""
    filled_pair.restore(filled_pair.begin)
    yield filled_pair
    filled_pair.kill()
