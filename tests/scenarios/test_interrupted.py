"""A migration that is killed, paused, cancelled or fails ends as if it had not been, or says what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import openstack
import pytest
import sqlalchemy as sa

from pumphouse import errors
from pumphouse.devcloud.client import Client
from pumphouse.engine.control import Control
from pumphouse.engine.rollback import Rollback
from pumphouse.events import StepChanged, UnitChanged
from pumphouse.model import ScopeKind
from pumphouse.service import reading
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.wishes import Wish

REMOVALS = {"method": "DELETE", "path": "/network/v2.0/ports/*", "code": 409, "times": 0}


def migrating(site, *arguments):
    """Pumphouse in a process of its own."""
    command = [sys.executable, "-m", "pumphouse", "--config-file", str(site.config_file), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(condition, *, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


@pytest.mark.crash
@pytest.mark.parametrize(
    ("share", "when"),
    [
        (0.35, "before"),
        pytest.param(0.6, "after", marks=pytest.mark.slow),
        pytest.param(0.9, "after", marks=pytest.mark.slow),
    ],
)
def test_a_killed_migration_resumes_to_the_same_end(site, share, when):
    before = site.states()
    site.destination.counts.reset()
    record = site.migrate()
    reference, writes = site.states(), len(site.destination.counts.writes)
    site.app.rollback(record.id)
    assert site.states() == before
    site.destination.counts.reset()
    site.destination.holds.set(nth=max(1, int(writes * share)), when=when)
    process = migrating(site, "migrate", "tenant", "shop", "--yes", "--progress", "none")
    try:
        site.destination.holds.wait_held(timeout=60)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    site.destination.holds.release()
    killed = site.app.migration("last")
    assert killed.id != record.id
    assert killed.state is MigrationState.RUNNING
    assert site.app.resume(killed.id).state is MigrationState.SUCCEEDED
    assert site.states() == reference
    assert site.app.rollback(killed.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


def pausing(control, *, step, state="RUNNING"):
    """A listener that asks for a pause when a step of this name begins, or is in another state."""

    def listener(event):
        if isinstance(event, StepChanged) and event.step == step and event.state == state:
            control.pause()

    return listener


@pytest.mark.parametrize(
    "step",
    ["quiesce", *(pytest.param(step, marks=pytest.mark.slow) for step in ("transfer", "boot", "settle"))],
)
def test_a_paused_migration_goes_on_where_it_was(site, step):
    control = Control()
    paused = site.migrate(control=control, listener=pausing(control, step=step))
    assert paused.state is MigrationState.PAUSED
    finished = {unit.name for unit in site.app.units(paused.id) if unit.state is UnitState.SUCCEEDED}
    assert site.app.resume(paused.id).state is MigrationState.SUCCEEDED
    assert finished < {unit.name for unit in site.app.units(paused.id)}


def test_what_had_failed_before_a_pause_has_failed_after_it(site):
    site.destination.faults.add("server_error", path="app-1")
    control = Control()

    def listener(event):
        if isinstance(event, UnitChanged) and event.state == UnitState.FAILED:
            control.pause()

    def failed():
        return [one for one in site.app.units(record.id) if one.state is UnitState.FAILED]

    record = site.app.start(site.plan(), check_fresh=False, options={"servers_at_once": 1})
    paused = site.app.run(record.id, control=control, listener=listener)
    assert paused.state is MigrationState.PAUSED
    (before,) = failed()
    assert before.kind == "server app-1"
    told = []
    ended = site.app.resume(record.id, listener=told.append)
    assert ended.state is MigrationState.PARTIAL
    assert before.reason in ended.reason
    assert failed() == [before]
    states = {one.state for one in site.app.units(record.id) if one != before}
    assert states == {UnitState.SUCCEEDED}
    assert before.name not in {one.unit for one in told if isinstance(one, UnitChanged)}


@pytest.mark.slow
def test_another_process_can_ask_for_a_pause(site):
    site.destination.timings["build"] = 2.0
    process = migrating(site, "migrate", "tenant", "shop", "--yes", "--progress", "none")
    wait_for(lambda: [one for one in site.app.migrations() if one.state is MigrationState.RUNNING])
    identity = site.app.migration("last").id
    site.app.pause(identity)
    assert process.wait(timeout=60) == 3
    assert site.app.migration(identity).state is MigrationState.PAUSED
    site.destination.timings["build"] = 0.02
    assert site.app.resume(identity).state is MigrationState.SUCCEEDED


def test_a_cancelled_migration_takes_back_what_had_not_ended(site):
    control = Control()

    def listener(event):
        if isinstance(event, StepChanged) and event.step == "boot" and event.state == "RUNNING":
            control.cancel()

    before = site.states()
    cancelled = site.migrate(control=control, listener=listener)
    assert cancelled.state is MigrationState.CANCELLED
    unfinished = [unit for unit in site.app.units(cancelled.id) if unit.state is UnitState.ROLLED_BACK]
    assert any(unit.kind.startswith("server") for unit in unfinished)
    assert all(server_runs(site, unit.kind.removeprefix("server ")) for unit in unfinished)
    assert site.app.rollback(cancelled.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


class Killed(BaseException):
    """The process ends here."""


def kill_in(monkeypatch, name):
    """Die where a roll-back would begin with its last part."""

    def die(_rollback):
        raise Killed

    monkeypatch.setattr(Rollback, name, die)


@pytest.mark.parametrize("running", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_cancel_that_is_killed_is_completed_and_never_goes_on_forwards(site, monkeypatch, running):
    """What it had moved so far is undone by then, but the flows know nothing of that."""
    before = site.states()
    control = Control()

    def listener(event):
        step = (event.name, event.step, event.state) if isinstance(event, StepChanged) else ()
        if step == ("db-1", "quiesce", "SUCCESS"):
            (control.cancel if running else control.pause)()

    with monkeypatch.context() as patch:
        kill_in(patch, "temporary")
        if running:
            with pytest.raises(Killed):
                site.migrate(control=control, listener=listener)
        else:
            site.migrate(control=control, listener=listener)
            with pytest.raises(Killed):
                site.app.cancel("last")
    killed = site.app.migration("last")
    assert killed.state is MigrationState.CANCELLING
    assert server_runs(site, "db-1")
    with pytest.raises(errors.WrongState, match=f"migration resume {killed.id}"):
        site.app.pause(killed.id)
    with pytest.raises(errors.WrongState, match=f"migration resume {killed.id}"):
        site.app.retry(killed.id)
    seen = []
    ended = site.app.resume(killed.id, listener=seen.append)
    assert ended.state is MigrationState.CANCELLED
    assert not [one for one in seen if isinstance(one, StepChanged) and one.state == "RUNNING"]
    assert UnitState.ROLLED_BACK in {unit.state for unit in site.app.units(killed.id)}
    assert site.app.rollback(killed.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


@pytest.mark.parametrize("way", ["cancel", pytest.param("roll_back", marks=pytest.mark.slow), "revert"])
def test_who_has_lost_the_migration_undoes_nothing_more(site, way):
    """Another process takes it over while the first one is undoing."""
    control, seen = Control(), []

    def taken_over():
        with site.app.store.engine.begin() as connection:
            connection.execute(sa.text("UPDATE migrations SET epoch = epoch + 1, owner_host = NULL"))
        seen.append(site.writes())

    def listener(event):
        if isinstance(event, StepChanged) and event.step == "boot" and event.state == "RUNNING":
            control.pause()

    def watch(event):
        if isinstance(event, StepChanged) and event.state in {"REVERTING", "REVERTED"} and not seen:
            taken_over()

    if way == "revert":
        site.destination.faults.add("server_error", path="web-1")
        record = site.app.start(site.plan("web-1", kind=ScopeKind.SERVER), check_fresh=False)
        with pytest.raises(errors.Fenced):
            site.app.run(record.id, listener=watch, jobs=1)
    else:
        record = site.migrate(control=control, listener=listener)
        with pytest.raises(errors.Fenced):
            getattr(site.app._migrating(record.id, 1, watch, None), way)()
    # What was being undone when it was taken over may have gone on for a request or two.
    assert site.writes() - seen[0] <= 2
    now = site.app.migration(record.id)
    assert not now.state.ended
    assert UnitState.ROLLED_BACK not in {unit.state for unit in site.app.units(record.id)}
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK


@pytest.mark.slow
def test_a_killed_cancel_can_be_rolled_back_at_once(site, monkeypatch):
    before = site.states()
    control = Control()
    paused = site.migrate(control=control, listener=pausing(control, step="boot"))
    with monkeypatch.context() as patch:
        kill_in(patch, "temporary")
        with pytest.raises(Killed):
            site.app.cancel(paused.id)
    assert site.app.rollback(paused.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


def test_a_retry_that_dies_while_it_takes_back_what_was_left_has_not_begun_to_run(site, monkeypatch):
    site.destination.faults.add("server_error", path="web-1")
    site.destination.faults.add("status", **REMOVALS)
    record = site.migrate()
    site.destination.faults.clear()
    with monkeypatch.context() as patch:
        kill_in(patch, "left")
        with pytest.raises(Killed):
            site.app.retry(record.id)
    assert site.app.migration(record.id).state is record.state is MigrationState.PARTIAL
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED


def server_runs(site, name):
    """Whether the source's server is as it was found: all but app-2 were running."""
    server = openstack.connect(cloud="source").compute.find_server(name, all_projects=True)
    return server is None or server.status == ("SHUTOFF" if name == "app-2" else "ACTIVE")


