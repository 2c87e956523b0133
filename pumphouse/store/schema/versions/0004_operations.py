"""What is asked for and takes more than a moment: reading a cloud, making a plan, beginning a migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import PackedJSON, UTCDateTime, text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "operations",
        sa.Column("id", text(32), nullable=False),
        sa.Column("kind", text(32), nullable=False),
        sa.Column("state", text(32), nullable=False),
        sa.Column("asked", PackedJSON(), nullable=False),
        sa.Column("asked_by", text(255), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=True),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("owner_host", text(255), nullable=True),
        sa.Column("owner_pid", sa.Integer(), nullable=True),
        sa.Column("owner_started", sa.Double(), nullable=True),
        sa.Column("heartbeat_at", UTCDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("progress", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("cloud", text(100), nullable=True),
        sa.Column("plan_id", text(32), nullable=True),
        sa.Column("migration_id", text(32), nullable=True),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("request_key", text(64), nullable=True),
        sa.Column("request_digest", text(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
        sa.UniqueConstraint("request_key", name="uq_operations_request_key"),
        mysql_charset="utf8mb4",
    )
    op.create_index("ix_operations_state", "operations", ["state"])
