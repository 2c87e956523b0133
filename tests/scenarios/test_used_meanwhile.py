"""Volumes that somebody uses on the source while their data are copied, or later: no old copy passes."""

from __future__ import annotations

import time

import openstack
import pytest

from pumphouse import errors
from pumphouse.engine.control import Control
from pumphouse.events import StepChanged, UnitChanged
from pumphouse.model import Action, Ref, ScopeKind
from pumphouse.service.finalizable import Part
from pumphouse.service.migrating import Migrating
from pumphouse.steps import Create
from pumphouse.store.states import MigrationState, UnitState
from pumphouse.store.wishes import Wish

SINCE = b"written since"


def prepare(site, **options):
    record = site.app.start(site.plan(), check_fresh=False, options={"prepare": True})
    return site.app.run(record.id, **options)


def volume(cloud, name="backup"):
    with cloud.transaction():
        return next(row for row in cloud.table("volumes") if row["name"] == name)


def write(site, identity):
    with site.source.files.path("volumes", identity).open("r+b") as file:
        file.write(SINCE)


def use(site):
    """What attaching, writing and detaching leave: other data, and another time."""
    identity = volume(site.source)["id"]
    with site.source.transaction():
        site.source.table("volumes").update(identity, updated_at=site.source.now())
    write(site, identity)


def remove_copy(name="backup"):
    there = openstack.connect(cloud="destination")
    (copy,) = [one for one in there.block_storage.volumes(all_projects=True) if one.name == name]
    there.block_storage.delete_volume(copy)
    there.block_storage.wait_for_delete(copy, interval=0.05)


def has_arrived(site, name="backup"):
    identity = volume(site.destination, name)["id"]
    return site.destination.files.path("volumes", identity).read_bytes().startswith(SINCE)


def may_go(site, record, *identities):
    found = {one.ref.id: one for one in site.app.finalizable(record.id)}
    return [found[identity].goes for identity in identities if identity in found]


def after(step, identity, do):
    """Does something once this step of the volume has ended well."""
    done = []

    def listener(event):
        ended = isinstance(event, StepChanged) and event.step == step and event.state == "SUCCESS"
        if ended and identity in event.resource and not done:
            done.append(True)
            do()

    return listener


@pytest.mark.parametrize("step", ["export", "transfer", "settle"])
def test_a_volume_that_is_used_on_the_way_is_not_called_moved(site, step):
    identity = volume(site.source)["id"]
    record = site.migrate(listener=after(step, identity, lambda: use(site)))
    assert record.state is MigrationState.PARTIAL
    assert "used or changed on the source" in record.reason
    assert may_go(site, record, identity) == []
    again = site.app.retry(record.id)
    assert (again.state, again.reason) == (MigrationState.SUCCEEDED, "")
    assert has_arrived(site)
    assert may_go(site, again, identity) == [True]


def test_a_volume_that_is_taken_off_a_resting_server_is_not_called_moved(site):
    source = openstack.connect(cloud="source")
    server = source.compute.find_server("db-1", all_projects=True)
    (attached,) = source.compute.volume_attachments(server.id)
    identity = attached.volume_id

    def take_off():
        source.compute.delete_volume_attachment(server.id, identity)
        end = time.monotonic() + 30
        while volume(site.source, "db-data")["status"] != "available" and time.monotonic() < end:
            time.sleep(0.05)
        write(site, identity)

    record = site.migrate(listener=after("transfer", identity, take_off))
    assert record.state is MigrationState.PARTIAL
    assert "attached or detached on the source" in record.reason
    assert may_go(site, record, server.id, identity) == []
    with site.source.transaction():
        assert site.source.table("servers")[server.id]["vm_state"] == "active"
    again = site.app.retry(record.id)
    assert (again.state, again.reason) == (MigrationState.SUCCEEDED, "")
    assert has_arrived(site, "db-data")


def test_a_prepared_one_is_not_run_again_and_keeps_what_it_knows(site):
    record = prepare(site)
    use(site)
    for go_on in (site.app.run, site.app.resume, lambda id: site.app.want(id, Wish.RUN)):
        with pytest.raises(errors.WrongState, match="waits for its cutover") as caught:
            go_on(record.id)
        assert f"cutover {record.id}" in caught.value.next_step
    with pytest.raises(errors.PlanBlocked, match="used or changed"):
        site.app.cut_over(record.id)
    assert site.app.migration(record.id).prepared