def test_a_server_that_is_used_while_it_moves_keeps_what_was_written(site):
    """Its data are on the way when its users, who see it down, start it."""

    def copied(event):
        if isinstance(event, StepChanged) and (event.name, event.step, event.state) == (
            "db-data",
            "clean_up",
            "SUCCESS",
        ):
            control.pause()

    control = Control()
    paused = site.migrate(control=control, listener=copied)
    assert paused.state is MigrationState.PAUSED
    compute = openstack.connect(cloud="source").compute
    server = compute.find_server("db-1", all_projects=True)
    assert server.status == "SHUTOFF"
    compute.start_server(server)
    compute.wait_for_server(server, interval=0.1)
    ended = site.app.resume(paused.id)
    assert ended.state is MigrationState.PARTIAL
    (failed,) = [unit for unit in site.app.units(ended.id) if unit.state is UnitState.FAILED]
    assert failed.kind == "server db-1"
    assert "used on the source after it had been brought to rest (start)" in failed.error["message"]
    assert (failed.error["cloud"], bool(failed.error["next_step"])) == ("source", True)
    assert compute.find_server("db-1", all_projects=True).status == "ACTIVE"
    there = openstack.connect(cloud="destination")
    assert there.compute.find_server("db-1", all_projects=True) is None
    assert [one for one in there.block_storage.volumes(all_projects=True) if one.name == "db-data"] == []
    assert site.app.retry(ended.id).state is MigrationState.SUCCEEDED


