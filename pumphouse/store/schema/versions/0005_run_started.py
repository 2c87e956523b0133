"""When the run that a migration is in, or the last one, began: a retry or a roll-back is one of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import UTCDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("migrations") as table:
        table.add_column(sa.Column("run_started_at", UTCDateTime(), nullable=True))
