"""Plans, as they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.store.database import Database, retried
from pumphouse.store.models import PlanRow
from pumphouse.store.names import find_id, new_id


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
    def list(self, *, limit: int | None = None) -> tuple[PlanRecord, ...]:
        """Plans, newest first."""
        with Session(self._database.reader) as session:
            rows = session.scalars(
                sa.select(PlanRow).order_by(PlanRow.created_at.desc(), PlanRow.id).limit(limit)
            )
            return tuple(map(_record, rows))


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