def test_one_server_that_fails_leaves_the_others_done_and_retry_completes_it(site):
    site.destination.faults.add("server_error", path="web-1")
    record = site.migrate()
    assert record.state is MigrationState.PARTIAL
    assert "server web-1" in record.reason or "server" in record.reason
    failed = [unit for unit in site.app.units(record.id) if unit.state is UnitState.FAILED]
    assert [unit.kind for unit in failed] == ["server web-1"]
    error = failed[0].error
    assert error["resource"].startswith("server 'web-1'")
    assert error["cloud"] == "destination"
    assert error["next_step"]
    source = openstack.connect(cloud="source")
    assert source.compute.find_server("web-1", all_projects=True).status == "ACTIVE"
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED
    assert site.plan().nothing_to_do


@pytest.mark.slow
def test_a_roll_back_after_a_retry_takes_both_tries_back(site):
    before = site.states()
    site.destination.faults.add("server_error", path="web-1")
    record = site.migrate()
    site.app.retry(record.id)
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


def on(cloud):
    """An administrator of an embedded cloud."""
    return Client(cloud.url, username="admin", password=cloud.admin_password, project="admin")


def project_of(client):
    return next(one["id"] for one in client.get("identity", "/projects")["projects"] if one["name"] == "shop")


def add_group(site):
    """Something that a retry finds missing in the tenant's own unit."""
    with on(site.source) as client:
        group = {"name": "later", "project_id": project_of(client)}
        client.post("network", "/security-groups", {"security_group": group})


