"""What alembic runs: the migrations, on the connection that it was given."""

from __future__ import annotations

from alembic import context

from pumphouse.store.models import Base
from pumphouse.store.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    # SQLite's changes of schema are transactional too, once the driver does not interfere.
    transactional_ddl=context.config.attributes["connection"].dialect.name != "mysql",
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
