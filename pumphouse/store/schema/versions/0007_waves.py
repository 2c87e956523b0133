"""Waves: groups that migrate in an order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import UTCDateTime, long_text, text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "waves",
        sa.Column("id", text(32), nullable=False),
        sa.Column("name", text(255), nullable=False),
        sa.Column("state", text(32), nullable=False),
        sa.Column("source", text(100), nullable=False),
        sa.Column("destination", text(100), nullable=False),
        sa.Column("servers_at_once", sa.Integer(), nullable=True),
        sa.Column("stop_at", sa.Double(), nullable=True),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("reason", long_text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("owner_host", text(255), nullable=True),
        sa.Column("owner_pid", sa.Integer(), nullable=True),
        sa.Column("owner_started", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_waves"),
        mysql_charset="utf8mb4",
    )
