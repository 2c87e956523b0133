"""Waves and evacuations are fenced as migrations are, and of each host one evacuation is running."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import UTCDateTime

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns and the key. Had two been running on a host, the newest is."""
    with op.batch_alter_table("waves") as table:
        table.add_column(sa.Column("heartbeat_at", UTCDateTime(), nullable=True))
        table.add_column(sa.Column("epoch", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("evacuations") as table:
        table.add_column(sa.Column("epoch", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("running", sa.Boolean(), nullable=True))
    rows = sa.table(
        "evacuations", *map(sa.column, ("id", "cloud", "host", "state", "created_at", "running", "ended_at"))
    )
    connection = op.get_bind()
    query = sa.select(rows).where(rows.c.state == "RUNNING").order_by(rows.c.created_at)
    newest = {(row.cloud, row.host): row.id for row in connection.execute(query)}
    connection.execute(
        sa.update(rows)
        .where(rows.c.state == "RUNNING", rows.c.id.not_in(newest.values()))
        .values(state="FAILED", ended_at=rows.c.created_at)
    )
    connection.execute(sa.update(rows).where(rows.c.state == "RUNNING").values(running=sa.true()))
    with op.batch_alter_table("evacuations") as table:
        table.create_unique_constraint("uq_evacuations_cloud_host_running", ["cloud", "host", "running"])
