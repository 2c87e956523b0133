"""The database under the store: engines for SQLite, PostgreSQL and MySQL, and what to do when they are busy.

SQLite has one writer at a time, over all processes. So one connection does all writing of a process, and each
of its transactions takes the write lock when it begins (one that reads first and writes later could not wait
for it, but would fail). The file is in WAL mode, where readers never wait, so they have connections of their
own.
"""

from __future__ import annotations

import functools
import os
import random
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from pumphouse.errors import BadConfig, CannotOpen, DatabaseError

_P = ParamSpec("_P")
_R = TypeVar("_R")

BUSY_SECONDS = 30.0
"""How long a transaction waits for another process's write lock on SQLite."""
_ATTEMPTS = 6
_CONTENTION = frozenset({"40001", "40P01", "55P03", "23505", 1205, 1213, 1062})
"""PostgreSQL's states and MySQL's codes of a transaction that lost to another: deadlock, lock timeout, and a
row that the other wrote first, which the next attempt will find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The engines of one database. Use ``reader`` for transactions that only read."""

    writer: sa.Engine
    reader: sa.Engine

    def close(self) -> None:
        """Close all connections."""
        self.reader.dispose()
        self.writer.dispose()


def open_database(url: str) -> Database:
    """The database at a store's URL. A SQLite file and its directory are made for this user alone.

    Raises BadConfig for a URL that cannot be used. What it says never holds the URL, which has a password.
    """
    try:
        parsed = sa.make_url(url)
        if "@" in (parsed.host or ""):
            raise _unusable("an @ in its user's name or password must be written as %40")
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(parsed)
        engine = sa.create_engine(
            parsed, pool_pre_ping=True, pool_recycle=1800, isolation_level="READ COMMITTED"
        )
    except NoSuchModuleError:
        raise _unusable(f"there is no kind of database {parsed.drivername!r}") from None
    except (ArgumentError, ValueError):
        raise _unusable("it is no SQLAlchemy URL") from None
    except ImportError as error:
        raise _unusable(f"its driver is not installed: {error.msg}") from None
    except OSError as error:
        raise _unusable(f"{error.strerror}: {error.filename}") from None
    return Database(writer=engine, reader=engine)


def cannot_open(engine: sa.Engine, error: Exception) -> CannotOpen:
    """What to raise for a database that does not open: where it is, without its password, and why."""
    url = engine.url
    place = f"{url.get_backend_name()} {url.host or ''}{f':{url.port}' if url.port else ''}/{url.database}"
    if url.get_backend_name() == "sqlite":
        place = str(url.database)
    why = _said(error.__cause__ or error)
    return CannotOpen(f"the store's database {place} cannot be opened: {why}")


def _unusable(why: str) -> BadConfig:
    return BadConfig(
        f"the option url of [store] cannot be used: {why}",
        next_step="Correct it; PostgreSQL and MySQL need their extra of pumphouse installed.",
    )


def retried(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Repeat a method that is one transaction when it lost to another; raise DatabaseError when it fails."""

    @functools.wraps(method)
    def repeat(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return method(*args, **kwargs)
            except SQLAlchemyError as error:
                if attempt == _ATTEMPTS or not is_contention(error):
                    raise database_failed(error) from error
                time.sleep(random.uniform(0.5, 1) * 0.05 * 2**attempt)  # noqa: S311  # spreads, protects nothing
        raise AssertionError("unreachable")

    return repeat


def is_contention(error: SQLAlchemyError) -> bool:
    """Whether a transaction failed only for another one, so that repeating it helps."""
    if not isinstance(error, DBAPIError):
        return False
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return "locked" in str(cause) or "UNIQUE" in str(cause)
    # MySQL's driver has a state, too, which tells less than its code.
    codes = {getattr(cause, "sqlstate", None), *getattr(cause, "args", ())[:1]}
    return not codes.isdisjoint(_CONTENTION)


def database_failed(error: BaseException) -> DatabaseError:
    """What to tell of an error of the database's driver, or of SQLAlchemy."""
    return DatabaseError(
        f"the store's database failed: {_said(error)}",
        next_step="See that it is up and has room, then resume.",
    )


def _said(error: BaseException) -> str:
    """The text of the driver alone: SQLAlchemy's holds the statement with its values."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _open_sqlite(url: sa.URL) -> Database:
    if not url.database or url.database == ":memory:":
        # It is the one connection's, so there is no other to read from.
        memory = _sqlite_engine(url, "BEGIN IMMEDIATE", connections=1)
        return Database(writer=memory, reader=memory)
    path = Path(url.database).expanduser()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives the files beside it the same permissions.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    url = url.set(database=str(path))
    return Database(
        writer=_sqlite_engine(url, "BEGIN IMMEDIATE", connections=1),
        reader=_sqlite_engine(url, "BEGIN", connections=8),
    )


def _sqlite_engine(url: sa.URL, begin: str, *, connections: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
        poolclass=sa.QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=2 * BUSY_SECONDS,
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions at a time of its own.
    connection.isolation_level = None
    cursor = connection.cursor()
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Switch to WAL. SQLite does not wait for the lock here, so two first users would clash."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
