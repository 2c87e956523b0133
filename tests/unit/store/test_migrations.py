"""Migrations: states, finding them, and the one process at work."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import psutil
import pytest
import sqlalchemy as sa

from pumphouse.errors import AmbiguousName, Fenced, MigrationBusy, UnknownMigration, WrongState
from pumphouse.store.migrations import Request
from pumphouse.store.models import MigrationRow
from pumphouse.store.owner import FRESH, Owner
from pumphouse.store.states import ALLOWED, MigrationState

ME = Owner.this_process()
ELSEWHERE = Owner(host="another-host", pid=1, started=1.0)
DEAD = Owner(host=socket.gethostname(), pid=os.getpid(), started=ME.started - 1000)
"""Another process that had this one's id before."""


def test_a_new_migration_is_planned_and_its_id_is_readable(store, migration) -> None:
    assert re.fullmatch(r"m-[2-9a-hjkmnp-z]{6}", migration.id)
    assert migration.state is MigrationState.PLANNED
    assert (migration.epoch, migration.owner, migration.started_at) == (0, None, None)
    assert store.migrations.get(migration.id) == migration
    assert datetime.now(UTC) - migration.created_at < timedelta(minutes=1)


def test_is_found_by_the_beginning_of_its_id_and_as_the_last(store, make_migration) -> None:
    first, second = make_migration(), make_migration()
    assert store.migrations.get("last").id == second.id
    assert store.migrations.get(first.id[:-1]).id == first.id or first.id[:-1] == second.id[:-1]
    assert store.migrations.get(first.id[2:]).id == first.id
    with pytest.raises(AmbiguousName, match=first.id):
        store.migrations.get("m-")


def test_an_unknown_id_names_what_is_near(store, migration) -> None:
    typed = migration.id[:-1] + ("x" if migration.id[-1] != "x" else "y")
    with pytest.raises(UnknownMigration, match=f"Did you mean {migration.id}"):
        store.migrations.get(typed)


def test_an_empty_store_says_so(store) -> None:
    for typed in ("last", "m-222222", ""):
        with pytest.raises(UnknownMigration, match="holds no migration yet"):
            store.migrations.get(typed)


def test_a_plan_is_found_the_same_way(store, migration) -> None:
    assert store.plans.get("last").id == migration.plan_id
    with pytest.raises(UnknownMigration, match="no plan"):
        store.plans.get("p-222222")


def test_lists_newest_first_by_state(store, make_migration) -> None:
    first, second, third = make_migration(), make_migration(), make_migration()
    store.migrations.set_state(second.id, MigrationState.RUNNING)
    assert [m.id for m in store.migrations.list()] == [third.id, second.id, first.id]
    assert [m.id for m in store.migrations.list(limit=1)] == [third.id]
    assert [m.id for m in store.migrations.list(state=MigrationState.RUNNING)] == [second.id]
    wanted = {MigrationState.RUNNING, MigrationState.PLANNED}
    assert len(store.migrations.list(state=wanted)) == 3


@pytest.mark.parametrize("before", list(MigrationState))
def test_only_the_legal_changes_of_state_are_made(store, migration, before: MigrationState) -> None:
    for after in MigrationState:
        with store.engine.begin() as connection:
            connection.execute(sa.update(MigrationRow).values(state=before))
        if after is before or after in ALLOWED[before]:
            assert store.migrations.set_state(migration.id, after).state is after
        else:
            with pytest.raises(WrongState, match=f"is {before}, and cannot become {after}"):
                store.migrations.set_state(migration.id, after)
            assert store.migrations.get(migration.id).state is before


def test_every_ended_migration_can_go_on_somehow_and_none_is_stuck() -> None:
    assert set(ALLOWED) == set(MigrationState)
    assert all(ALLOWED.values())


def test_times_follow_the_state(store, migration) -> None:
    running = store.migrations.set_state(migration.id, MigrationState.RUNNING)
    assert running.started_at is not None
    assert running.ended_at is None
    failed = store.migrations.set_state(migration.id, MigrationState.FAILED, reason="no room")
    assert failed.ended_at is not None
    assert failed.reason == "no room"
    again = store.migrations.set_state(migration.id, MigrationState.RUNNING)
    assert again.ended_at is None
    assert again.started_at == running.started_at


def test_a_run_takes_from_its_own_beginning_to_its_end(store, migration) -> None:
    """A retry does not count what was before it; a pause is part of the run."""
    assert (migration.run_started_at, migration.took) == (None, None)
    first = store.migrations.set_state(migration.id, MigrationState.RUNNING)
    assert (first.run_started_at, first.took) == (first.started_at, None)
    store.migrations.set_state(migration.id, MigrationState.PAUSED)
    resumed = store.migrations.set_state(migration.id, MigrationState.RUNNING)
    assert resumed.run_started_at == first.started_at
    failed = store.migrations.set_state(migration.id, MigrationState.FAILED)
    assert failed.took == (failed.ended_at - first.started_at).total_seconds()
    for state in (MigrationState.RUNNING, MigrationState.ROLLING_BACK):
        again = store.migrations.set_state(migration.id, state)
        assert again.run_started_at > failed.ended_at
        assert again.took is None
        assert again.started_at == first.started_at
        end = MigrationState.ROLLED_BACK if state is MigrationState.ROLLING_BACK else MigrationState.FAILED
        failed = store.migrations.set_state(migration.id, end)
        assert failed.took == (failed.ended_at - again.run_started_at).total_seconds()


