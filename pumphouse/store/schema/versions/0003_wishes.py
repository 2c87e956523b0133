"""What is wanted of a migration, and the key of the request that made it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import UTCDateTime, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("migrations") as table:
        table.add_column(sa.Column("wanted", text(32), nullable=True))
        table.add_column(sa.Column("wanted_at", UTCDateTime(), nullable=True))
        table.add_column(sa.Column("request_key", text(64), nullable=True))
        table.add_column(sa.Column("request_digest", text(64), nullable=True))
        table.create_unique_constraint("uq_migrations_request_key", ["request_key"])
        table.create_index("ix_migrations_wanted", ["wanted"])
