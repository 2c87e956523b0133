"""What is done when the database is busy, and what an operator reads when it fails."""

from __future__ import annotations

import sqlite3
import time

import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from pumphouse.errors import DatabaseError
from pumphouse.store import database
from pumphouse.store.opening import open_store


def locked() -> sa.exc.OperationalError:
    return sa.exc.OperationalError("SELECT 'secret'", {}, sqlite3.OperationalError("database is locked"))


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


def test_a_busy_database_is_tried_again() -> None:
    attempts = []

    @database.retried
    def work() -> str:
        attempts.append(1)
        if len(attempts) < 4:
            raise locked()
        return "done"

    assert work() == "done"
    assert len(attempts) == 4


def test_attempts_are_bounded_and_the_error_shows_no_values() -> None:
    attempts = []

    @database.retried
    def work() -> None:
        attempts.append(1)
        raise locked()

    with pytest.raises(DatabaseError) as caught:
        work()
    assert len(attempts) == 6
    assert "database is locked" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_other_failures_are_not_tried_again() -> None:
    attempts = []

    @database.retried
    def work() -> None:
        attempts.append(1)
        raise sa.exc.OperationalError("x", {}, sqlite3.OperationalError("disk I/O error"))

    with pytest.raises(DatabaseError, match="disk I/O error"):
        work()
    assert len(attempts) == 1


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.UniqueViolation(), True),
        (psycopg.errors.SyntaxError(), False),
        (pymysql.err.OperationalError(1213, "Deadlock found", sqlstate="40001"), True),
        (pymysql.err.OperationalError(1205, "Lock wait timeout exceeded", sqlstate="HY000"), True),
        (pymysql.err.IntegrityError(1062, "Duplicate entry", sqlstate="23000"), True),
        (pymysql.err.IntegrityError(1452, "A foreign key constraint fails", sqlstate="23000"), False),
        (pymysql.err.ProgrammingError(1064, "You have an error in your SQL syntax", sqlstate="42000"), False),
    ],
    ids=repr,
)
def test_knows_contention_on_postgresql_and_mysql(cause, *, expected: bool) -> None:
    assert database.is_contention(sa.exc.OperationalError("x", {}, cause)) is expected


def test_a_sqlite_writer_waits_for_another_process_lock(tmp_path, monkeypatch) -> None:
    """A transaction that read first and wrote later would fail at once, without waiting."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.3)
    path = tmp_path / "p.db"
    with open_store(f"sqlite:///{path}") as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(DatabaseError, match="locked"):
            store.events.append([])
        assert time.monotonic() - began > 6 * 0.25
        assert store.events.read() == ()  # readers never wait
        other.execute("COMMIT")
        other.close()
        assert store.events.append([]) == 0
