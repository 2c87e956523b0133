"""Events: numbered without a gap, in the order in which they can be read; none is lost."""

from __future__ import annotations

import threading
import time

import pytest

from pumphouse.errors import DatabaseError
from pumphouse.events import MigrationChanged, Noted
from pumphouse.store.events import Events
from pumphouse.store.writer import EventWriter


def noted(text: str, migration: str = "m-1") -> Noted:
    return Noted(migration=migration, resource="server:1", text=text)


def test_an_event_comes_back_as_it_was(store) -> None:
    event = MigrationChanged(migration="m-1", state="FAILED", reason="é", error={"error": "Conflict"})
    assert store.events.append([event]) == 1
    (record,) = store.events.read()
    assert record.event() == event
    assert record.kind == "migration_changed"


def test_reads_after_a_number_by_migration_with_a_limit(store) -> None:
    store.events.append([noted("a"), noted("b", "m-2"), noted("c")])
    assert store.events.append([noted("d")]) == store.events.last() == 4
    assert [(e.seq, e.payload["text"]) for e in store.events.read(after=1)] == [
        (2, "b"),
        (3, "c"),
        (4, "d"),
    ]
    assert [e.seq for e in store.events.read(migration="m-1", limit=2)] == [1, 3]
    assert store.events.read(after=4) == ()


def test_nothing_is_appended_by_nothing(store) -> None:
    assert store.events.append([]) == 0
    assert store.events.last() == 0


def test_who_follows_the_numbers_misses_none(store) -> None:
    """Writers commit in the order of their numbers, so a reader never sees 5 before 4."""
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        last = False
        while not last:
            last = done.is_set()
            seen.extend(e.seq for e in store.events.read(after=seen[-1] if seen else 0))

    def write(name: str) -> None:
        for number in range(50):
            store.events.append([noted(str(number), name)])

    reader = threading.Thread(target=follow)
    writers = [threading.Thread(target=write, args=(f"m-{n}",)) for n in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    done.set()
    reader.join(30)
    assert seen == list(range(1, 201))


class Counting(Events):
    """Events that count their transactions, and fail as long as they are told to."""

    def __init__(self, database) -> None:
        super().__init__(database)
        self.batches: list[int] = []
        self.broken = False

    def append(self, events) -> int:
        if self.broken:
            raise DatabaseError("the disk is full")
        self.batches.append(len(events))
        return super().append(events)


def test_the_writer_keeps_all_in_order_and_in_few_transactions(store) -> None:
    events = Counting(store.database)
    with EventWriter(events, every=0.05) as writer:
        for number in range(1200):
            writer(noted(str(number)))
    assert [e.payload["text"] for e in store.events.read(limit=2000)] == [str(n) for n in range(1200)]
    assert len(events.batches) <= 20


def test_the_writer_writes_without_being_closed(store) -> None:
    with EventWriter(store.events, every=0.05) as writer:
        writer(noted("now"))
        until = time.monotonic() + 10
        while not store.events.read() and time.monotonic() < until:
            time.sleep(0.01)
        assert [e.payload["text"] for e in store.events.read()] == ["now"]


def test_the_writer_keeps_events_while_the_database_fails(store) -> None:
    events = Counting(store.database)
    events.broken = True
    writer = EventWriter(events, every=0.02)
    writer(noted("kept"))
    with pytest.raises(DatabaseError, match="disk is full"):
        writer.flush()
    time.sleep(0.1)
    events.broken = False
    writer(noted("next"))
    writer.close()
    assert [e.payload["text"] for e in store.events.read()] == ["kept", "next"]


def test_closing_tells_when_events_could_not_be_written(store) -> None:
    events = Counting(store.database)
    events.broken = True
    writer = EventWriter(events, every=0.02)
    writer(noted("lost"))
    with pytest.raises(DatabaseError):
        writer.close()


def test_an_event_after_the_close_is_written_at_once(store) -> None:
    writer = EventWriter(store.events)
    writer.close()
    writer(noted("late"))
    assert [e.payload["text"] for e in store.events.read()] == ["late"]
    assert "pumphouse-events" not in {thread.name for thread in threading.enumerate()}


def test_the_newest_come_first_from_before_a_number_and_without_some_kinds(store) -> None:
    failed = MigrationChanged(migration="m-1", state="FAILED")
    store.events.append([noted("a"), noted("b"), noted("c", "m-2"), failed])
    assert [one.seq for one in store.events.newest("m-1")] == [4, 2, 1]
    assert [one.seq for one in store.events.newest("m-1", limit=2)] == [4, 2]
    assert [one.seq for one in store.events.newest("m-1", before=4)] == [2, 1]
    assert [one.seq for one in store.events.newest("m-1", without=["noted"])] == [4]