def test_what_was_copied_before_a_retry_of_the_preparation_is_watched_too(site):
    site.destination.faults.add("status", kind="PUT /image/v2/images/{image_id}/file", code=413)
    record = prepare(site)
    assert record.state is MigrationState.PARTIAL
    assert volume(site.destination)
    assert site.app.retry(record.id).prepared
    use(site)
    with pytest.raises(errors.PlanBlocked, match="used or changed"):
        site.app.cut_over(record.id)


def test_a_volume_that_is_used_before_all_is_prepared_stops_the_cutover(site):
    done = []

    def listener(event):
        ended = isinstance(event, UnitChanged) and event.unit.startswith("volume:")
        if ended and event.state == "SUCCEEDED" and not done:
            done.append(True)
            use(site)

    record = prepare(site, listener=listener)
    assert done
    assert record.prepared
    with pytest.raises(errors.PlanBlocked, match="used or changed"):
        site.app.cut_over(record.id)


def test_a_retry_takes_no_old_copy_for_new(site):
    site.destination.faults.add("server_error", path="web-1")
    record = site.migrate()
    assert record.state is MigrationState.PARTIAL
    use(site)
    with pytest.raises(errors.PlanBlocked, match="used or changed") as caught:
        site.app.retry(record.id)
    assert volume(site.destination)["id"] in caught.value.next_step
    assert site.app.migration(record.id).state is MigrationState.PARTIAL
    remove_copy()
    again = site.app.retry(record.id)
    assert (again.state, again.reason) == (MigrationState.SUCCEEDED, "")
    assert has_arrived(site)


def test_a_copy_that_is_in_use_by_now_is_what_counts_at_a_retry(site):
    site.destination.faults.add("server_error", path="web-1")
    record = site.migrate()
    use(site)
    identity, copy = volume(site.source)["id"], volume(site.destination)["id"]
    there = openstack.connect(cloud="destination")
    server = there.compute.find_server("web-2", all_projects=True)
    there.compute.create_volume_attachment(server, volume=copy)
    end = time.monotonic() + 30
    while volume(site.destination)["status"] != "in-use" and time.monotonic() < end:
        time.sleep(0.05)
    site.app.retry(record.id)
    assert {unit.state for unit in site.app.units(record.id)} == {UnitState.SUCCEEDED}
    assert volume(site.destination)["id"] == copy
    assert may_go(site, record, identity) == [False]


def test_a_retry_after_the_servers_were_finalized_asks_nothing_of_their_volumes(site):
    record = site.migrate()
    going = [one for one in site.app.finalizable(record.id) if one.part is Part.SERVERS and one.goes]
    assert going
    assert site.app.finalize(record.id, going) == []
    assert volume(site.source, "db-data")["status"] == "available"
    assert site.app.retry(record.id).state is MigrationState.SUCCEEDED


def test_what_was_removed_is_forgotten_though_the_retry_died_when_it_had_planned(site, monkeypatch):
    site.destination.faults.add("server_error", path="web-1")
    record, ref = site.migrate(), Ref("volume", volume(site.source)["id"])
    remove_copy()

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Migrating, "_carry_out", die)
        with pytest.raises(KeyboardInterrupt):
            site.app.retry(record.id)
    assert site.app.resume(record.id).state is MigrationState.SUCCEEDED
    entries = site.app.store.journal.open_entries(record.id, ref=ref, step=Create.name)
    assert [one.made_id for one in entries] == [volume(site.destination)["id"]]


def test_one_that_is_prepared_anew_is_not_called_prepared_half_way(site):
    record = prepare(site)
    assert site.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    control = Control()

    def listener(event):
        if isinstance(event, StepChanged) and event.step == "create":
            control.pause()

    record = site.app.retry(record.id, control=control, listener=listener)
    assert record.state is MigrationState.PAUSED
    assert not record.prepared
    assert site.app.resume(record.id).prepared
    site.app.rollback(record.id, control=_stopped())
    assert not site.app.migration(record.id).prepared


def _stopped():
    control = Control()
    control.pause()
    return control


def attach(connection, server, identity, cloud, name="backup"):
    connection.compute.create_volume_attachment(server, volume=identity)
    end = time.monotonic() + 30
    while volume(cloud, name)["status"] != "in-use" and time.monotonic() < end:
        time.sleep(0.05)


