"""A migration in two parts: first what needs no downtime, then the servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import openstack
import pytest

from pumphouse import errors
from pumphouse.engine import heart
from pumphouse.engine.control import Control
from pumphouse.events import StepChanged
from pumphouse.model import Action, DiskMode
from pumphouse.service.planning import Planning
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.wishes import Wish


def prepare(site, **options):
    plan = site.plan(**options)
    record = site.app.start(plan, check_fresh=False, options={"prepare": True})
    return site.app.run(record.id)


def kinds(site, record, *states):
    return {unit.kind for unit in site.app.units(record.id) if unit.state in states}


def names(cloud, table):
    with cloud.transaction():
        return {row["name"] for row in cloud.table(table)}


def test_all_but_the_servers_is_there_while_these_still_run(site):
    before, _ = site.states()
    record = prepare(site, disk_mode=DiskMode.SNAPSHOT)
    assert record.state is MigrationState.PAUSED
    assert record.prepared
    after, _ = site.states()
    assert after["tables"]["servers"] == before["tables"]["servers"]
    assert names(site.destination, "servers") == set()
    assert names(site.destination, "networks") >= {"web", "data"}
    assert names(site.destination, "volumes") == {"backup"}
    assert {one for one in kinds(site, record, UnitState.PENDING) if not one.startswith("server ")} == set()
    assert len(kinds(site, record, UnitState.PENDING)) == 5
    ended = site.app.cut_over(record.id)
    assert (ended.state, ended.reason) == (MigrationState.SUCCEEDED, "")
    assert names(site.destination, "servers") == {"web-1", "web-2", "app-1", "app-2", "db-1"}
    report = site.app.report(record.id)
    assert report.verified
    downtimes = {one.name: one.downtime for one in report.resources if one.ref.type == "server"}
    assert len(downtimes) == 5
    assert all(seconds > 0 for seconds in downtimes.values())


def test_the_end_is_that_of_a_migration_in_one_part_and_all_can_be_taken_back(site):
    before = site.states()
    record = site.migrate()
    reference = site.states()
    site.app.rollback(record.id)
    assert site.states() == before
    record = prepare(site)
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before
    record = prepare(site)
    assert site.app.cut_over(record.id).state is MigrationState.SUCCEEDED
    assert site.states() == reference
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


def test_what_has_changed_since_comes_along(site):
    record = prepare(site)
    source = openstack.connect(cloud="source")
    source.network.update_network(source.network.find_network("web"), description="changed since")
    server = source.compute.find_server("web-2", all_projects=True)
    source.compute.set_server_metadata(server, added="since")
    assert site.app.cut_over(record.id).state is MigrationState.SUCCEEDED
    there = openstack.connect(cloud="destination")
    assert there.network.find_network("web").description == "changed since"
    moved = there.compute.find_server("web-2", all_projects=True)
    assert there.compute.get_server(moved.id).metadata["added"] == "since"


def test_a_volume_that_was_used_since_stops_the_cutover_before_anything_rests(site):
    record = prepare(site)
    before, _ = site.states()
    source, there = openstack.connect(cloud="source"), openstack.connect(cloud="destination")
    (volume,) = [one for one in source.block_storage.volumes(all_projects=True) if one.name == "backup"]
    with site.source.transaction():
        site.source.table("volumes").update(volume.id, updated_at=site.source.now())
    with pytest.raises(errors.PlanBlocked, match="used or changed since it was copied") as caught:
        site.app.cut_over(record.id)
    (copy,) = [one for one in there.block_storage.volumes(all_projects=True) if one.name == "backup"]
    assert copy.id in caught.value.next_step
    assert site.app.migration(record.id).prepared
    with site.source.transaction():
        states = {row["vm_state"] for row in site.source.table("servers")}
    assert states == {row["vm_state"] for row in before["tables"]["servers"]}
    with site.source.files.path("volumes", volume.id).open("r+b") as file:
        file.write(b"written since")
    there.block_storage.delete_volume(copy)
    there.block_storage.wait_for_delete(copy, interval=0.05)
    ended = site.app.cut_over(record.id)
    assert (ended.state, ended.reason) == (MigrationState.SUCCEEDED, "")
    (copy,) = [one for one in there.block_storage.volumes(all_projects=True) if one.name == "backup"]
    assert site.destination.files.path("volumes", copy.id).read_bytes().startswith(b"written since")


def test_what_was_not_prepared_cannot_be_cut_over(site):
    control = Control()

    def listener(event):
        if isinstance(event, StepChanged) and event.step == "quiesce":
            control.pause()

    paused = site.migrate(control=control, listener=listener)
    with pytest.raises(errors.WrongState, match="not prepared") as caught:
        site.app.cut_over(paused.id)
    assert "resume" in caught.value.next_step
    assert site.app.resume(paused.id).state is MigrationState.SUCCEEDED
    with pytest.raises(errors.WrongState, match="not prepared"):
        site.app.cut_over(paused.id)


def test_a_part_that_could_not_be_prepared_is_told_and_tried_again(site):
    site.destination.faults.add("status", kind="PUT /image/v2/images/{image_id}/file", code=413)
    record = prepare(site)
    assert record.state is MigrationState.PARTIAL
    assert not record.prepared
    again = site.app.retry(record.id)
    assert again.prepared
    assert site.app.cut_over(record.id).state is MigrationState.SUCCEEDED


def until(seen, seconds=120):
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_cutover_that_an_ending_process_has_paused_is_gone_on_with_by_the_next(site):
    record = prepare(site)
    site.destination.timings["build"] = 3.0
    site.app.want(record.id, Wish.CUTOVER)
    with site.app.supervise(at_once=1):
        until(lambda: any(one.step == "boot" for one in site.app.steps(record.id) if one.state == "RUNNING"))
    stopped = site.app.migration(record.id)
    assert (stopped.state, stopped.wanted) == (MigrationState.PAUSED, Wish.CUTOVER)
    site.destination.timings["build"] = 0.02
    with site.app.supervise(at_once=1):
        until(lambda: site.app.migration(record.id).wanted is None)
    ended = site.app.migration(record.id)
    assert (ended.state, ended.reason) == (MigrationState.SUCCEEDED, "")
    assert site.app.report(record.id).verified
    assert names(site.destination, "servers") == {"web-1", "web-2", "app-1", "app-2", "db-1"}


@pytest.fixture
def meanwhile(monkeypatch):
    """What another process does while a plan is made again, which may take minutes."""

    def during(act):
        again = Planning.again

        def planned(planning, plan):
            found = again(planning, plan)
            monkeypatch.setattr(Planning, "again", again)
            act()
            return found

        monkeypatch.setattr(Planning, "again", planned)

    return during


@pytest.mark.parametrize("what", ["pause", "cancel"])
def test_a_cutover_that_is_stopped_while_it_plans_moves_nothing(site, meanwhile, what):
    record, control = prepare(site), Control()

    def stopped():
        getattr(site.app, what)(record.id)
        until(control.stop.is_set)

    meanwhile(stopped)
    before, _ = site.states()
    ended = site.app.cut_over(record.id, control=control)
    after, _ = site.states()
    assert after["tables"]["servers"] == before["tables"]["servers"]
    assert names(site.destination, "servers") == set()
    assert ended.request is None
    if what == "cancel":
        assert ended.state is MigrationState.CANCELLED
        return
    assert ended.prepared
    assert ended.reason == record.reason
    assert site.app.cut_over(record.id).state is MigrationState.SUCCEEDED


@pytest.mark.parametrize("what", ["rollback", "cut_over"])
def test_nobody_else_begins_anything_while_a_cutover_plans(site, meanwhile, what):
    record = prepare(site)
    refused = []

    def other():
        with pytest.raises(errors.MigrationBusy, match=record.id) as caught:
            getattr(site.app, what)(record.id)
        refused.append(caught)

    meanwhile(other)
    assert site.app.cut_over(record.id).state is MigrationState.SUCCEEDED
    assert refused


def test_a_retry_that_plans_is_not_rolled_back_under_it_and_gives_way_to_a_wish(site, meanwhile):
    site.destination.faults.add("server_error", path="web-1")
    record = site.migrate()
    assert record.state is MigrationState.PARTIAL

    def wished():
        with pytest.raises(errors.MigrationBusy, match=record.id):
            site.app.rollback(record.id)
        site.app.want(record.id, Wish.ROLLBACK)

    meanwhile(wished)
    with pytest.raises(errors.WrongState, match="asked for another thing meanwhile: rollback"):
        site.app.retry(record.id)
    assert site.app.migration(record.id).state is MigrationState.PARTIAL
    with site.app.supervise(at_once=1):
        until(lambda: site.app.migration(record.id).wanted is None)
    assert site.app.migration(record.id).state is MigrationState.ROLLED_BACK


def test_a_supervisor_may_be_paused_while_it_plans_a_retry(site, meanwhile):
    site.destination.faults.add("server_error", path="web-1")
    record = site.migrate()
    before = site.writes()
    planned = []

    def stopped():
        site.app.pause(record.id)
        time.sleep(2 * heart.EVERY)
        planned.append(True)

    meanwhile(stopped)
    site.app.want(record.id, Wish.RETRY)
    with site.app.supervise(at_once=1):
        until(lambda: planned and site.app.migration(record.id).wanted is None)
    ended = site.app.migration(record.id)
    assert (ended.state, ended.reason, ended.request) == (record.state, record.reason, None)
    assert site.writes() == before
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED


def test_without_servers_there_is_nothing_to_wait_for(site):
    plan = site.plan("lab")
    servers = [one for one in plan.doing(Action.CREATE) if one.ref.type == "server"]
    assert servers
    plan = site.plan("debian-12", kind="image")
    record = site.app.start(plan, check_fresh=False, options={"prepare": True})
    assert site.app.run(record.id).state is MigrationState.SUCCEEDED


@pytest.mark.crash
@pytest.mark.parametrize(
    ("part", "kind", "end"),
    [
        ("prepare", "POST /network/v2.0/networks", "resume"),
        pytest.param("prepare", "POST /network/v2.0/networks", "rollback", marks=pytest.mark.slow),
        pytest.param("cutover", "POST /compute/v2.1/servers", "resume", marks=pytest.mark.slow),
        ("cutover", "POST /compute/v2.1/servers", "rollback"),
    ],
)
def test_each_part_may_be_killed(site, part, kind, end):
    before = site.states()
    if part == "prepare":
        words = ("migrate", "tenant", "shop", "--yes", "--prepare")
    else:
        words = ("migration", "cutover", prepare(site).id)
    site.destination.holds.set(nth=1, when="after", kind=kind)
    command = [sys.executable, "-m", "pumphouse", "--config-file", str(site.config_file), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        site.destination.holds.wait_held(timeout=60)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    site.destination.holds.drop()
    if end == "resume":
        ended = site.app.resume("last")
        if part == "prepare":
            assert ended.prepared
            ended = site.app.cut_over("last")
        assert ended.state is MigrationState.SUCCEEDED
    assert site.app.rollback("last").state is MigrationState.ROLLED_BACK
    assert site.states() == before
