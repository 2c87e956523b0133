"""Room for what people read for a unit: the name of its server, say, is as long as it likes."""

from __future__ import annotations

from alembic import op

from pumphouse.store.columns import text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Widen the column."""
    with op.batch_alter_table("units") as table:
        table.alter_column("kind", existing_type=text(32), type_=text(320), existing_nullable=False)
