"""Waves that are asked for over the API, and the request to pause one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import text

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("operations") as table:
        table.add_column(sa.Column("wave_id", text(32), nullable=True))
    with op.batch_alter_table("waves") as table:
        table.add_column(sa.Column("pausing", sa.Boolean(), nullable=False, server_default=sa.false()))
