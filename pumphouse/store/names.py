"""Short readable ids, and finding them again from what a person types."""

from __future__ import annotations

import difflib
import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from pumphouse.errors import AmbiguousName, UnknownMigration
from pumphouse.store.models import EvacuationRow, MigrationRow, OperationRow, PlanRow, WaveRow

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without those that look alike: 0 and o, 1, i and l."""
LAST = "last"
FINALIZED = "finalized"
"""The option that tells when something of a migration was first finalised: it cannot be taken back since."""
PREPARE = "prepare"
"""The option that tells that only what needs no downtime is carried out as yet."""
PREPARED = "prepared"
"""The option that tells that all of that is done, and that nothing has gone on since."""
EARLIER_PLANS = "earlier_plans"
"""The option that lists the plans of a migration's earlier tries, newest first."""


def new_id(prefix: str) -> str:
    """A new id such as ``m-7k3f9q``, one of 900 million."""
    return f"{prefix}-" + "".join(secrets.choice(_LETTERS) for _ in range(6))


def find_id(
    session: Session,
    typed: str,
    *,
    column: InstrumentedAttribute[str],
    newest: sa.UnaryExpression[Any],
    what: str,
) -> str:
    """The id that was meant: an id, the unique beginning of one (with its ``m-`` or without), or ``last``.

    :param newest: the order in which ``last`` is the first.
    :param what: the noun in errors.
    :raises UnknownMigration: nothing fits; names what is near.
    :raises AmbiguousName: several fit; names them.
    """
    ids = list(session.scalars(sa.select(column).order_by(newest, column)))
    if typed == LAST and ids:
        return ids[0]
    if typed in ids:
        return typed
    found = sorted(
        id for id in ids if typed and (id.startswith(typed) or id.partition("-")[2].startswith(typed))
    )
    if len(found) == 1:
        return found[0]
    if found:
        raise AmbiguousName(
            f"several {what}s begin with {typed!r}: {', '.join(found)}", next_step="Give more of the id."
        )
    near = difflib.get_close_matches(typed, ids, n=3, cutoff=0.5) or ids[:3]
    raise UnknownMigration(
        f"there is no {what} {typed!r}",
        next_step=f"Did you mean {' or '.join(near)}?" if near else f"The store holds no {what} yet.",
    )


Listed = EvacuationRow | MigrationRow | OperationRow | PlanRow | WaveRow


def following(table: type[Listed], marker: Listed) -> sa.ColumnElement[bool]:
    """What comes after a row in a listing, newest first: the next page."""
    later = sa.and_(table.created_at == marker.created_at, table.id > marker.id)
    return sa.or_(table.created_at < marker.created_at, later)
