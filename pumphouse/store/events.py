"""Events: appended, numbered in the order in which they became visible, never changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.events import Event
from pumphouse.store.database import Database, retried
from pumphouse.store.models import CounterRow, EventRow

_COUNTER = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """An event with its number."""

    seq: int
    migration: str
    at: datetime
    kind: str
    payload: Mapping[str, Any]

    def event(self) -> Event:
        """The event. Raises KeyError for a kind that only another version knows."""
        return Event.build(self.kind, migration=self.migration, at=self.at, payload=self.payload)


class Events:
    """Events in the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def append(self, events: Sequence[Event]) -> int:
        """Write events in one transaction, in this order; the number of the last."""
        with Session(self._database.writer) as session, session.begin():
            return append_in(session, events)

    @retried
    def read(
        self, *, after: int = 0, migration: str | None = None, limit: int = 1000
    ) -> tuple[EventRecord, ...]:
        """Events numbered higher than ``after``, in order, at most ``limit``."""
        query = sa.select(EventRow).where(EventRow.seq > after).order_by(EventRow.seq).limit(limit)
        if migration is not None:
            query = query.where(EventRow.migration == migration)
        with Session(self._database.reader) as session:
            return tuple(map(_record, session.scalars(query)))

    @retried
    def newest(
        self,
        migration: str,
        *,
        before: int | None = None,
        without: Collection[str] = (),
        limit: int = 1000,
    ) -> tuple[EventRecord, ...]:
        """A migration's events, newest first: those numbered lower than ``before``, but for some kinds."""
        query = sa.select(EventRow).where(EventRow.migration == migration)
        if before is not None:
            query = query.where(EventRow.seq < before)
        if without:
            query = query.where(EventRow.kind.not_in(without))
        with Session(self._database.reader) as session:
            return tuple(map(_record, session.scalars(query.order_by(EventRow.seq.desc()).limit(limit))))

    @retried
    def last(self) -> int:
        """The number of the newest event; 0 before the first."""
        with Session(self._database.reader) as session:
            value = session.scalar(sa.select(CounterRow.value).where(CounterRow.name == _COUNTER))
            return value or 0

    @retried
    def place(self, name: str) -> int:
        """Up to which number somebody has taken events; the newest one's for who asks for the first time."""
        with Session(self._database.writer) as session, session.begin():
            row = session.get(CounterRow, name)
            if row is None:
                last = session.scalar(sa.select(CounterRow.value).where(CounterRow.name == _COUNTER)) or 0
                row = CounterRow(name=name, value=last)
                session.add(row)
                session.flush()
            return row.value

    @retried
    def set_place(self, name: str, value: int) -> None:
        """Say up to which number somebody has taken events; it never goes back."""
        counter = sa.and_(CounterRow.name == name, CounterRow.value < value)
        with Session(self._database.writer) as session, session.begin():
            session.execute(sa.update(CounterRow).where(counter).values(value=value))


def append_in(session: Session, events: Sequence[Event]) -> int:
    """Write events as the last thing of a transaction; the number of the last."""
    # The counter's row is locked until the commit. So whoever has read number n has missed none below it,
    # which a database's own sequence would not promise.
    counter = CounterRow.name == _COUNTER
    session.execute(sa.update(CounterRow).where(counter).values(value=CounterRow.value + len(events)))
    last = session.scalars(sa.select(CounterRow.value).where(counter)).one()
    first = last - len(events) + 1
    rows = [
        {
            "seq": first + offset,
            "migration": event.migration,
            "at": event.at,
            "kind": event.kind,
            "payload": event.payload(),
        }
        for offset, event in enumerate(events)
    ]
    if rows:
        session.execute(sa.insert(EventRow), rows)
    return last


def _record(row: EventRow) -> EventRecord:
    return EventRecord(seq=row.seq, migration=row.migration, at=row.at, kind=row.kind, payload=row.payload)