def test_another_plan_takes_no_old_copy_for_new(site):
    assert site.migrate().state is MigrationState.SUCCEEDED
    assert site.plan().nothing_to_do
    identity, copy = volume(site.source)["id"], volume(site.destination)["id"]
    use(site)
    plan = site.plan()
    assert [one.ref.id for one in plan.doing(Action.BLOCKED)] == [identity]
    with pytest.raises(errors.PlanBlocked, match="used or changed") as caught:
        plan.require_unblocked()
    assert copy in caught.value.next_step
    remove_copy()
    again = site.migrate()
    assert (again.state, again.reason) == (MigrationState.SUCCEEDED, "")
    assert has_arrived(site)
    assert site.plan().nothing_to_do


def changed_at(site):
    """When the volume was changed last, as the source tells."""
    with openstack.connect(cloud="source") as source:
        return source.block_storage.get_volume(volume(site.source)["id"]).updated_at


def vouching(site):
    """A rule that says that nothing was written until the last change."""
    rule = {"when": {"name": "backup"}, "set": {"copied_until": changed_at(site)}}
    return {"rules": [{"type": "volume", **rule}]}


def test_a_copy_is_kept_while_the_operator_says_that_nothing_was_written(site):
    site.migrate()
    with openstack.connect(cloud="source") as source:
        source.block_storage.update_volume(volume(site.source)["id"], description="of last night")
    ref = Ref("volume", volume(site.source)["id"])
    refused = site.plan().by_ref[ref]
    assert refused.action is Action.BLOCKED
    rule = vouching(site)
    assert f"copied_until: '{changed_at(site)}'" in refused.problems[0].next_step
    plan = site.plan(overrides=rule)
    assert "a rule says" in plan.by_ref[ref].problems[0].summary
    record = site.app.run(site.app.start(plan, check_fresh=True).id)
    assert record.state is MigrationState.SUCCEEDED
    assert volume(site.destination)["description"] == "of last night"
    assert site.plan(overrides=rule).nothing_to_do
    time.sleep(1)  # times are told in seconds
    use(site)
    assert site.plan(overrides=rule).by_ref[ref].action is Action.BLOCKED
    assert not site.app.verify(record.id).verified


def test_no_rule_keeps_the_copy_of_what_another_moved_server_has_used(site):
    site.destination.faults.add("server_error", path="web-2")
    assert site.migrate().state is MigrationState.PARTIAL
    source = openstack.connect(cloud="source")
    server = source.compute.find_server("web-2", all_projects=True)
    attach(source, server, volume(site.source)["id"], site.source)
    plan = site.plan(server.id, kind=ScopeKind.SERVER, overrides=vouching(site))
    assert volume(site.source)["id"] in {one.ref.id for one in plan.doing(Action.BLOCKED)}


def test_a_plan_of_the_server_that_has_it_by_now_takes_no_old_copy(site):
    site.destination.faults.add("server_error", path="web-2")
    assert site.migrate().state is MigrationState.PARTIAL
    source = openstack.connect(cloud="source")
    server = source.compute.find_server("web-2", all_projects=True)
    identity = volume(site.source)["id"]
    attach(source, server, identity, site.source)
    write(site, identity)
    plan = site.plan(server.id, kind=ScopeKind.SERVER)
    assert {identity, server.id} <= {one.ref.id for one in plan.doing(Action.BLOCKED)}
    remove_copy()
    record = site.app.start(site.plan(server.id, kind=ScopeKind.SERVER), check_fresh=False)
    again = site.app.run(record.id)
    assert (again.state, again.reason) == (MigrationState.SUCCEEDED, "")
    assert has_arrived(site)


def test_a_copy_that_is_in_use_by_now_is_what_counts_for_another_plan(site):
    site.migrate()
    use(site)
    there = openstack.connect(cloud="destination")
    server = there.compute.find_server("web-2", all_projects=True)
    attach(there, server, volume(site.destination)["id"], site.destination)
    assert site.plan().by_ref[Ref("volume", volume(site.source)["id"])].action is Action.REUSE


def test_a_volume_that_is_used_after_its_unit_has_ended_is_not_called_moved(site):
    done = []

    def listener(event):
        ended = isinstance(event, UnitChanged) and event.unit.startswith("volume:")
        if ended and event.state == "SUCCEEDED" and not done:
            done.append(True)
            use(site)

    record = site.migrate(listener=listener)
    assert done
    assert record.state is MigrationState.PARTIAL
    assert "backup" in record.reason
    with pytest.raises(errors.PlanBlocked, match="used or changed"):
        site.app.retry(record.id)
    remove_copy()
    again = site.app.retry(record.id)
    assert (again.state, again.reason) == (MigrationState.SUCCEEDED, "")
    assert has_arrived(site)
