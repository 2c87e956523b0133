"""TaskFlow's persistence, on the application's own database engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from taskflow import exceptions
from taskflow.persistence import models
from taskflow.persistence.backends import impl_sqlalchemy

_LINKS = {"atomdetails": "flowdetails", "flowdetails": "logbooks"}
"""TaskFlow's tables and the one that each is looked up by, through ``parent_uuid``."""
_TABLES = ("logbooks", "flowdetails", "atomdetails")
"""In the order in which they are widened: the last one tells that all were."""
_LONGEST_NAME = 640
"""Of an atom: the name of a type, an id as long as the store keeps, and the name of a step."""


class _Connection(impl_sqlalchemy.Connection):
    """TaskFlow's connection, which writes what has changed and reads nothing back.

    The stock one reads each record before it writes it, to merge what another process may have written, and
    with a flow's state it writes all of its atoms. But a flow is one process's: its records in memory are
    the newest, and atoms are saved by themselves whenever they change.
    """

    def __init__(self, backend: PersistenceBackend, upgrade_lock: Any) -> None:
        super().__init__(backend, upgrade_lock)
        atoms, flows = self._tables.atomdetails, self._tables.flowdetails
        # Made once: to build and to hash a statement costs more than to run it.
        self._update_atom = sa.update(atoms).where(atoms.c.uuid == sa.bindparam("key"))
        self._update_flow = sa.update(flows).where(flows.c.uuid == sa.bindparam("key"))
        self._insert_atoms = sa.insert(atoms)
        self._atoms_of = sa.select(atoms.c.uuid).where(atoms.c.parent_uuid == sa.bindparam("key"))

    def update_atom_details(self, atom_detail: models.AtomDetail) -> models.AtomDetail:
        """Save an atom as it is. Raises NotFound if it is not in the database."""
        with _told("Failed updating atom details"), self._engine.begin() as connection:
            _change(connection, self._update_atom, atom_detail.to_dict())
        return atom_detail

    def update_flow_details(self, flow_detail: models.FlowDetail) -> models.FlowDetail:
        """Save a flow as it is, and those of its atoms that are new. Raises NotFound."""
        parent = flow_detail.uuid
        with _told("Failed updating flow details"), self._engine.begin() as connection:
            _change(connection, self._update_flow, flow_detail.to_dict())
            there = set(connection.scalars(self._atoms_of, {"key": parent}))
            new = [
                {**atom.to_dict(), "parent_uuid": parent, "atom_type": models.atom_detail_type(atom)}
                for atom in flow_detail
                if atom.uuid not in there
            ]
            if new:
                connection.execute(self._insert_atoms, new)
        return flow_detail


class PersistenceBackend(impl_sqlalchemy.SQLAlchemyBackend):
    """TaskFlow's own backend with one connection object for all.

    The stock backend builds its tables' metadata again for every operation, which costs ten times what
    the operation does. Its ``Connection`` has no state but that metadata and takes a database connection
    from the engine's pool for each operation, so one can serve all threads.
    """

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__({}, engine=engine)
        self._database = engine
        self._connection = _Connection(self, upgrade_lock=self._upgrade_lock)

    def get_connection(self) -> impl_sqlalchemy.Connection:
        """The one connection; closing it does nothing."""
        return self._connection

    def upgrade(self, *, guard: AbstractContextManager[object] | None = None) -> None:
        """Create TaskFlow's tables or bring them up to date, and add what they lack: indexes, and room.

        :param guard: held meanwhile, so that two processes do not do it at once.
        """
        with guard or nullcontext():
            self._connection.upgrade()
            with self._database.begin() as connection:
                if connection.dialect.name == "sqlite":
                    _index(connection)
                elif _longest_name(connection) < _LONGEST_NAME:
                    _widen(connection)


def open_persistence(
    engine: sa.Engine, *, guard: AbstractContextManager[object] | None = None
) -> PersistenceBackend:
    """TaskFlow's persistence on this engine, its tables up to date.

    TaskFlow keeps its schema's version in ``alembic_version``, ours is in a table of its own name.
    The engine stays its owner's: closing the backend does not dispose of it.

    :param guard: see :meth:`PersistenceBackend.upgrade`.
    """
    backend = PersistenceBackend(engine)
    backend.upgrade(guard=guard)
    return backend


def _change(connection: sa.Connection, statement: sa.Update, record: dict[str, Any]) -> None:
    key = record.pop("uuid")
    if not connection.execute(statement, {"key": key, **record}).rowcount:
        raise exceptions.NotFound(f"No details found with uuid '{key}'")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """The database's errors as TaskFlow's, which it tries again."""
    try:
        yield
    except SQLAlchemyError:
        exceptions.raise_with_cause(exceptions.StorageFailure, what)


def _index(connection: sa.Connection) -> None:
    for table, parent in _LINKS.items():
        connection.exec_driver_sql(
            f"CREATE INDEX IF NOT EXISTS pumphouse_{table}_{parent} ON {table} (parent_uuid)"
        )


def _longest_name(connection: sa.Connection) -> int:
    (found,) = (one for one in sa.inspect(connection).get_columns("atomdetails") if one["name"] == "name")
    return int(getattr(found["type"], "length", 0) or 0)


def _widen(connection: sa.Connection) -> None:
    """Let names be of any letters and as long as ours; TaskFlow thinks of 255 of the older Unicode."""
    if connection.dialect.name == "postgresql":
        _index(connection)
        change = f"ALTER COLUMN name TYPE VARCHAR({_LONGEST_NAME})"
    else:  # MySQL indexes every foreign key by itself
        change = f"MODIFY name VARCHAR({_LONGEST_NAME}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    for table in _TABLES:
        connection.exec_driver_sql(f"ALTER TABLE {table} {change}")
