"""TaskFlow's persistence, on the application's own database engine."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import sqlalchemy as sa
from taskflow.persistence.backends import impl_sqlalchemy

_LINKS = (("atomdetails", "flowdetails"), ("flowdetails", "logbooks"))
"""TaskFlow's tables and the one that each is looked up by, through ``parent_uuid``."""


class PersistenceBackend(impl_sqlalchemy.SQLAlchemyBackend):
    """TaskFlow's own backend with one connection object for all.

    The stock backend builds its tables' metadata again for every operation, which costs ten times what
    the operation does. Its ``Connection`` has no state but that metadata and takes a database connection
    from the engine's pool for each operation, so one can serve all threads.
    """

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__({}, engine=engine)
        self._database = engine
        self._connection = impl_sqlalchemy.Connection(self, upgrade_lock=self._upgrade_lock)

    def get_connection(self) -> impl_sqlalchemy.Connection:
        """The one connection; closing it does nothing."""
        return self._connection

    def upgrade(self, *, guard: AbstractContextManager[object] | None = None) -> None:
        """Create TaskFlow's tables or bring them up to date, and add the indexes that they lack.

        :param guard: held meanwhile, so that two processes do not do it at once.
        """
        with guard or nullcontext():
            self._connection.upgrade()
            # MySQL indexes every foreign key by itself.
            if self._database.dialect.name in ("sqlite", "postgresql"):
                with self._database.begin() as connection:
                    for table, parent in _LINKS:
                        connection.exec_driver_sql(
                            f"CREATE INDEX IF NOT EXISTS pumphouse_{table}_{parent} ON {table} (parent_uuid)"
                        )


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
