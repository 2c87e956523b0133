"""A store of its own for each test: SQLite, or the empty database of PUMPHOUSE_TEST_STORE_URL.

That database is emptied for each test, so these tests cannot then run twice at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.opening import Store, open_store


def empty(url: str) -> None:
    engine = sa.create_engine(url)
    metadata = sa.MetaData()
    metadata.reflect(engine)
    metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    url = os.environ.get("PUMPHOUSE_TEST_STORE_URL")
    if url is None:
        return f"sqlite:///{tmp_path}/state/pumphouse.db"
    empty(url)
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def migration(store: Store) -> MigrationRecord:
    return new_migration(store)


def new_migration(store: Store, *subjects: str, destination: str = "to") -> MigrationRecord:
    plan = store.plans.create(
        source="from", destination=destination, scope={"kind": "tenant"}, document={"items": []}
    )
    return store.migrations.create(
        name="tenant a", plan_id=plan.id, source="from", destination=destination, subjects=subjects
    )


@pytest.fixture
def make_migration(store: Store):
    return lambda *subjects, **options: new_migration(store, *subjects, **options)
