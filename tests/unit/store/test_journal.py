"""The journal: nothing is written to a cloud that is not written here first."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from pumphouse.context import Journal, JournalState
from pumphouse.errors import Fenced
from pumphouse.model import Ref, Side
from pumphouse.store.migrations import locked_row
from pumphouse.store.models import JournalRow
from pumphouse.store.owner import Owner
from pumphouse.store.states import MigrationState
from pumphouse.store.units import UnitRecord

NETWORK = Ref("network", "n-1")
TO = Side.DESTINATION


@pytest.fixture
def epoch(store, migration) -> int:
    return store.migrations.take(migration.id, Owner.this_process())


@pytest.fixture
def journal(store, migration, epoch) -> Journal:
    return store.journal_of(migration.id, "network", epoch=epoch)


def test_an_intent_becomes_made_and_removed(store, migration, journal) -> None:
    entry = journal.intend(NETWORK, "create", TO, detail={"project_id": "p"}, temporary=True)
    assert (entry.state, entry.made_id, entry.repeated) == (JournalState.INTENT, None, False)
    made = journal.made(entry, "made-1")
    assert (made.state, made.made_id, made.detail) == (JournalState.MADE, "made-1", {"project_id": "p"})
    assert made.temporary
    assert store.journal.open_entries(migration.id) == [made]
    journal.removed(made)
    assert store.journal.open_entries(migration.id) == []
    assert [entry.state for entry in store.journal.entries(migration.id)] == [JournalState.REMOVED]


def test_a_repeated_intent_is_the_same_entry(journal) -> None:
    first = journal.intend(NETWORK, "create", TO)
    again = journal.intend(NETWORK, "create", TO)
    assert (again.id, again.repeated, again.made_id) == (first.id, True, None)
    journal.made(first, "made-1", detail={"adopted": True})
    after = journal.intend(NETWORK, "create", TO, detail={"ignored": True})
    assert (after.id, after.made_id, after.detail) == (first.id, "made-1", {"adopted": True})
    assert journal.open_entries(NETWORK, "create")[0].id == first.id


def test_each_resource_step_and_side_has_an_entry_of_its_own(journal) -> None:
    entries = [
        journal.intend(NETWORK, "create", TO),
        journal.intend(Ref("network", "n-2"), "create", TO),
        journal.intend(Ref("subnet", "n-1"), "create", TO),
        journal.intend(NETWORK, "copy", TO),
        journal.intend(NETWORK, "create", Side.SOURCE),
    ]
    assert len({entry.id for entry in entries}) == 5
    assert not any(entry.repeated for entry in entries)


def test_what_was_removed_is_made_again_under_a_new_entry(journal) -> None:
    first = journal.intend(NETWORK, "create", TO)
    journal.removed(first)
    again = journal.intend(NETWORK, "create", TO)
    assert again.id > first.id
    assert not again.repeated


def test_what_was_left_stays_open_with_the_reason_and_is_found_again(journal) -> None:
    entry = journal.intend(NETWORK, "create", TO, detail={"project_id": "p"})
    journal.made(entry, "made-1")
    journal.left(entry, "it is in use")
    (left,) = journal.open_entries(NETWORK, "create")
    assert left.state is JournalState.LEFT
    assert left.detail == {"project_id": "p", "left": "it is in use"}
    again = journal.intend(NETWORK, "create", TO)
    assert (again.id, again.state, again.made_id) == (entry.id, JournalState.MADE, "made-1")


def test_who_has_lost_the_migration_cannot_intend_but_may_still_tell_what_it_made(
    store, migration, journal, epoch
) -> None:
    entry = journal.intend(NETWORK, "create", TO)
    journal.check_fence()
    store.migrations.release(migration.id, epoch)
    store.migrations.take(migration.id, Owner.this_process())
    with pytest.raises(Fenced):
        journal.intend(NETWORK, "create", TO)
    with pytest.raises(Fenced):
        journal.intend(Ref("network", "n-2"), "create", TO)
    with pytest.raises(Fenced):
        journal.check_fence()
    journal.made(entry, "made-1")
    assert store.journal.find(migration.id, NETWORK, "create").made_id == "made-1"


def test_each_run_has_entries_of_its_own_and_sees_no_others(store, migration, epoch) -> None:
    first = store.journal_of(migration.id, "network", epoch=epoch, plan="p-1")
    second = store.journal_of(migration.id, "network", epoch=epoch, plan="p-2")
    made = first.made(first.intend(NETWORK, "create", TO), "made-1")
    changed = second.intend(NETWORK, "create", TO, detail={"before": {"mtu": 1450}})
    assert (changed.plan, changed.repeated, changed.detail) == ("p-2", False, {"before": {"mtu": 1450}})
    assert second.intend(NETWORK, "create", TO, detail={"before": {"mtu": 9000}}).detail == changed.detail
    assert first.open_entries(NETWORK, "create") == [made]
    assert [one.id for one in second.open_entries(NETWORK, "create")] == [changed.id]
    # A roll-back of the migration takes back both, the change first.
    assert [one.id for one in store.journal.open_entries(migration.id)] == [changed.id, made.id]
    assert [one.id for one in store.journal.open_entries(migration.id, plan="p-1")] == [made.id]
    assert second.of_other_runs(NETWORK, "create") == [made]
    assert first.of_other_runs(Ref("network", "n-2"), "create") == []
    second.removed(changed)
    assert first.open_entries(NETWORK, "create") == [made]


def test_what_an_earlier_run_made_in_a_unit_of_the_same_name_is_not_half_made(store, migration) -> None:
    epoch = store.migrations.take(migration.id, Owner.this_process())
    first = store.journal_of(migration.id, "tenant P.0", epoch=epoch, plan=migration.plan_id)
    first.made(first.intend(NETWORK, "create", TO), "made-1")
    again = store.plans.create(source="from", destination="to", scope={}, document={})
    store.migrations.set_plan(migration.id, again.id, epoch=epoch)
    store.units.replace(
        migration.id, [UnitRecord(migration=migration.id, name="tenant P.0", kind="tenant shop")]
    )
    second = store.journal_of(migration.id, "tenant P.0", epoch=epoch, plan=again.id)
    second.intend(Ref("network", "n-2"), "create", TO)
    assert list(store.journal.half_made("from", "to")) == [Ref("network", "n-2")]


def test_two_attempts_at_once_write_one_entry(journal, store, migration) -> None:
    begin = threading.Barrier(6)

    def intend() -> None:
        begin.wait(10)
        journal.intend(NETWORK, "create", TO)

    threads = [threading.Thread(target=intend) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(store.journal.entries(migration.id)) == 1


def test_open_entries_newest_first_by_unit_and_by_kind(store, migration, epoch, journal) -> None:
    other = store.journal_of(migration.id, "server", epoch=epoch)
    first = journal.intend(NETWORK, "create", TO)
    second = other.intend(Ref("server", "s-1"), "grant", TO, temporary=True)
    table = store.journal
    assert [e.id for e in table.open_entries(migration.id)] == [second.id, first.id]
    assert [e.id for e in table.open_entries(migration.id, newest_first=False)] == [first.id, second.id]
    assert [e.id for e in table.open_entries(migration.id, unit="network")] == [first.id]
    assert [e.id for e in table.open_entries(migration.id, temporary=True)] == [second.id]


def test_another_migrations_journal_is_not_seen(store, make_migration, journal) -> None:
    journal.intend(NETWORK, "create", TO)
    other = make_migration()
    assert store.journal.find(other.id, NETWORK, "create") is None


def test_what_is_used_is_found_without_reading_what_others_made_besides(store, make_migration) -> None:
    maker, user = make_migration(), make_migration()
    epoch = {one.id: store.migrations.take(one.id, Owner.this_process()) for one in (maker, user)}
    mine = store.journal_of(maker.id, "shared", epoch=epoch[maker.id])
    for number in range(30):
        mine.made(mine.intend(Ref("flavor", f"f-{number}"), "create", TO), f"made-{number}")
    changed = Ref("flavor", "there")
    mine.made(mine.intend(changed, "create", TO, detail={"before": {"ram": 1}}), "there-1")
    read: list[str] = []

    def tell(row: JournalRow, _context: object) -> None:
        read.append(row.made_id)

    theirs = store.journal_of(user.id, "unit", epoch=epoch[user.id])
    sa.event.listen(JournalRow, "load", tell)
    try:
        theirs.use({Ref("flavor", "f-7"): "made-7", changed: "there-1", Ref("image", "f-8"): "made-8"})
    finally:
        sa.event.remove(JournalRow, "load", tell)
    assert read == []
    assert [one.made_id for one in store.journal.open_entries(user.id)] == ["made-7"]


def test_nothing_is_handed_over_to_a_migration_that_is_just_being_rolled_back(store, make_migration) -> None:
    """Its roll-back has its state first, and then reads what there is to take back."""
    maker, user = make_migration(), make_migration()
    epoch = {one.id: store.migrations.take(one.id, Owner.this_process()) for one in (maker, user)}
    flavor = Ref("flavor", "small")
    mine = store.journal_of(maker.id, "shared", epoch=epoch[maker.id])
    theirs = store.journal_of(user.id, "unit", epoch=epoch[user.id])
    made = mine.made(mine.intend(flavor, "create", TO), "made-1")
    theirs.use({flavor: "made-1"})
    store.migrations.set_state(user.id, MigrationState.RUNNING)
    heirs: list[str | None] = []
    thread = threading.Thread(target=lambda: heirs.append(mine.hand_over(made)))
    with Session(store.engine) as session, session.begin():
        locked_row(session, user.id).state = MigrationState.ROLLING_BACK
        session.flush()
        thread.start()
        thread.join(0.5)
    thread.join(30)
    assert heirs == [None]
    assert [one.id for one in mine.open_entries(flavor, "create")] == [made.id]


def test_what_others_use_is_handed_over_instead_of_removed(store, make_migration) -> None:
    maker, user = make_migration(), make_migration()
    epoch = {one.id: store.migrations.take(one.id, Owner.this_process()) for one in (maker, user)}
    flavor = Ref("flavor", "small")
    mine = store.journal_of(maker.id, "shared", epoch=epoch[maker.id])
    theirs = store.journal_of(user.id, "unit", epoch=epoch[user.id])
    made = mine.made(mine.intend(flavor, "create", Side.DESTINATION), "made-1")
    theirs.use({flavor: "made-1", Ref("flavor", "other"): "nobody-made-it"})
    theirs.use({flavor: "made-1"})  # again: a resumed run says so once more
    assert [one.ref for one in store.journal.open_entries(user.id)] == [flavor]
    assert mine.hand_over(made) is None  # it has made nothing that needs it
    theirs.intend(Ref("server", "s"), "create", Side.DESTINATION)
    assert mine.hand_over(made) == user.id
    assert not mine.open_entries(flavor, "create")
    assert [one.made_id for one in theirs.open_entries(flavor, "create")] == ["made-1"]
    assert theirs.hand_over(theirs.open_entries(flavor, "create")[0]) is None
