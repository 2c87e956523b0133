"""Ways of data: what both clouds can do is done, and what arrives is proved, whichever way it came."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from pumphouse.devcloud.identity_catalog import add_region
from pumphouse.model import DiskMode, ScopeKind
from pumphouse.store.states import MigrationState

READ = "GET /image/v2/images/{image_id}/file"
IMPORT = "POST /image/v2/images/{image_id}/import"
SEND = "PUT /image/v2/images/{image_id}/file"


@pytest.fixture
def open_store(site):
    """The source's image service keeps its images where everybody may read them."""
    site.source.image_urls = True
    with site.source.transaction():
        for row in site.source.table("images"):
            row["direct_url"] = f"{site.source.url}/_devcloud/images/{row['id']}/data"
    return site


@pytest.fixture
def regions(site):
    """The source is a region of the destination's Keystone."""
    site.source.region = "Elsewhere"
    add_region(site.destination, site.source)
    return site


def run(site, **options):
    plan = site.plan(**options)
    site.source.counts.reset()
    site.destination.counts.reset()
    return plan, site.app.run(site.app.start(plan, check_fresh=False).id)


def arrived(site, report):
    """The hashes of the destination's images, and those of the report, by name."""
    with site.destination.transaction():
        there = {row["name"]: row["os_hash_value"] for row in site.destination.table("images")}
    told = {one.name: one.data.partition(":")[2] for one in report.resources if one.mover and one.data}
    told = {name: digest for name, digest in told.items() if name in there}
    return {name: there[name] for name in told}, told


def ways(resources):
    return Counter((one.ref.type, one.mover) for one in resources if one.mover)


def test_an_image_that_is_open_to_all_is_fetched_by_the_destination(open_store):
    plan, record = run(open_store)
    assert ways(plan.resources) == {("image", "web-download"): 1, ("volume", "glance-stream"): 2}
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    report = open_store.app.report(record.id)
    assert ways(report.resources) == ways(plan.resources)
    there, told = arrived(open_store, report)
    assert there == told
    assert len(told) == 1
    assert open_store.source.counts.requests[READ] == 2
    assert open_store.destination.counts.requests[IMPORT] == 1


def test_regions_of_one_keystone_copy_by_themselves(regions):
    plan, record = run(regions, disk_mode=DiskMode.SNAPSHOT)
    assert {mover for _, mover in ways(plan.resources)} == {"glance-download"}
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    assert SEND not in regions.destination.counts.requests
    there, told = arrived(regions, regions.app.report(record.id))
    assert there == told
    with regions.source.transaction(), regions.destination.transaction():
        (here,) = regions.source.table("servers").find(name="web-1")
        (moved,) = regions.destination.table("servers").find(name="web-1")
    disks = [cloud.files.path("disks", row["id"]) for cloud, row in
             ((regions.source, here), (regions.destination, moved))]  # fmt: skip
    assert disks[0].read_bytes() == disks[1].read_bytes()


@pytest.mark.parametrize("how", ["refused", "failed"])
def test_a_way_that_is_shut_gives_way_to_the_one_that_never_is(open_store, how):
    if how == "refused":
        open_store.destination.faults.add("status", kind=IMPORT, code=403)
    plan = open_store.plan()
    if how == "failed":
        open_store.source.image_urls = False  # the store answers 404 from now on
    record = open_store.app.run(open_store.app.start(plan, check_fresh=False).id)
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    report = open_store.app.report(record.id)
    (image,) = [one for one in report.resources if one.ref.type == "image" and one.mover]
    assert image.mover == "glance-stream"
    assert any("pass through this process instead" in note for note in image.notes)
    there, told = arrived(open_store, report)
    assert there == told


def test_an_import_of_other_bytes_is_no_success(open_store):
    """What the store gives is not what the image service says that it is."""
    plan = open_store.plan()
    (image,) = [one for one in plan.resources if one.mover == "web-download"]
    path = open_store.source.files.path("images", image.ref.id)
    true = path.read_bytes()
    path.write_bytes(b"other" + true[5:])
    record = open_store.app.run(open_store.app.start(plan, check_fresh=False).id)
    assert record.state is MigrationState.PARTIAL
    assert "has other data than its source" in record.reason
    with open_store.destination.transaction():
        assert not open_store.destination.table("images").find(name=image.resource.name)
    path.write_bytes(true)
    assert open_store.app.retry(record.id).state is MigrationState.SUCCEEDED


def test_with_a_bandwidth_all_data_pass_here_and_keep_to_it(open_store):
    plan = open_store.plan("shop-app", kind=ScopeKind.IMAGE)
    size = sum(one.bytes for one in plan.resources)
    options = {"bandwidth": size // 2, "transfers": 1}
    record = open_store.app.start(plan, check_fresh=False, options=options)
    begun = time.monotonic()
    assert open_store.app.run(record.id).state is MigrationState.SUCCEEDED
    assert time.monotonic() - begun > 1.5
    assert IMPORT not in open_store.destination.counts.requests


@pytest.mark.faults
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_import_whose_answer_is_lost_is_looked_for_and_asked_for_again(open_store, when):
    lost = open_store.destination.faults.add("drop", kind=IMPORT, when=when)
    _, record = run(open_store)
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    assert lost.hits
    assert ways(open_store.app.report(record.id).resources)["image", "web-download"] == 1


@pytest.mark.faults
def test_an_import_that_never_comes_about_is_not_waited_for(open_store):
    open_store.destination.faults.add("drop", kind=IMPORT, when="before", times=0)
    begun = time.monotonic()
    _, record = run(open_store)
    assert record.state is MigrationState.PARTIAL
    assert time.monotonic() - begun < 60  # an image has two hours for an import that has begun
    open_store.destination.faults.clear()
    assert open_store.app.retry(record.id).state is MigrationState.SUCCEEDED


@pytest.mark.crash
@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.slow)])
def test_a_kill_during_an_import_resumes_to_the_same_end(open_store, when):
    before = open_store.states()
    words = ("migrate", "image", "shop-app")
    open_store.killed(*words, side="destination", kind=IMPORT, when=when)
    record = open_store.app.resume("last")
    assert (record.state, record.reason) == (MigrationState.SUCCEEDED, "")
    there, told = arrived(open_store, open_store.app.report(record.id))
    assert there == told
    assert open_store.app.rollback(record.id).state is MigrationState.ROLLED_BACK
    assert open_store.states() == before
