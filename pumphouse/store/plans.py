"""Plans, as they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.errors import WrongState
from pumphouse.store.database import Database, retried
from pumphouse.store.models import MigrationRow, PlanRow, WaveRow
from pumphouse.store.names import EARLIER_PLANS, find_id, following, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """A plan without its document."""

    id: str
    created_at: datetime
    source: str
    destination: str
    scope: Mapping[str, Any]


class Plans:
    """Plans in the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def create(
        self, *, source: str, destination: str, scope: Mapping[str, Any], document: Mapping[str, Any]
    ) -> PlanRecord:
        """Keep a plan. ``document`` is its JSON, without secrets."""
        with Session(self._database.writer) as session, session.begin():
            row = PlanRow(
                id=new_id("p"),
                created_at=datetime.now(UTC),
                source=source,
                destination=destination,
                scope=dict(scope),
                document=dict(document),
            )
            session.add(row)
            session.flush()
            return _record(row)

    @retried
    def get(self, id: str) -> PlanRecord:
        """A plan by its id, the beginning of it, or ``last``. Raises UnknownMigration or AmbiguousName."""
        with Session(self._database.reader) as session:
            return _record(_find(session, id))

    @retried
    def document(self, id: str) -> dict[str, Any]:
        """The plan's JSON. Raises as :meth:`get` does."""
        with Session(self._database.reader) as session:
            document: dict[str, Any] = _find(session, id).document
            return document

    @retried
    def list(self, *, limit: int | None = None, marker: str | None = None) -> tuple[PlanRecord, ...]:
        """Plans, newest first; those that come after the one whose id is ``marker``.

        Raises UnknownMigration for a marker that is no plan's.
        """
        query = sa.select(PlanRow).order_by(PlanRow.created_at.desc(), PlanRow.id).limit(limit)
        with Session(self._database.reader) as session:
            if marker is not None:
                query = query.where(following(PlanRow, _find(session, marker)))
            return tuple(map(_record, session.scalars(query)))

    @retried
    def delete(self, id: str) -> PlanRecord:
        """Forget a plan. Raises WrongState if a migration carries it out, or once did, or a wave needs it."""
        with Session(self._database.writer) as session, session.begin():
            row = _find(session, id)
            found = session.execute(sa.select(MigrationRow.id, MigrationRow.plan_id, MigrationRow.options))
            users = [
                f"migration {one.id}"
                for one in found
                if row.id in {one.plan_id, *one.options.get(EARLIER_PLANS, ())}
            ]
            waves = session.execute(sa.select(WaveRow.id, WaveRow.groups))
            users += [
                f"wave {one.id}" for one in waves if row.id in {group["plan_id"] for group in one.groups}
            ]
            if users:
                raise WrongState(
                    f"plan {row.id} belongs to {', '.join(sorted(users))}",
                    next_step="It is kept for as long as they are.",
                )
            record = _record(row)
            session.delete(row)
            return record


def _find(session: Session, id: str) -> PlanRow:
    found = find_id(session, id, column=PlanRow.id, newest=PlanRow.created_at.desc(), what="plan")
    return session.get_one(PlanRow, found)


def _record(row: PlanRow) -> PlanRecord:
    return PlanRecord(
        id=row.id,
        created_at=row.created_at,
        source=row.source,
        destination=row.destination,
        scope=row.scope,
    )
