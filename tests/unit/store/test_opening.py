"""Opening the store: its files, its schema, several processes at once."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from pumphouse.engine.backend import open_persistence
from pumphouse.errors import BadConfig, CannotOpen, SchemaError
from pumphouse.store import schema
from pumphouse.store.database import open_database
from pumphouse.store.events import EventRecord
from pumphouse.store.models import Base
from pumphouse.store.opening import Store, open_store

_CHILD = Path(__file__).with_name("store_child.py")
TASKFLOW = {"logbooks", "flowdetails", "atomdetails", "alembic_version"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_sqlite_store_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state" / "pumphouse.db"
    with open_store(f"sqlite:///{path}") as store:
        store.events.append([])
        assert mode(path.parent) == 0o700
        assert [mode(file) for file in path.parent.iterdir()] == [0o600] * 3  # with the log and its index


def test_a_sqlite_store_uses_a_write_ahead_log_and_waits_for_locks(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/p.db") as store, store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_store_in_memory_keeps_what_it_is_told() -> None:
    with open_store("sqlite://") as store:
        store.plans.create(source="a", destination="b", scope={}, document={})
        assert len(store.plans.list()) == 1


def test_the_migrated_schema_is_that_of_the_models(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": schema.VERSION_TABLE,
                "include_name": lambda name, kind, _parents: kind != "table" or name not in TASKFLOW,
                "compare_type": store.engine.dialect.name != "mysql",  # MariaDB's JSON is a long text
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_the_known_head_is_alembics() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_opening_again_keeps_everything(store_url: str) -> None:
    with open_store(store_url) as store:
        plan = store.plans.create(source="a", destination="b", scope={}, document={"x": 1})
    with open_store(store_url) as store:
        assert store.plans.document(plan.id) == {"x": 1}


def test_a_journal_of_before_is_known_to_be_of_the_last_run_as_far_as_it_is(store_url: str) -> None:
    database = open_database(store_url)
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent))
    with database.writer.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
        tables = sa.MetaData()
        kept_as_json = {"plans": ["scope"], "migrations": ["subjects", "options"], "journal": ["detail"]}
        for name, columns in kept_as_json.items():  # a long text, MariaDB says
            sa.Table(name, tables, *(sa.Column(column, sa.JSON()) for column in columns))
        tables.reflect(
            connection,
            only=["clouds", "plans", "migrations", "journal"],
            extend_existing=True,
            autoload_replace=False,
        )
        then, later, now = (datetime(2026, 1, day) for day in (1, 2, 3))  # noqa: DTZ001 -- as it is stored
        plan = {"source": "a", "destination": "b", "scope": {}, "document": b""}
        connection.execute(tables.tables["plans"].insert().values(id="p-2", created_at=later, **plan))
        migration = {"source": "a", "destination": "b", "subjects": [], "options": {}, "epoch": 1}
        migration |= {"name": "m", "state": "RUNNING", "reason": "", "created_at": then, "started_at": then}
        connection.execute(
            tables.tables["migrations"]
            .insert()
            .values(id="m-1", plan_id="p-2", run_started_at=later, **migration)
        )
        for at in (then, now):
            entry = {"unit": "u", "type": "network", "side": "destination", "state": "made", "detail": {}}
            connection.execute(
                tables.tables["journal"]
                .insert()
                .values(
                    migration="m-1",
                    source_id="n",
                    step="create",
                    temporary=False,
                    at=at,
                    changed_at=at,
                    **entry,
                )
            )
    database.close()
    with open_store(store_url) as store:
        assert [entry.plan for entry in store.journal.entries("m-1")] == ["", "p-2"]


def test_of_two_evacuations_that_ran_on_a_host_the_newest_goes_on(store_url: str) -> None:
    database = open_database(store_url)
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent))
    with database.writer.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0009")
        for number, state in enumerate(("RUNNING", "RUNNING", "DONE")):
            connection.execute(
                sa.text(
                    "INSERT INTO evacuations (id, cloud, host, state, service, disabled, servers, reason, "
                    "created_at) VALUES (:id, 'c', 'h', :state, '1', :disabled, '{}', '', :at)"
                ),
                {"id": f"e-{number}", "state": state, "disabled": True, "at": datetime(2026, 1, 1 + number)},  # noqa: DTZ001
            )
    database.close()
    with open_store(store_url) as store, store.engine.connect() as connection:
        found = connection.execute(sa.text("SELECT state, running FROM evacuations ORDER BY id"))
        assert [tuple(row) for row in found] == [("FAILED", None), ("RUNNING", True), ("DONE", None)]


def test_a_newer_store_is_refused_with_what_to_do(store_url: str) -> None:
    with open_store(store_url) as store, store.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaError, match=r"9999.*Upgrade pumphouse"):
        open_store(store_url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "it is no SQLAlchemy URL"),
        ("hush", "it is no SQLAlchemy URL"),
        ("postgresql+psycopg://user:hush@host:port/db", "it is no SQLAlchemy URL"),
        ("nosuch://user:hush@host/db", "there is no kind of database 'nosuch'"),
        ("oracle://user:hush@host/db", "its driver is not installed"),
        ("postgresql+psycopg://user:my@hush@host/db", "must be written as %40"),
        ("sqlite:////proc/nowhere/p.db", "No such file or directory: /proc/nowhere"),
        ("sqlite:////proc", "Is a directory: /proc"),
    ],
)
def test_an_unusable_url_is_one_clear_error_without_the_password(url: str, told: str) -> None:
    with pytest.raises(BadConfig, match=r"option url of \[store\] cannot be used") as caught:
        open_store(url)
    assert told in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
@pytest.mark.parametrize("query", ["", "?paint=hush"])
def test_a_database_that_does_not_open_is_one_clear_error_without_the_password(
    driver: str, query: str
) -> None:
    with pytest.raises(CannotOpen, match=r"127\.0\.0\.1:1/db cannot be opened") as caught:
        open_store(f"{driver}://user:hush@127.0.0.1:1/db{query}")
    assert caught.value.exit_status == 2
    assert "hush" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_database_that_is_damaged_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(CannotOpen, match=r"p\.db cannot be opened: file is not a database"):
        open_store(f"sqlite:///{path}")


def test_taskflow_keeps_its_tables_in_the_same_database(store: Store) -> None:
    for _ in range(2):
        open_persistence(store.engine, guard=store.guard())
    tables = set(sa.inspect(store.engine).get_table_names())
    assert tables >= {"logbooks", "flowdetails", "atomdetails", schema.VERSION_TABLE, "migrations"}


def test_processes_may_open_a_new_store_at_once_and_write_to_it(store_url: str) -> None:
    """Each numbers its events in a row without a gap; who follows them sees each once, and in order."""
    children = [
        subprocess.Popen([sys.executable, _CHILD, store_url, f"m-{number}", "25"]) for number in range(2)
    ]
    seen: list[EventRecord] = []
    with open_store(store_url) as store:
        going_on = True
        while going_on:
            going_on = any(child.poll() is None for child in children)
            seen += store.events.read(after=seen[-1].seq if seen else 0)
            time.sleep(0.005)
    assert [child.wait() for child in children] == [0, 0]
    assert [event.seq for event in seen] == list(range(1, 51))
    for number in range(2):
        mine = [event.payload["text"] for event in seen if event.migration == f"m-{number}"]
        assert mine == [str(count) for count in range(25)]
