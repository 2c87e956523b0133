"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import PackedJSON, UTCDateTime, long_text, serial, text

revision = "0001"
down_revision = None

_MYSQL: Any = {"mysql_charset": "utf8mb4"}


def _col(name: str, kind: sa.types.TypeEngine[Any], *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _of_migration(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["migration"], ["migrations.id"], name=f"fk_{table}_migration", ondelete="CASCADE"
    )


def upgrade() -> None:
    """Create all tables."""
    _create_plans()
    _create_migrations()
    _create_journal()
    _create_shared()


def _create_plans() -> None:
    op.create_table(
        "clouds",
        _col("name", text(100)),
        _col("first_seen_at", UTCDateTime()),
        _key("clouds", "name"),
        **_MYSQL,
    )
    op.create_table(
        "inventories",
        _col("id", serial()),
        _col("cloud", text(100)),
        _col("taken_at", UTCDateTime()),
        _col("counts", sa.JSON()),
        _col("document", PackedJSON()),
        _key("inventories", "id"),
        sa.ForeignKeyConstraint(["cloud"], ["clouds.name"], name="fk_inventories_cloud"),
        **_MYSQL,
    )
    op.create_index("ix_inventories_cloud", "inventories", ["cloud"])
    op.create_table(
        "plans",
        _col("id", text(32)),
        _col("created_at", UTCDateTime()),
        _col("source", text(100)),
        _col("destination", text(100)),
        _col("scope", sa.JSON()),
        _col("document", PackedJSON()),
        _key("plans", "id"),
        **_MYSQL,
    )


def _create_migrations() -> None:
    op.create_table(
        "migrations",
        _col("id", text(32)),
        _col("name", text(255)),
        _col("state", text(32)),
        _col("plan_id", text(32)),
        _col("source", text(100)),
        _col("destination", text(100)),
        _col("subjects", sa.JSON()),
        _col("options", sa.JSON()),
        _col("created_at", UTCDateTime()),
        _col("started_at", UTCDateTime(), null=True),
        _col("ended_at", UTCDateTime(), null=True),
        _col("owner_host", text(255), null=True),
        _col("owner_pid", sa.Integer(), null=True),
        _col("owner_started", sa.Double(), null=True),
        _col("heartbeat_at", UTCDateTime(), null=True),
        _col("epoch", sa.Integer()),
        _col("request", text(32), null=True),
        _col("reason", long_text()),
        _col("summary", sa.JSON(), null=True),
        _col("report", PackedJSON(), null=True),
        _key("migrations", "id"),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name="fk_migrations_plan_id"),
        **_MYSQL,
    )
    op.create_index("ix_migrations_state", "migrations", ["state"])
    op.create_table(
        "units",
        _col("migration", text(32)),
        _col("name", text(255)),
        _col("position", sa.Integer()),
        _col("kind", text(32)),
        _col("state", text(32)),
        _col("flow", text(64), null=True),
        _col("reason", long_text()),
        _col("error", sa.JSON(), null=True),
        _col("started_at", UTCDateTime(), null=True),
        _col("ended_at", UTCDateTime(), null=True),
        _key("units", "migration", "name"),
        _of_migration("units"),
        **_MYSQL,
    )


def _create_journal() -> None:
    op.create_table(
        "journal",
        _col("id", serial()),
        _col("migration", text(32)),
        _col("unit", text(255)),
        _col("type", text(64)),
        _col("source_id", text(480)),
        _col("step", text(64)),
        _col("side", text(32)),
        _col("state", text(32)),
        _col("made_id", text(480), null=True),
        _col("detail", sa.JSON()),
        _col("temporary", sa.Boolean()),
        _col("at", UTCDateTime()),
        _col("changed_at", UTCDateTime()),
        _key("journal", "id"),
        _of_migration("journal"),
        sqlite_autoincrement=True,
        **_MYSQL,
    )
    op.create_index(
        "ix_journal_migration_type_source_id_step", "journal", ["migration", "type", "source_id", "step"]
    )


def _create_shared() -> None:
    op.create_table(
        "id_map",
        _col("source", text(100)),
        _col("destination", text(100)),
        _col("type", text(64)),
        _col("source_id", text(480)),
        _col("destination_id", text(480)),
        _col("migration", text(32)),
        _col("made", sa.Boolean()),
        _key("id_map", "source", "destination", "type", "source_id"),
        **_MYSQL,
    )
    op.create_table(
        "events",
        sa.Column("seq", serial(), nullable=False, autoincrement=False),
        _col("migration", text(32)),
        _col("at", UTCDateTime()),
        _col("kind", text(64)),
        _col("payload", sa.JSON()),
        _key("events", "seq"),
        **_MYSQL,
    )
    op.create_index("ix_events_migration_seq", "events", ["migration", "seq"])
    counters = op.create_table(
        "counters", _col("name", text(32)), _col("value", sa.BigInteger()), _key("counters", "name"), **_MYSQL
    )
    op.bulk_insert(counters, [{"name": "events", "value": 0}])
    op.create_table(
        "claims",
        _col("destination", text(100)),
        _col("type", text(64)),
        _col("source_id", text(480)),
        _col("migration", text(32)),
        _col("at", UTCDateTime()),
        _key("claims", "destination", "type", "source_id"),
        **_MYSQL,
    )
