"""Evacuations that are asked for over the API, and the request to stop one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import text

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("operations") as table:
        table.add_column(sa.Column("evacuation_id", text(32), nullable=True))
    with op.batch_alter_table("evacuations") as table:
        table.add_column(sa.Column("stopping", sa.Boolean(), nullable=False, server_default=sa.false()))