def rename(site, description):
    with on(site.source) as client:
        body = {"project": {"description": description}}
        client.request("identity", "PATCH", f"/projects/{project_of(client)}", body)


def described(site):
    with on(site.destination) as client:
        return client.get("identity", f"/projects/{project_of(client)}")["project"]["description"]


def test_a_change_that_fails_in_a_retry_leaves_the_server_that_was_moved_before(site):
    record = site.migrate()
    with on(site.source) as client:
        (server,) = client.get("compute", "/servers?all_tenants=1&name=^web-1$")["servers"]
        client.post("compute", f"/servers/{server['id']}/metadata", {"metadata": {"since": "then"}})
    before = site.states()
    site.destination.faults.add(
        "status", method="PUT", path="/compute/*/servers/*/metadata", code=400, times=0
    )
    failed = site.app.retry(record.id)
    assert failed.state is not MigrationState.SUCCEEDED
    assert site.states() == before
    site.destination.faults.clear()
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED
    assert site.plan().nothing_to_do


def test_what_fails_beside_a_change_in_a_retry_takes_back_the_change_alone(site):
    before = site.states()
    record = site.migrate()
    first = described(site)
    rename(site, "second")
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED
    moved = site.states()
    rename(site, "third")
    add_group(site)
    site.destination.faults.add("status", method="POST", path="/network*/security-groups", code=400, times=0)
    failed = site.app.retry(record.id)
    assert failed.state is not MigrationState.SUCCEEDED
    assert described(site) == "second"
    assert site.states()[1] == moved[1]
    site.destination.faults.clear()
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED
    assert described(site) == "third"
    assert first != "third"
    # All runs are taken back, each change to what it had found.
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert site.states()[1] == before[1]


def test_a_cancelled_retry_keeps_what_earlier_runs_have_made(site):
    record = site.migrate()
    moved = site.states()
    add_group(site)
    control = Control()

    def listener(event):
        if isinstance(event, StepChanged) and event.step == "create" and event.state == "SUCCESS":
            control.cancel()

    cancelled = site.app.retry(record.id, control=control, listener=listener)
    assert cancelled.state is MigrationState.CANCELLED
    assert not cancelled.reason
    assert site.states()[1] == moved[1]
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED
    assert site.plan().nothing_to_do


def test_what_cannot_be_removed_is_listed_and_removed_by_a_second_roll_back(site):
    before = site.states()
    record = site.migrate()
    fault = site.destination.faults.add(
        "status", method="DELETE", path="/network/v2.0/networks/*", code=409, times=0
    )
    incomplete = site.app.rollback(record.id)
    assert incomplete.state is MigrationState.ROLLBACK_INCOMPLETE
    assert "network" in incomplete.reason
    units = site.app.units(record.id)
    left = [one for one in units if one.state is UnitState.FAILED]
    assert left
    assert all("could not be taken back" in one.reason for one in left)
    assert {one.state for one in units if one not in left} == {UnitState.ROLLED_BACK}
    site.destination.faults.clear()
    assert fault.hits
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert {one.state for one in site.app.units(record.id)} == {UnitState.ROLLED_BACK}
    assert site.states() == before