def test_the_run_of_a_migration_from_before_that_was_told_is_its_first(store, migration) -> None:
    store.migrations.set_state(migration.id, MigrationState.RUNNING)
    with store.engine.begin() as connection:
        connection.execute(sa.update(MigrationRow).values(run_started_at=None))
    record = store.migrations.get(migration.id)
    assert record.run_started_at == record.started_at is not None


def test_an_unexpected_state_is_refused(store, migration) -> None:
    with pytest.raises(WrongState):
        store.migrations.set_state(migration.id, MigrationState.RUNNING, expect={MigrationState.PAUSED})


# -- the process at work


def test_a_living_process_keeps_its_migration(store, migration) -> None:
    epoch = store.migrations.take(migration.id, ME)
    with pytest.raises(MigrationBusy, match=f"{migration.id} is already at work: process {ME.pid}"):
        store.migrations.take(migration.id, ELSEWHERE)
    store.migrations.release(migration.id, epoch)
    assert store.migrations.take(migration.id, ELSEWHERE) == epoch + 1


def test_a_dead_process_of_this_host_is_taken_over_at_once(store, migration) -> None:
    assert store.migrations.take(migration.id, DEAD) == 1
    assert store.migrations.take(migration.id, ME) == 2
    assert store.migrations.get(migration.id).owner == ME


def test_a_process_of_another_host_is_taken_over_when_it_is_silent(store, migration) -> None:
    epoch = store.migrations.take(migration.id, ELSEWHERE)
    with pytest.raises(MigrationBusy):
        store.migrations.take(migration.id, ME)
    with store.engine.begin() as connection:
        connection.execute(sa.update(MigrationRow).values(heartbeat_at=datetime.now(UTC) - FRESH))
    assert store.migrations.take(migration.id, ME) == epoch + 1


def test_a_process_of_this_host_that_outlives_its_work_is_taken_over_when_it_is_silent(
    store, migration
) -> None:
    """The store was away when it wanted to let go."""
    epoch = store.migrations.take(migration.id, ME)
    silent = datetime.now(UTC) - FRESH
    with store.engine.begin() as connection:
        connection.execute(sa.update(MigrationRow).values(heartbeat_at=silent + timedelta(seconds=5)))
    with pytest.raises(MigrationBusy):
        store.migrations.take(migration.id, ME)
    with store.engine.begin() as connection:
        connection.execute(sa.update(MigrationRow).values(heartbeat_at=silent))
    assert not store.migrations.get(migration.id).at_work(datetime.now(UTC))
    assert store.migrations.take(migration.id, ME) == epoch + 1


def test_a_heartbeat_keeps_a_process_of_another_host_alive(store, migration) -> None:
    epoch = store.migrations.take(migration.id, ELSEWHERE)
    with store.engine.begin() as connection:
        connection.execute(sa.update(MigrationRow).values(heartbeat_at=datetime.now(UTC) - FRESH))
    store.migrations.heartbeat(migration.id, epoch)
    with pytest.raises(MigrationBusy):
        store.migrations.take(migration.id, ME)


def test_who_has_lost_it_is_fenced_from_all_that_matters(store, migration) -> None:
    lost = store.migrations.take(migration.id, DEAD)
    mine = store.migrations.take(migration.id, ME)
    with pytest.raises(Fenced, match=migration.id):
        store.migrations.heartbeat(migration.id, lost)
    with pytest.raises(Fenced):
        store.migrations.set_state(migration.id, MigrationState.RUNNING, epoch=lost)
    with pytest.raises(Fenced):
        store.migrations.set_plan(migration.id, migration.plan_id, epoch=lost)
    store.migrations.release(migration.id, lost)
    assert store.migrations.get(migration.id).owner == ME
    store.migrations.set_state(migration.id, MigrationState.RUNNING, epoch=mine)


def test_a_process_of_this_host_is_told_from_a_later_one_with_its_id() -> None:
    now = datetime.now(UTC)
    assert ME.alive(heartbeat_at=None, now=now)
    assert not DEAD.alive(heartbeat_at=now, now=now)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        owner = Owner(host=ME.host, pid=child.pid, started=psutil.Process(child.pid).create_time())
        assert owner.alive(heartbeat_at=None, now=now)
        child.kill()
    assert not owner.alive(heartbeat_at=now, now=now)


def test_a_second_run_of_the_same_subject_is_refused_and_names_the_first(store, make_migration) -> None:
    first, second = make_migration("project-a", "project-b"), make_migration("project-b")
    other, elsewhere = make_migration("project-c"), make_migration("project-b", destination="third")
    store.migrations.take(first.id, ME)
    with pytest.raises(MigrationBusy, match=f"{first.id}.*project-b"):
        store.migrations.take(second.id, ME)
    store.migrations.take(other.id, ME)
    store.migrations.take(elsewhere.id, ME)


