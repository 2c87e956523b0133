"""Waves and evacuations: one process at a time is at each, and fences those before."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from pumphouse.errors import Fenced, MigrationBusy, WrongState
from pumphouse.store.evacuations import EvacuationState
from pumphouse.store.models import EvacuationRow, WaveRow
from pumphouse.store.owner import FRESH, Owner
from pumphouse.store.waves import Group, WaveState

ME = Owner.this_process()
ELSEWHERE = Owner(host="another-host", pid=1, started=1.0)


@pytest.fixture
def wave(store):
    groups = [Group(name=name, kind="tenant", names=(name,), plan_id=f"p-{name}") for name in "ab"]
    return store.waves.create(
        name="w", source="from", destination="to", servers_at_once=None, stop_at=None, groups=groups
    )


def silent(store, table):
    """No sign was given for long."""
    with store.engine.begin() as connection:
        connection.execute(sa.update(table).values(heartbeat_at=datetime.now(UTC) - FRESH - timedelta(1)))


@pytest.mark.parametrize("owner", [ME, ELSEWHERE])
def test_a_wave_is_one_living_processs(store, wave, owner) -> None:
    taken = store.waves.take(wave.id, owner)
    assert taken.at_work(datetime.now(UTC))
    with pytest.raises(MigrationBusy, match=f"wave {wave.id} is already at work: {re.escape(str(owner))}"):
        store.waves.take(wave.id, ME)
    store.waves.release(wave.id, taken.epoch)
    assert store.waves.take(wave.id, ME).epoch == taken.epoch + 1


def test_a_pause_is_kept_until_it_is_heard_or_somebody_goes_on(store, wave) -> None:
    taken = store.waves.take(wave.id, ME)
    store.waves.pause(wave.id)
    store.waves.allow(wave.id, lambda _group: "")
    assert store.waves.get(wave.id).pausing
    store.waves.release(wave.id, taken.epoch)
    assert not store.waves.get(wave.id).pausing
    assert store.waves.pause(wave.id).pausing
    store.waves.allow(wave.id, lambda _group: "")
    assert not store.waves.get(wave.id).pausing


def test_who_has_lost_a_wave_can_write_nothing_of_it(store, wave) -> None:
    old = store.waves.take(wave.id, ELSEWHERE).epoch
    silent(store, WaveRow)
    new = store.waves.take(wave.id, ME).epoch
    for write in (
        lambda: store.waves.change(wave.id, state=WaveState.RUNNING, epoch=old),
        lambda: store.waves.set_group(wave.id, 0, epoch=old, migration_id="m-1"),
        lambda: store.waves.heartbeat(wave.id, old),
    ):
        with pytest.raises(Fenced, match=f"another process has taken wave {wave.id} over"):
            write()
    store.waves.release(wave.id, old)
    record = store.waves.get(wave.id)
    assert (record.owner, record.epoch, record.state) == (ME, new, WaveState.PLANNED)
    assert record.groups == wave.groups


def test_a_change_of_one_group_leaves_the_others(store, wave) -> None:
    epoch = store.waves.take(wave.id, ME).epoch
    store.waves.set_group(wave.id, 1, epoch=epoch, migration_id="m-2")
    store.waves.set_group(wave.id, 0, epoch=epoch, allowed=True)
    first, second = store.waves.get(wave.id).groups
    assert (first.allowed, first.migration_id) == (True, "")
    assert (second.allowed, second.migration_id) == (False, "m-2")


def test_a_word_is_given_only_to_the_group_that_waits_for_it(store, wave) -> None:
    store.waves.allow(wave.id, lambda group: f"{group.name} waits")
    assert not any(one.allowed for one in store.waves.get(wave.id).groups)
    store.waves.change(wave.id, state=WaveState.PAUSED, reason="b waits")
    store.waves.allow(wave.id, lambda group: f"{group.name} waits")
    assert [one.allowed for one in store.waves.get(wave.id).groups] == [False, True]


def test_a_plan_that_a_wave_needs_is_kept(store) -> None:
    plan = store.plans.create(source="from", destination="to", scope={}, document={})
    group = Group(name="a", kind="tenant", names=("a",), plan_id=plan.id)
    wave = store.waves.create(
        name="w", source="from", destination="to", servers_at_once=None, stop_at=None, groups=[group]
    )
    with pytest.raises(WrongState, match=f"plan {plan.id} belongs to wave {wave.id}"):
        store.plans.delete(plan.id)
    assert store.plans.get(plan.id) == plan


def begin(store, owner, **more):
    return store.evacuations.begin("cloud", "host", owner, service="1", disabled=True, **more)


def test_an_evacuation_is_one_living_processs_and_fences_those_before(store) -> None:
    first = begin(store, ELSEWHERE)
    with pytest.raises(MigrationBusy, match="host 'host' of cloud is being evacuated already"):
        begin(store, ME)
    silent(store, EvacuationRow)
    second = begin(store, ME)
    assert second.id == first.id
    for write in (
        lambda: store.evacuations.keep(first.id, {}, epoch=first.epoch),
        lambda: store.evacuations.end(first.id, EvacuationState.DONE, epoch=first.epoch),
        lambda: store.evacuations.heartbeat(first.id, first.epoch),
    ):
        with pytest.raises(Fenced, match=f"another process has taken evacuation {first.id} over"):
            write()
    store.evacuations.release(first.id, first.epoch)
    assert store.evacuations.get(second.id).at_work(datetime.now(UTC))
    store.evacuations.release(second.id, second.epoch)
    third = begin(store, ME)
    assert third.id == first.id
    store.evacuations.end(third.id, EvacuationState.FAILED, epoch=third.epoch)
    assert begin(store, ME).id != first.id


def test_an_evacuation_is_asked_to_stop_until_it_has_ended(store) -> None:
    begun = begin(store, ME)
    assert not store.evacuations.keep(begun.id, {}, epoch=begun.epoch).stopping
    store.evacuations.stop(begun.id)
    assert store.evacuations.keep(begun.id, {}, epoch=begun.epoch).stopping
    store.evacuations.end(begun.id, EvacuationState.STOPPED, epoch=begun.epoch)
    with pytest.raises(WrongState, match=f"evacuation {begun.id} is STOPPED"):
        store.evacuations.stop(begun.id)


def test_a_host_has_no_two_running_evacuations(store) -> None:
    begun = begin(store, ME)
    with store.engine.connect() as connection:
        row = connection.execute(sa.select(EvacuationRow.__table__)).one()
        with pytest.raises(sa.exc.IntegrityError):
            connection.execute(sa.insert(EvacuationRow).values({**row._mapping, "id": "e-other"}))
        connection.rollback()
    store.evacuations.end(begun.id, EvacuationState.DONE, epoch=begun.epoch)
    with store.engine.begin() as connection:  # of those that have ended there may be many
        row = connection.execute(sa.select(EvacuationRow.__table__)).one()
        connection.execute(sa.insert(EvacuationRow).values({**row._mapping, "id": "e-other"}))


def test_a_new_evacuation_takes_over_what_the_last_one_has_not_seen_the_end_of(store) -> None:
    first = begin(store, ME)
    servers = {"1": {"state": "LATE"}, "2": {"state": "MOVED"}}
    store.evacuations.keep(first.id, servers, epoch=first.epoch)
    store.evacuations.end(first.id, EvacuationState.FAILED, epoch=first.epoch)
    second = begin(store, ME, unfinished={"LATE"})
    assert second.servers == {"1": {"state": "LATE"}}
    assert store.evacuations.last("cloud", "host") == second
