"""Waves that several processes would carry out."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from pumphouse import errors
from pumphouse.engine.control import Control
from pumphouse.events import UnitChanged
from pumphouse.store.models import WaveRow
from pumphouse.store.states import MigrationState
from pumphouse.store.waves import WaveState

pytestmark = pytest.mark.timeout(200)


class Operator:
    """Does something else before a migration is carried out."""

    def __init__(self, before=lambda: None, listener=None):
        self._before = before
        self._listener = listener

    def allows(self, _group):
        return True

    def waits(self, _group, _until):
        raise AssertionError

    def carries(self, _group, _migration, _plan, work):
        self._before()
        return work(control=Control(), listener=self._listener)


@pytest.fixture
def wave(site, tmp_path):
    path = tmp_path / "wave.yaml"
    path.write_text(json.dumps({"groups": [{"name": "a", "servers": ["web-1"]}], "stop_at": 100}))
    return site.app.plan_wave(path)


def test_what_could_not_be_proved_stops_a_wave_whatever_the_rate(site, wave):
    def rename(event):
        if isinstance(event, UnitChanged) and event.unit.startswith("server:") and event.state == "SUCCEEDED":
            (row,) = site.destination.table("servers")
            site.destination.table("servers").update(row["id"], name="renamed")

    record = site.app.run_wave(wave.id, Operator(listener=rename))
    assert record.state is WaveState.PAUSED
    assert "1 resources are not as they should be: server web-1" in record.reason


def test_who_has_lost_a_groups_migration_pauses_the_wave(site, wave):
    def lost():
        raise errors.Fenced("another process has taken migration m-1 over")

    with pytest.raises(errors.Fenced):
        site.app.run_wave(wave.id, Operator(lost))
    record = site.app.wave(wave.id)
    assert (record.state, record.owner) == (WaveState.PAUSED, None)
    assert record.reason == "another process has taken migration m-1 over"


@pytest.mark.parametrize("then", ["run", "roll back"])
def test_a_migration_of_which_the_wave_could_not_be_told_is_found_again(site, wave, monkeypatch, then):
    def die(*_args, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(site.app.store.waves, "set_group", die)
        with pytest.raises(KeyboardInterrupt):
            site.app.run_wave(wave.id, Operator())
    (orphan,) = site.app.migrations()
    assert orphan.state is MigrationState.PLANNED
    if then == "run":
        record = site.app.run_wave(wave.id, Operator())
        assert record.groups[0].migration_id == orphan.id
        assert site.app.migrations() == [site.app.migration(orphan.id)]
        assert site.app.migration(orphan.id).state is MigrationState.SUCCEEDED
    else:
        assert site.app.rollback_wave(wave.id, Operator()).state is WaveState.ROLLED_BACK
        assert site.app.migration(orphan.id).state is MigrationState.CANCELLED


def test_a_wave_of_a_living_process_of_another_host_is_not_taken(site, wave, monkeypatch):
    def elsewhere():
        with monkeypatch.context() as patch:
            patch.setattr("socket.gethostname", lambda: "elsewhere")
            with pytest.raises(errors.MigrationBusy, match=f"wave {wave.id} is already at work"):
                site.app.run_wave(wave.id, Operator())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.app.run_wave(wave.id, Operator(elsewhere))
    assert site.app.wave(wave.id).state is WaveState.PAUSED


def test_who_has_lost_a_wave_stops_its_migration_and_writes_no_more(site, wave):
    def taken_over():
        with site.app.store.engine.begin() as connection:
            connection.execute(sa.update(WaveRow).values(epoch=WaveRow.epoch + 1))

    with pytest.raises(errors.Fenced):
        site.app.run_wave(wave.id, Operator(taken_over))
    record = site.app.wave(wave.id)
    assert record.state is WaveState.RUNNING  # as the other process has it
    migration = site.app.migration(record.groups[0].migration_id)
    assert migration.state is MigrationState.PAUSED


def test_a_group_that_somebody_takes_back_is_left_so(site, tmp_path):
    path = tmp_path / "wave.yaml"
    second = {"name": "b", "servers": ["web-2"], "start": "ask"}
    path.write_text(json.dumps({"groups": [{"name": "a", "servers": ["web-1"]}, second]}))
    silent, wave = Operator(), site.app.plan_wave(path)
    silent.allows = lambda _group: False
    first = site.app.run_wave(wave.id, silent).groups[0].migration_id
    assert site.app.migration(first).state is MigrationState.SUCCEEDED
    control = Control()
    control.pause()
    assert site.app.rollback(first, control=control).state is MigrationState.PAUSED
    with pytest.raises(errors.WrongState, match="was being rolled back") as caught:
        site.app.run_wave(wave.id, Operator())
    assert f"migration resume {first}" in caught.value.next_step
    assert site.app.migration(first).state is MigrationState.PAUSED
    assert site.app.wave(wave.id).state is WaveState.PAUSED
    assert site.app.resume(first).state is MigrationState.ROLLED_BACK
    record = site.app.run_wave(wave.id, Operator())
    assert (record.state, record.reason) == (
        WaveState.PARTIAL,
        f"group a is ROLLED_BACK (migration {first})",
    )
    with site.destination.transaction():
        assert [row["name"] for row in site.destination.table("servers")] == ["web-2"]
