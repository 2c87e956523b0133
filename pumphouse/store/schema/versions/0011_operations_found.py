"""What an operation has found, and what of it could not be done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pumphouse.store.columns import PackedJSON

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("operations") as table:
        table.add_column(sa.Column("found", PackedJSON(), nullable=True))
        table.add_column(sa.Column("left", sa.JSON(none_as_null=True), nullable=True))
