"""A store of its own for each test, on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from databases import Databases

from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.models import Base, CounterRow
from pumphouse.store.opening import Store, open_store


@pytest.fixture
def store_url(databases: Databases) -> str:
    """An empty database."""
    return databases.new()


@pytest.fixture(scope="session")
def kept_urls() -> dict[Databases, str]:
    """The one database of each kind that most tests use in turn, since to make tables takes long."""
    return {}


@pytest.fixture
def store(databases: Databases, kept_urls: dict[Databases, str]) -> Iterator[Store]:
    """An empty store."""
    if databases not in kept_urls:
        kept_urls[databases] = databases.new()
    with open_store(kept_urls[databases]) as opened:
        with opened.engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(table.delete())
            connection.execute(sa.insert(CounterRow).values(name="events", value=0))
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
