"""Migrations in two parts: what a cutover needs."""

from __future__ import annotations

from pumphouse import errors
from pumphouse.store.migrations import MigrationRecord
from pumphouse.store.names import PREPARE
from pumphouse.store.states import MigrationState

WAITS = "it is prepared, and waits for its cutover"
"""The reason of a migration that has been prepared."""


def require_prepared(record: MigrationRecord) -> None:
    """Raise WrongState for a migration that does not wait for a cutover, or is on the way there."""
    if record.state is MigrationState.PAUSED and record.options.get(PREPARE):
        return
    raise errors.WrongState(
        f"migration {record.id} is {record.state}, and not prepared",
        next_step=f"Go on with: pumphouse migration resume {record.id}"
        if record.state is MigrationState.PAUSED
        else f"See it with: pumphouse migration show {record.id}",
    )