def test_of_many_that_take_it_at_once_one_has_it(store, migration) -> None:
    begin, taken, busy = threading.Barrier(8), [], []

    def take() -> None:
        begin.wait(10)
        try:
            taken.append(store.migrations.take(migration.id, ME))
        except MigrationBusy:
            busy.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert taken == [1]
    assert len(busy) == 7


def test_requests_reach_the_process_at_work_once(store, migration) -> None:
    epoch = store.migrations.take(migration.id, ME)
    assert store.migrations.heartbeat(migration.id, epoch) is None
    store.migrations.request("last", Request.PAUSE)
    assert store.migrations.requested(migration.id) is Request.PAUSE
    assert store.migrations.heartbeat(migration.id, epoch) is Request.PAUSE
    store.migrations.release(migration.id, epoch)
    store.migrations.take(migration.id, ME)
    assert store.migrations.requested(migration.id) is None


def test_what_was_done_is_asked_for_no_longer(store, migration) -> None:
    epoch = store.migrations.take(migration.id, ME)
    store.migrations.set_state(migration.id, MigrationState.RUNNING, epoch=epoch)
    store.migrations.request(migration.id, Request.PAUSE)
    assert store.migrations.get(migration.id).request is Request.PAUSE
    store.migrations.set_state(migration.id, MigrationState.PAUSED, epoch=epoch)
    assert store.migrations.get(migration.id).request is None


@pytest.mark.parametrize("name", ["shop", "магазин", 'a "b" \\ %'])
def test_migrations_are_found_by_what_they_move(store, make_migration, name) -> None:
    def make(*names: str, subjects: tuple[str, ...] = ()) -> str:
        scope = {"kind": "tenant", "names": list(names)}
        plan = store.plans.create(source="from", destination="to", scope=scope, document={})
        return store.migrations.create(
            name="x", plan_id=plan.id, source="from", destination="to", subjects=subjects
        ).id

    make_migration("other")
    first, second = make(name, "blog"), make("somebody", subjects=("id-1", "id-2"))
    make(f"{name}2")

    def found(*tenants: str) -> set[str]:
        return {one.id for one in store.migrations.list(tenants=tenants)}

    assert found(name) == {first}
    assert found("id-2") == {second}
    assert found(name, "id-1") == {first, second}
    assert found("id") == found() == set()


def test_an_ended_migration_takes_no_request(store, migration) -> None:
    store.migrations.set_state(migration.id, MigrationState.CANCELLED)
    with pytest.raises(WrongState, match="CANCELLED"):
        store.migrations.request(migration.id, Request.PAUSE)


def test_with_another_plan_it_runs_again_in_the_same_moment(store, migration) -> None:
    epoch = store.migrations.take(migration.id, ME)
    store.migrations.set_state(migration.id, MigrationState.RUNNING, epoch=epoch)
    store.migrations.set_state(migration.id, MigrationState.PAUSED, epoch=epoch, reason="it waits")
    plan = store.plans.create(source="from", destination="to", scope={}, document={})
    again = store.migrations.set_plan(migration.id, plan.id, epoch=epoch, options={"prepare": False})
    assert (again.state, again.reason, again.plan_id) == (MigrationState.RUNNING, "", plan.id)
    assert again.options["earlier_plans"] == [migration.plan_id]
    assert again.options["prepare"] is False


def test_with_another_plan_nothing_runs_that_may_not(store, migration) -> None:
    epoch = store.migrations.take(migration.id, ME)
    store.migrations.set_state(migration.id, MigrationState.RUNNING, epoch=epoch)
    store.migrations.set_state(migration.id, MigrationState.CANCELLING, epoch=epoch)
    with pytest.raises(WrongState, match="cannot become RUNNING"):
        store.migrations.set_plan(migration.id, migration.plan_id, epoch=epoch)
    assert "earlier_plans" not in store.migrations.get(migration.id).options


def test_keeps_summary_and_report(store, migration) -> None:
    assert store.migrations.report(migration.id) is None
    store.migrations.set_summary(migration.id, {"servers": 3})
    store.migrations.set_report(migration.id, {"fields": ["é", "\u0000", None]})
    assert store.migrations.get(migration.id).summary == {"servers": 3}
    assert store.migrations.report(migration.id) == {"fields": ["é", "\u0000", None]}


@pytest.mark.parametrize("state", MigrationState)
def test_only_what_succeeded_can_be_finalised(store, migration, state) -> None:
    epoch = store.migrations.take(migration.id, ME)
    with store.engine.begin() as connection:
        connection.execute(sa.update(MigrationRow).values(state=state))
    if state in {MigrationState.SUCCEEDED, MigrationState.PARTIAL}:
        assert store.migrations.finalize(migration.id, epoch=epoch).finalized
        return
    with pytest.raises(WrongState, match=f"is {state}: only what succeeded can be finalised"):
        store.migrations.finalize(migration.id, epoch=epoch)
    assert not store.migrations.get(migration.id).finalized
