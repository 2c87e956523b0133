"""Hypervisors that are being emptied, or were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import UTCDateTime, long_text, text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "evacuations",
        sa.Column("id", text(32), nullable=False),
        sa.Column("cloud", text(100), nullable=False),
        sa.Column("host", text(255), nullable=False),
        sa.Column("state", text(32), nullable=False),
        sa.Column("service", text(64), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("servers", sa.JSON(), nullable=False),
        sa.Column("reason", long_text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("owner_host", text(255), nullable=True),
        sa.Column("owner_pid", sa.Integer(), nullable=True),
        sa.Column("owner_started", sa.Double(), nullable=True),
        sa.Column("heartbeat_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_evacuations"),
        mysql_charset="utf8mb4",
    )
    op.create_index("ix_evacuations_cloud_host", "evacuations", ["cloud", "host"])
