"""One process at a time is at work on a row of the store, and each fences all earlier ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pumphouse.errors import Fenced
from pumphouse.store.models import Fenceable, Owned
from pumphouse.store.owner import Owner


def owner_of(row: Owned | sa.Row[Any]) -> Owner | None:
    """The process that has it, alive or not."""
    if row.owner_host is None or row.owner_pid is None or row.owner_started is None:
        return None
    return Owner(host=row.owner_host, pid=row.owner_pid, started=row.owner_started)


def living_owner(row: Owned, now: datetime) -> Owner | None:
    """The process that has it, if it lives."""
    owner = owner_of(row)
    return owner if owner is not None and owner.alive(heartbeat_at=row.heartbeat_at, now=now) else None


def give(row: Owned, owner: Owner, now: datetime) -> None:
    """Make a process the one that is at work on it, and fence all earlier ones of what can be fenced."""
    row.owner_host, row.owner_pid, row.owner_started = owner.host, owner.pid, owner.started
    row.heartbeat_at = now
    if isinstance(row, Fenceable):
        row.epoch += 1


def let_go(row: Owned) -> None:
    """Make it nobody's."""
    row.owner_host = row.owner_pid = row.owner_started = row.heartbeat_at = None


def require_epoch(row: Fenceable | sa.Row[Any], epoch: int | None, *, what: str) -> None:
    """Raise Fenced unless ``epoch`` is still its own; None is no process's.

    :param what: the noun in the error.
    """
    if epoch is not None and row.epoch != epoch:
        raise Fenced(f"another process has taken {what} {row.id} over ({owner_of(row) or 'it has let go'})")
