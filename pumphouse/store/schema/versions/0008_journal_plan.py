"""Which run wrote an entry of the journal, told by the plan that it carried out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import UTCDateTime, text

revision = "0008"
down_revision = "0007"

_JOURNAL = sa.table(
    "journal", sa.column("migration", text(32)), sa.column("plan", text(32)), sa.column("at", UTCDateTime())
)
_MIGRATIONS = sa.table(
    "migrations",
    sa.column("id", text(32)),
    sa.column("plan_id", text(32)),
    sa.column("started_at", UTCDateTime()),
    sa.column("run_started_at", UTCDateTime()),
)


def upgrade() -> None:
    """Add the column; what was written since the last run began is of its plan, and of older ones unknown."""
    with op.batch_alter_table("journal") as table:
        table.add_column(sa.Column("plan", text(32), nullable=False, server_default=""))
    begun = sa.func.coalesce(_MIGRATIONS.c.run_started_at, _MIGRATIONS.c.started_at)
    last = (
        sa.select(_MIGRATIONS.c.plan_id)
        .where(_MIGRATIONS.c.id == _JOURNAL.c.migration, begun <= _JOURNAL.c.at)
        .scalar_subquery()
    )
    op.execute(sa.update(_JOURNAL).values(plan=sa.func.coalesce(last, "")))
