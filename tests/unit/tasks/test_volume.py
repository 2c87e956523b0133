"""Volumes."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.compare import differences
from pumphouse.context import PENDING, JournalState
from pumphouse.model import Inventory, Ref, Resource, Side
from pumphouse.resource import Severity, Want
from pumphouse.steps import step_named
from pumphouse.tasks.volume import Volume

from .harness import Bench, follow, gone

KIND = Volume()


@pytest.fixture
def project(bench: Bench) -> str:
    return bench.project("volumes")


@pytest.fixture
def make(bench: Bench, project: str):
    def make(**given: Any) -> str:
        cloud = bench.scoped(Side.SOURCE, project)
        body = {"size": 1, "name": f"{bench.prefix}-data", **given}
        identity = cloud.post(Service.VOLUME, "/volumes", {"volume": body})["volume"]["id"]
        wait = bench.context.wait(
            Side.SOURCE, "volume", identity, project, KIND_AVAILABLE, describe="a volume", timeout=60
        )
        return str(follow(wait))

    return make


def KIND_AVAILABLE(body: Any) -> Any:  # noqa: N802 -- stands for a constant
    from pumphouse.context import PENDING

    assert body["status"] != "error"
    return body["id"] if body["status"] == "available" else PENDING


def act(bench: Bench, identity: str, action: str, body: dict[str, Any]) -> None:
    bench.source.post(Service.VOLUME, f"/volumes/{identity}/action", {action: body})


def carriers(bench: Bench, identity: str) -> list[str]:
    """What is left for the way only, on both sides."""
    found = []
    for side in Side:
        cloud = bench.cloud(side)
        params = {"name": bench.carrier(identity)}
        found += [f"{side} image" for _ in cloud.list(Service.IMAGE, "/images", "images", params=params)]
        found += [
            f"{side} volume"
            for one in cloud.list(Service.VOLUME, "/volumes/detail", "volumes", params={"all_tenants": "1"})
            if one["name"] == bench.carrier(identity) and one["status"] != "deleting"
        ]
    return found


def test_a_detached_volume_arrives_with_data_and_flags(bench, make, project):
    identity = make(description="orders", metadata={"team": "shop"})
    act(bench, identity, "os-set_bootable", {"bootable": True})
    act(
        bench,
        identity,
        "os-set_image_metadata",
        {"metadata": {"hw_firmware_type": "uefi", "os_distro": "debian"}},
    )
    act(bench, identity, "os-update_readonly_flag", {"readonly": True})
    resource = bench.read(KIND, identity, Side.SOURCE)
    assert resource.fields["metadata"] == {"team": "shop"}
    made = bench.carry(KIND, resource)
    there = bench.read(KIND, made, Side.DESTINATION)
    assert differences(KIND, KIND.resolve(resource.fields, bench.ids.get), there.fields) == ()
    assert there.made_from == identity
    assert there.fields["image_metadata"] == {"hw_firmware_type": "uefi", "os_distro": "debian"}
    assert (there.fields["bootable"], there.fields["readonly"]) == (True, True)
    assert there.project_id == bench.there("project", project)
    assert carriers(bench, identity) == []
    assert [entry.step for entry in bench.journal.open()] == ["create"]
    bench.undo([KIND], {resource.ref: resource})
    assert KIND.show(bench.destination, made, project_id=None) is None


def test_a_volume_that_is_not_bootable_does_not_become_so(bench, make):
    resource = bench.read(KIND, make(), Side.SOURCE)
    there = bench.read(KIND, bench.carry(KIND, resource), Side.DESTINATION)
    assert there.fields["bootable"] is False
    assert there.fields["image_metadata"] == {}


def test_a_volume_that_may_be_written_is_not_told_so(bench, make):
    """The service would show, in the metadata of a volume, that it had been told."""
    identity = bench.carry(KIND, bench.read(KIND, make(metadata={"team": "shop"}), Side.SOURCE))
    body = bench.destination.get(Service.VOLUME, f"/volumes/{identity}")["volume"]
    assert set(body["metadata"]) == {"team", "pumphouse_source"}


def test_flags_that_are_right_are_not_set(bench, make, cloud_pair):
    """Neither of a volume that was born so, nor by an attempt after another."""
    identity = make()
    act(bench, identity, "os-set_bootable", {"bootable": True})
    act(bench, identity, "os-update_readonly_flag", {"readonly": True})
    resource = bench.read(KIND, identity, Side.SOURCE)
    bench.carry(KIND, resource, until="settle")

    def told() -> set[str]:
        cloud_pair.destination.counts.reset()
        bench.step(KIND, resource, "settle")
        return {str(write["kind"]).rpartition(" ")[2] for write in cloud_pair.destination.counts.writes}

    assert told() == {"os-update_readonly_flag", "os-unset_image_metadata"}  # the image's own metadata go
    assert told() == set()


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_removal_whose_answer_was_lost_is_none_that_failed(bench, make, cloud_pair, seconds):
    """It is asked for again, which the service refuses while the volume goes, or has just gone."""
    resource = bench.read(KIND, make(), Side.SOURCE)
    made = bench.carry(KIND, resource)
    cloud_pair.destination.timings["delete"] = seconds
    path = f"/volume/v3/*/volumes/{made}"
    cloud_pair.destination.faults.add("drop", method="DELETE", path=path, when="after")
    if not seconds:
        cloud_pair.destination.faults.add("status", method="DELETE", path=path, code=400)
    assert KIND.delete(bench.destination, made)
    gone(lambda: bench.destination.get(Service.VOLUME, f"/volumes/{made}"))


def test_a_snapshot_whose_removal_was_answered_in_vain_is_gone_all_the_same(bench, make, cloud_pair):
    resource = bench.read(KIND, make(), Side.SOURCE)
    resource = replace(
        resource, facts={**resource.facts, "attachments": [{"server": "s", "device": "/dev/vdb"}]}
    )
    bench.step(KIND, resource, "snapshot")
    cloud_pair.source.timings["delete"] = cloud_pair.source.timings["snapshot"] = 0.5
    lost = cloud_pair.source.faults.add(
        "drop", method="DELETE", path="/volume/v3/*/snapshots/*", when="after"
    )
    bench.undo([KIND], {resource.ref: resource})
    assert lost.hits == 1
    params = {"all_tenants": "1"}
    assert bench.source.list(Service.VOLUME, "/snapshots/detail", "snapshots", params=params) == []


@pytest.mark.parametrize("until", ["transfer", "fill"])
def test_undo_half_way_leaves_nothing_on_either_side(bench, make, until):
    identity = make()
    resource = bench.read(KIND, identity, Side.SOURCE)
    bench.carry(KIND, resource, until=until)
    made = bench.ids.get(resource.ref)
    assert carriers(bench, identity) != []
    bench.undo([KIND], {resource.ref: resource})
    assert carriers(bench, identity) == []
    if made is not None:
        gone(lambda: bench.destination.get(Service.VOLUME, f"/volumes/{made}"))
    assert bench.source.get(Service.VOLUME, f"/volumes/{identity}")["volume"]["status"] == "available"


def test_data_that_is_not_what_was_sent_is_not_verified(bench, make):
    resource = bench.read(KIND, make(), Side.SOURCE)
    bench.carry(KIND, resource, until="verify")
    bench.step(KIND, resource, "verify")
    record = {"name": "other", "disk_format": "raw", "container_format": "bare"}
    other = bench.source.post(Service.IMAGE, "/images", record)["id"]
    bench.source.put_image(other, io.BytesIO(b"other"), 5)
    (export,) = bench.journal.open_entries(resource.ref, "export")
    bench.journal.made(export, other)  # as if this had been sent
    with pytest.raises(errors.VerificationFailed, match="not the data that was sent"):
        bench.step(KIND, resource, "verify")
    bench.source.delete(Service.IMAGE, f"/images/{other}")
    bench.journal.made(export, export.made_id)
    bench.undo([KIND], {resource.ref: resource})


def test_a_second_attempt_makes_nothing_twice(bench, make, project):
    identity = make()
    resource = bench.read(KIND, identity, Side.SOURCE)
    for name in ("export", "export", "transfer", "transfer", "create", "create"):
        bench.step(KIND, resource, name)
    assert sorted(carriers(bench, identity)) == ["destination image", "source image"]
    made = bench.carry(KIND, resource)
    own = {"all_tenants": "1", "project_id": bench.there("project", project)}
    found = bench.destination.list(Service.VOLUME, "/volumes/detail", "volumes", params=own)
    assert [one["id"] for one in found] == [made]


def test_a_lost_attempt_is_found_by_its_marker(bench, make, project):
    resource = bench.read(KIND, make(), Side.SOURCE)
    step = KIND.steps[4](bench.context, bench.item(KIND, resource))
    cloud = bench.scoped(Side.DESTINATION, bench.there("project", project))
    first = KIND.create(cloud, step.want())
    assert KIND.find(cloud, step.want()) == first


def test_a_snapshot_whose_answer_was_lost_is_found_with_its_volume(bench, make):
    """It belongs to the tenant, not to the operator who asked for it."""
    identity = make()
    found = bench.read(KIND, identity, Side.SOURCE)
    resource = replace(found, facts={**found.facts, "attachments": [{"server": "a"}]})
    lost = bench.step(KIND, resource, "snapshot")
    bench.journal.entries.clear()
    bench.journal.intend(resource.ref, "snapshot", Side.SOURCE, temporary=True)
    bench.undo([KIND], {resource.ref: resource})
    gone(lambda: bench.source.get(Service.VOLUME, f"/snapshots/{lost}"))


@pytest.mark.parametrize("step", ["snapshot", "export"])
@pytest.mark.parametrize("answer", ["known", "lost", "removed"])
def test_a_copy_that_ended_while_nobody_looked_is_made_again(bench, make, step, answer):
    """Between its end and the next attempt the volume may have been used, and no time would tell.

    An attempt that dies while it takes the copy back leaves it ``removed``, and not written down as that.
    """
    identity = make()
    service, path = (Service.VOLUME, "/snapshots") if step == "snapshot" else (Service.IMAGE, "/images")
    found = bench.read(KIND, identity, Side.SOURCE)
    attached = {"attachments": [{"server": "a"}]} if step == "snapshot" else {}
    resource = replace(found, facts={**found.facts, **attached})
    wait = step_named(KIND, step)(bench.context, bench.item(KIND, resource)).run()
    follow(replace(wait, poll=lambda: _whole(bench, step, resource)))  # the process has died meanwhile
    (entry,) = bench.journal.open_entries(resource.ref, step)
    if answer == "lost":
        bench.journal.entries[entry.id] = replace(entry, made_id=None, state=JournalState.INTENT)
    if answer == "removed":
        bench.source.delete(service, f"{path}/{entry.made_id}")
    act(bench, identity, "os-update_readonly_flag", {"readonly": True})  # it is used
    assert bench.step(KIND, resource, step) != entry.made_id
    (again,) = bench.journal.open_entries(resource.ref, step)
    body = bench.source.get(Service.VOLUME, f"/volumes/{identity}")["volume"]
    assert again.detail["left_at"] == body["updated_at"]
    assert len([note for note in bench.notes if "copied again" in note]) == 1
    kept = bench.step(KIND, resource, step)
    assert kept == again.made_id
    gone(lambda: bench.source.get(service, f"{path}/{entry.made_id}"))
    bench.undo([KIND], {resource.ref: resource})


def _whole(bench: Bench, step: str, resource: Resource) -> Any:
    """Whether a copy is whole, and the volume itself again."""
    (entry,) = bench.journal.open_entries(resource.ref, step)
    volume = bench.source.get(Service.VOLUME, f"/volumes/{resource.ref.id}")["volume"]
    if step == "snapshot":
        copy = bench.source.get(Service.VOLUME, f"/snapshots/{entry.made_id}")["snapshot"]
    else:
        copy = bench.source.get(Service.IMAGE, f"/images/{entry.made_id}")
    whole = copy["status"] in {"available", "active"} and volume["status"] == "available"
    return entry.made_id if whole else PENDING


@pytest.mark.parametrize("changes", [{}, {"attachments": [{"server": "a"}]}])
def test_what_was_used_while_its_data_were_copied_is_not_verified(bench, make, changes):
    identity = make()
    found = bench.read(KIND, identity, Side.SOURCE)
    bench.carry(KIND, found, until="verify")
    words = "attached or detached"
    if not changes:
        act(bench, identity, "os-update_readonly_flag", {"readonly": True})
        words = "used or changed on the source, at "
    resource = replace(found, facts={**found.facts, **changes})
    with pytest.raises(errors.VerificationFailed, match=words):
        bench.step(KIND, resource, "verify")
    bench.undo([KIND], {found.ref: found})


@pytest.mark.parametrize(
    ("step", "service", "path"),
    [("snapshot", Service.VOLUME, "/snapshots"), ("export", Service.IMAGE, "/images")],
)
def test_a_copy_that_another_migration_has_left_is_not_taken(bench, make, step, service, path):
    found = bench.read(KIND, make(), Side.SOURCE)
    attached = {"attachments": [{"server": "a"}]} if step == "snapshot" else {}
    resource = replace(found, facts={**found.facts, **attached})
    left = bench.step(KIND, resource, step)
    bench.journal.entries, theirs = [], bench.journal.entries
    bench.migration, before = "m-later", bench.migration
    bench.journal.intend(resource.ref, step, Side.SOURCE, temporary=True)
    bench.step(KIND, resource, step)  # after a kill: it looks first
    assert bench.notes == []
    assert bench.source.get(service, f"{path}/{left}")
    bench.undo([KIND], {resource.ref: resource})
    bench.journal.entries, bench.migration = theirs, before
    bench.undo([KIND], {resource.ref: resource})
    gone(lambda: bench.source.get(service, f"{path}/{left}"))


@pytest.mark.parametrize(
    ("step", "service", "path"),
    [("snapshot", Service.VOLUME, "/snapshots"), ("export", Service.IMAGE, "/images")],
)
def test_a_copy_that_an_earlier_run_could_not_remove_is_never_taken_for_this_runs(
    bench, make, step, service, path
):
    """What it holds is older than what the source has by now."""
    found = bench.read(KIND, make(), Side.SOURCE)
    attached = {"attachments": [{"server": "a"}]} if step == "snapshot" else {}
    resource = replace(found, facts={**found.facts, **attached})
    old = bench.step(KIND, resource, step)
    bench.journal.others, bench.journal.entries = list(bench.journal.entries), []
    bench.journal.intend(resource.ref, step, Side.SOURCE, temporary=True)
    new = bench.step(KIND, resource, step)  # after a kill: it looks first
    assert new != old
    bench.undo([KIND], {resource.ref: resource})
    bench.journal.entries = bench.journal.others
    bench.undo([KIND], {resource.ref: resource})
    gone(lambda: bench.source.get(service, f"{path}/{old}"))


def volume(**changes: Any) -> Resource:
    facts = {
        "status": "available",
        "encrypted": False,
        "snapshots": [],
        "group": None,
        "size": 1,
        "attachments": [],
        **changes,
    }
    return Resource(ref=Ref("volume", "v"), name="v", facts=facts)


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({"encrypted": True}, Severity.BLOCK, "key manager"),
        ({"status": "error"}, Severity.BLOCK, "status is error"),
        ({"snapshots": ["monday"]}, Severity.LOST, "monday"),
        ({"group": "g"}, Severity.LOST, "volume group g"),
    ],
)
def test_what_only_the_source_can_hold_is_told(changes, severity, words):
    (problem,) = KIND.refuse(volume(**changes), Inventory("source"))
    assert problem.severity is severity
    assert words in problem.summary


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"volume_type": "gold"}, "no volume type 'gold'"),
        ({"volume_type": "plain", "multiattach": True}, "several attachments"),
        ({"availability_zone": "mars"}, "no availability zone 'mars'"),
    ],
)
def test_a_type_or_zone_that_is_missing_blocks(fields, words):
    facts = {"volume": {"types": {"plain": {"multiattach": False}}, "zones": ["nova"]}}
    want = Want(source=volume(), fields={"multiattach": False, **fields}, secrets={})
    (problem,) = KIND.check(want, Inventory("destination", facts=facts), exists=False)
    assert problem.severity is Severity.BLOCK
    assert words in problem.summary
    assert problem.next_step


def test_an_old_compute_attaches_to_one_only():
    facts = {"volume": {"types": {"many": {"multiattach": True}}, "zones": [], "shares": False}}
    several = volume(attachments=[{"server": "a"}, {"server": "b"}])
    for source, count in ((several, 1), (volume(attachments=[{"server": "a"}]), 0)):
        want = Want(source=source, fields={"volume_type": "many", "multiattach": True}, secrets={})
        found = list(KIND.check(want, Inventory("destination", facts=facts), exists=False))
        assert [one.severity for one in found] == [Severity.BLOCK] * count


def test_volumes_without_a_name_are_not_taken_for_each_other():
    assert KIND.identity({"project_id": "p", "name": ""}) is None
    assert KIND.identity({"project_id": "p", "name": "v"}) is not None
