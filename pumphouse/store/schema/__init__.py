"""The store's schema: alembic's migrations, brought up to date when a store is opened.

To change a table, change :mod:`pumphouse.store.models`, write the change as a new file in ``versions`` (from
``script.py.mako``) and name its revision in :data:`HEAD`. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from pumphouse.errors import DatabaseError, SchemaError
from pumphouse.store.database import retried

HEAD = "0013"
"""The newest revision, known here so that an up-to-date store opens without loading alembic."""
VERSION_TABLE = "pumphouse_alembic_version"
"""Not alembic's default, which TaskFlow uses in the same database."""
_LOCK = 0x50554D50
_LOCK_SECONDS = 120


@retried
def upgrade(engine: sa.Engine) -> None:
    """Create the store's tables or bring them up to date; one process at a time.

    Raises SchemaError when a newer version made them.
    """
    if _revision(engine) == HEAD:
        return
    with guard(engine):
        _run_alembic(engine)


@contextmanager
def guard(engine: sa.Engine) -> Iterator[None]:
    """Keep other processes from changing the schema meanwhile.

    SQLite needs none: there each change is one transaction that holds the write lock from its begin.
    """
    take = {
        "postgresql": f"SELECT pg_advisory_lock({_LOCK})",
        "mysql": f"SELECT GET_LOCK('pumphouse', {_LOCK_SECONDS})",
        "mariadb": f"SELECT GET_LOCK('pumphouse', {_LOCK_SECONDS})",
    }.get(engine.dialect.name)
    if take is None:
        yield
        return
    # The lock is the connection's, and ends with it: closed, not given back to the pool.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        if connection.exec_driver_sql(take).scalar() == 0:
            raise DatabaseError(f"another process has been changing the schema for {_LOCK_SECONDS} s")
        yield


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(VERSION_TABLE):
            return None
        return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608  # a constant


def _run_alembic(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    # "%" means something in alembic's options.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    found = _revision(engine)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaError(
            f"the store was made by a newer pumphouse (its schema is {found}, known here is {HEAD})",
            next_step="Upgrade pumphouse, or give another store's URL.",
        )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