def test_a_retry_first_takes_back_what_a_failed_server_has_left(site):
    site.destination.faults.add("server_error", path="web-1")
    site.destination.faults.add("status", **REMOVALS)
    record = site.migrate()
    assert record.state is MigrationState.PARTIAL
    assert "could not be taken back: port" in record.reason
    stuck = site.app.retry(record.id)
    assert stuck.state is MigrationState.PARTIAL
    assert "could not be taken back: port" in stuck.reason
    site.destination.faults.clear()
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED
    assert site.plan().nothing_to_do


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("failed", [True, False])
def test_the_sources_server_rests_while_one_that_cannot_be_removed_runs(site, failed, stops):
    before = site.states()
    there, source = openstack.connect(cloud="destination"), openstack.connect(cloud="source")
    plan = site.plan("web-1", kind=ScopeKind.SERVER)

    def refuse():
        methods = ["DELETE"] if stops else ["DELETE", "POST"]
        for method in methods:
            path = "/compute/*/servers/*"
            site.destination.faults.add("status", method=method, path=path, code=409, times=0)

    def booted(event):
        if isinstance(event, StepChanged) and (event.step, event.state) == ("boot", "SUCCESS"):
            refuse()
            site.destination.faults.add("status", method="GET", path="/network/v2.0/ports/*", code=400)

    record = site.app.start(plan, check_fresh=False)
    if failed:
        ended = site.app.run(record.id, listener=booted)
        assert ended.state is MigrationState.PARTIAL
    else:
        assert site.app.run(record.id).state is MigrationState.SUCCEEDED
        refuse()
        ended = site.app.rollback(record.id)
        assert ended.state is MigrationState.ROLLBACK_INCOMPLETE
    statuses = [one.compute.find_server("web-1", all_projects=True).status for one in (source, there)]
    if stops:
        assert statuses == ["ACTIVE", "SHUTOFF"]
    else:
        assert statuses[0] in {"SUSPENDED", "SHUTOFF"}
        assert statuses[1] == "ACTIVE"
        assert "stays at rest" in ended.reason
    site.destination.faults.clear()
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert source.compute.find_server("web-1", all_projects=True).status == "ACTIVE"
    assert site.states() == before


@pytest.mark.slow
def test_two_runs_of_one_tenant_at_once_are_refused_with_the_first_ones_id(site):
    started = threading.Event()
    go_on = threading.Event()

    def listener(event):
        if isinstance(event, StepChanged) and event.step == "quiesce":
            started.set()
            go_on.wait(30)

    plan = site.plan()
    first = site.app.start(plan, check_fresh=False)
    second = site.app.start(plan, check_fresh=False)
    thread = threading.Thread(target=lambda: site.app.run(first.id, listener=listener))
    thread.start()
    try:
        assert started.wait(60)
        with pytest.raises(errors.MigrationBusy, match=first.id):
            site.app.run(second.id)
    finally:
        go_on.set()
        thread.join()
    assert site.app.migration(first.id).state is MigrationState.SUCCEEDED


@pytest.mark.slow
def test_what_a_killed_migration_has_half_made_is_never_taken_for_migrated(site):
    fault = site.destination.faults.add("stall", method="PUT", path="/image/v2/images/*/file", times=0)
    process = migrating(site, "migrate", "image", "shop-app", "--yes", "--progress", "none")
    try:
        wait_for(lambda: site.destination.faults.list()[0]["hits"])
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    site.destination.faults.clear()
    killed = site.app.migration("last")
    plan = site.plan("shop-app", kind=ScopeKind.IMAGE)
    assert not plan.nothing_to_do
    with pytest.raises(errors.PlanBlocked, match=killed.id):
        plan.require_unblocked()
    assert site.app.resume(killed.id).state is MigrationState.SUCCEEDED
    assert site.plan("shop-app", kind=ScopeKind.IMAGE).nothing_to_do
    assert fault.hits


@pytest.mark.slow
def test_a_paused_migration_is_not_begun_anew(site):
    control = Control()
    again = site.app.start(site.plan(), check_fresh=False)
    paused = site.migrate(control=control, listener=pausing(control, step="quiesce"))
    with pytest.raises(errors.MigrationBusy, match=f"migration resume {paused.id}"):
        site.app.run(again.id)
    assert site.app.rollback(paused.id).state is MigrationState.ROLLED_BACK
    assert site.app.run(again.id).state is MigrationState.SUCCEEDED


