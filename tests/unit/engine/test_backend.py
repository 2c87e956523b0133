"""TaskFlow's persistence on the application's engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from taskflow.persistence import models

from pumphouse.engine.backend import open_persistence


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/flows.db")
    yield engine
    engine.dispose()


def test_looking_up_by_parent_uses_an_index(engine: sa.Engine) -> None:
    open_persistence(engine)
    with engine.connect() as connection:
        for table in ("atomdetails", "flowdetails"):
            plan = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE parent_uuid = 'x'"
            ).all()
            assert "USING INDEX" in str(plan)


def test_opening_again_keeps_what_is_there(engine: sa.Engine) -> None:
    book = models.LogBook("book")
    open_persistence(engine).get_connection().save_logbook(book)
    assert open_persistence(engine).get_connection().get_logbook(book.uuid).name == "book"


def test_its_tables_are_made_once(engine: sa.Engine) -> None:
    """The stock backend describes all tables again for each operation, at ten times the cost."""
    backend = open_persistence(engine)
    assert backend.get_connection() is backend.get_connection()


def test_the_schema_is_changed_under_the_guard_only(engine: sa.Engine) -> None:
    seen: list[bool] = []

    @contextmanager
    def guard() -> Iterator[None]:
        seen.append(sa.inspect(engine).has_table("atomdetails"))
        yield
        seen.append(sa.inspect(engine).has_table("atomdetails"))

    open_persistence(engine, guard=guard())
    assert seen == [False, True]


def test_closing_it_leaves_the_engine_to_its_owner(engine: sa.Engine) -> None:
    backend = open_persistence(engine)
    backend.close()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM logbooks").scalar() == 0
