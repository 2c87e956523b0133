"""Finding who made a resource of the destination, or uses it, without reading whole journals."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_journal_type_made_id", "journal", ["type", "made_id"])