@pytest.mark.slow
def test_a_migration_that_could_not_be_proved_does_not_claim_success_and_can_go_on(site, monkeypatch):
    def unreachable(*_arguments, **_options):
        raise errors.Unavailable("the service is down", cloud="destination")

    record = site.app.start(site.plan("shop-app", kind=ScopeKind.IMAGE), check_fresh=False)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "read_both", unreachable)
        record = site.app.run(record.id)
    assert record.state is MigrationState.PARTIAL
    assert "could not be proved" in record.reason
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED


@pytest.mark.slow
def test_a_stop_at_the_very_end_leaves_no_grants(site, monkeypatch):
    """The request comes after the last unit and before what was for the way only is taken back."""
    control = Control()
    temporary = Rollback.temporary

    def stopped(rollback):
        control.pause()
        return temporary(rollback)

    monkeypatch.setattr(Rollback, "temporary", stopped)
    record = site.migrate(control=control)
    assert [one.step for one in site.app.store.journal.open_entries(record.id) if one.temporary] == []
    assert record.state is MigrationState.SUCCEEDED


@pytest.mark.slow
def test_a_killed_roll_back_goes_on_backwards(site):
    before = site.states()
    record = site.migrate()
    site.destination.holds.set(nth=4, when="after")
    process = migrating(site, "migration", "rollback", record.id, "--yes", "--progress", "none")
    try:
        site.destination.holds.wait_held(timeout=60)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    site.destination.holds.release()
    with pytest.raises(errors.WrongState, match=f"migration resume {record.id}"):
        site.app.pause(record.id)
    assert site.app.resume(record.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


@pytest.mark.slow
def test_a_paused_roll_back_goes_on_backwards(site):
    before = site.states()
    record = site.migrate()
    control = Control()
    listener = pausing(control, step="create", state="REVERTED")
    assert site.app.rollback(record.id, control=control, listener=listener).state is MigrationState.PAUSED
    for cancel in (site.app.cancel, lambda id: site.app.want(id, Wish.CANCEL)):
        with pytest.raises(errors.WrongState, match=f"being rolled back.*migration resume {record.id}"):
            cancel(record.id)
    assert site.app.migration(record.id).wanted is None
    assert site.app.resume(record.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


@pytest.mark.slow
def test_a_roll_back_again_takes_back_what_was_still_open(site, monkeypatch):
    """What was handed to it while it ended, say."""
    before = site.states()
    record = site.migrate()
    with monkeypatch.context() as patch:
        patch.setattr(Rollback, "all", lambda _rollback: [])
        assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert site.states() != before
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert site.states() == before


@pytest.mark.slow
def test_a_roll_back_ends_although_the_project_was_removed_by_hand(site):
    record = site.migrate()
    there = openstack.connect(cloud="destination")
    there.identity.delete_project(there.identity.find_project("shop"))
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert not list(there.compute.servers(all_projects=True))
    assert not list(there.block_storage.volumes(all_projects=True))


@pytest.mark.slow
def test_a_server_that_could_not_be_woken_after_a_failure_is_named_in_the_reason(site):
    site.destination.faults.add("server_error", path="web-1")
    # Its suspension passes; what would wake it does not.
    site.source.faults.add(
        "status", method="POST", path="/compute/*/servers/*/action", code=409, after=1, times=0
    )
    plan = site.plan("web-1", kind=ScopeKind.SERVER)
    record = site.app.run(site.app.start(plan, check_fresh=False).id)
    assert record.state is MigrationState.PARTIAL
    assert "1 could not be taken back: server 'web-1'" in record.reason
    assert "on source" in record.reason
    site.source.faults.clear()
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    server = openstack.connect(cloud="source").compute.find_server("web-1", all_projects=True)
    assert server.status == "ACTIVE"
