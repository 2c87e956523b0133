"""Nova: which states an operation takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pumphouse.devcloud.errors import conflict
from pumphouse.devcloud.table import Row

if TYPE_CHECKING:
    from pumphouse.devcloud.dispatch import ApiRequest


def check_state(request: ApiRequest, row: Row, action: str, states: Sequence[str]) -> None:
    """409, unless the server is in one of these states, not busy, and not locked for the caller."""
    if row["locked"] and not request.token.is_admin:
        raise conflict(f"Instance {row['id']} is locked")
    if row["vm_state"] not in states:
        raise _wrong(row, action, "vm_state")
    if row["task_state"] is not None:
        raise _wrong(row, action, "task_state")


def _wrong(row: Row, action: str, attribute: str) -> Exception:
    state = row[attribute]
    return conflict(f"Cannot '{action}' instance {row['id']} while it is in {attribute} {state}")
