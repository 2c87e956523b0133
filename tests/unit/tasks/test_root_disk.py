"""How a server's root disk travels: what is decided, and what the copies are like on the way."""

from __future__ import annotations

import io

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.model import DiskMode, Inventory, Ref, Resource, Side
from pumphouse.moving import root_disk
from pumphouse.resource import Severity
from pumphouse.tasks.server import Server
from pumphouse.tasks.volume import Volume

from .harness import follow
from .test_server import place  # noqa: F401 -- a fixture

KIND = Server()


def server(**given):
    fields = {"image": "i-1", "volumes": [], "metadata": {}} | given.pop("fields", {})
    facts = {"status": "ACTIVE", "boot_image": fields["image"], "flavor": {}, "disk_gib": 5} | given
    return Resource(ref=Ref("server", "s-1"), name="web", project_id="p-1", fields=fields, facts=facts)


@pytest.mark.parametrize(
    ("asked", "given", "mode", "travels"),
    [
        ("image", {}, "image", ""),
        ("snapshot", {}, "snapshot", "snapshot"),
        ("volume", {}, "volume", "volume"),
        ("auto", {}, "snapshot", "snapshot"),
        ("auto", {"fields": {"metadata": {"pumphouse_disk": "disposable"}}}, "image", ""),
        ("snapshot", {"fields": {"metadata": {"pumphouse_disk": "disposable"}}}, "snapshot", "snapshot"),
        ("image", {"fields": {"image": None}}, "volume", ""),
        ("snapshot", {"fields": {"image": None}}, "volume", ""),
        ("auto", {"status": "SHELVED_OFFLOADED", "boot_image": "i-2"}, "snapshot", ""),
        ("image", {"status": "SHELVED", "boot_image": None}, "volume", ""),
    ],
)
def test_the_mode_follows_from_the_choice_and_the_server(asked, given, mode, travels):
    chosen = KIND.choose(server(**given), {"disk_mode": asked})
    assert (KIND.mode(chosen), root_disk.travels_as(chosen)) == (mode, travels)
    assert KIND.choose(chosen, {"disk_mode": "image"}) == chosen
    assert KIND.like(server(**given), chosen) == chosen
    assert ("image" in chosen.fields) is (not travels)


def test_the_bytes_of_a_snapshot_are_those_of_the_disk_at_most():
    assert KIND.size(KIND.choose(server(), {"disk_mode": "snapshot"})) == 5 << 30
    assert KIND.size(KIND.choose(server(), {"disk_mode": "image"})) == 0


@pytest.mark.parametrize(
    ("told", "flavor", "image", "gib"),
    [
        ({"disk": 5}, 7, None, 5),
        ({"id": "f-1"}, 7, None, 7),
        ({"disk": 0}, 0, {"virtual_size": (3 << 30) + 1, "size": 10}, 4),
        ({"id": "f-1"}, 0, {"virtual_size": None, "size": 1 << 30}, 1),
        ({"id": "f-1"}, None, None, 0),
    ],
)
def test_the_size_of_a_root_disk_is_its_flavors_or_its_images(told, flavor, image, gib):
    found = [
        None if value is None else Resource(ref=Ref(kind, "1"), name="", fields=fields, facts=facts)
        for kind, value, fields, facts in (
            ("flavor", flavor, {"disk": flavor}, {}),
            ("image", image, {}, image or {}),
        )
    ]
    assert root_disk.size_gib(told, *found) == gib


@pytest.mark.parametrize("disk", [5, 0])
def test_the_root_disk_becomes_a_volume_of_its_size(disk):
    chosen = KIND.choose(server(disk_gib=disk), {"disk_mode": "volume"})
    properties = {"hw_firmware_type": "uefi"}
    image = Resource(ref=Ref("image", "i-1"), name="os", fields={"properties": properties})
    (root,) = KIND.parts(chosen, Inventory("source", [image]))
    assert (root.ref, root.fields["size"]) == (Ref("volume", "s-1"), disk or 1)
    assert root.fields["image_metadata"] == properties
    assert chosen.fields["volumes"][0] == {
        "volume": "s-1",
        "boot": True,
        "tag": None,
        "delete_on_termination": True,
    }
    assert Volume().is_part(root)
    assert Volume().size(root) == (disk or 1) << 30


def test_a_snapshot_keeps_what_the_image_said_of_the_hardware(bench, place):  # noqa: F811
    kernel = place.both(
        "image",
        Service.IMAGE,
        "/images",
        "",
        {"name": "kernel", "disk_format": "aki", "container_format": "aki", "visibility": "private"},
    )
    add = [
        {"op": "add", "path": "/hw_firmware_type", "value": "uefi"},
        {"op": "add", "path": "/kernel_id", "value": kernel},
    ]
    bench.source.patch(Service.IMAGE, f"/images/{place.image}", add)
    found = place.read(place.boot())
    assert Ref("image", kernel) in set(
        KIND.needs(KIND.choose(found, {"disk_mode": "snapshot"}), place.inventory)
    )
    resource = KIND.choose(found, {"disk_mode": DiskMode.SNAPSHOT})
    bench.carry(KIND, resource, until="create")
    copies = [
        bench.cloud(side).list(
            Service.IMAGE, "/images", "images", params={"name": bench.carrier(resource.ref.id)}
        )
        for side in Side
    ]
    ((here,), (there,)) = copies
    assert there["hw_firmware_type"] == "uefi"
    assert there["kernel_id"] == bench.there("image", kernel) != here["kernel_id"]
    assert "instance_uuid" not in there
    assert there["os_hash_value"] == here["os_hash_value"]
    assert there["owner"] == bench.there("project", resource.project_id)
    ((ref, carried),) = bench.carried
    assert (ref, carried.digest) == (resource.ref, f"sha512:{there['os_hash_value']}")
    bench.undo([KIND], {resource.ref: resource})
    for side in Side:
        assert not bench.cloud(side).list(
            Service.IMAGE, "/images", "images", params={"name": bench.carrier(resource.ref.id)}
        )
    assert place.body(resource.ref.id)["status"] == "ACTIVE"


def test_a_copy_that_changed_on_the_way_is_no_success(bench, place):  # noqa: F811
    resource = KIND.choose(place.read(place.boot()), {"disk_mode": "snapshot"})
    bench.carry(KIND, resource, until="verify")
    (entry,) = bench.journal.open_entries(resource.ref, "transfer")
    other = place.cloud(Side.DESTINATION).post(
        Service.IMAGE, "/images", {"name": "other", "disk_format": "raw", "container_format": "bare"}
    )["id"]
    place.cloud(Side.DESTINATION).put_image(other, io.BytesIO(b"other"), 5)
    bench.journal.made(entry, other)
    with pytest.raises(errors.VerificationFailed, match="the disk that arrived is not the one that was sent"):
        bench.step(KIND, resource, "verify")


def test_an_old_compute_tells_the_images_id_in_the_location():
    class Old:
        def post(self, service, path, body, **_):
            assert (service, path, list(body)) == (Service.COMPUTE, "/servers/s/action", ["createImage"])
            return {"location": "http://glance.example/v2/images/i-9"}

    assert root_disk.image_of_server(Old(), "s", "name") == "i-9"


def test_a_source_that_loses_the_snapshot_is_told(bench, place):  # noqa: F811
    resource = KIND.choose(place.read(place.boot()), {"disk_mode": "snapshot"})
    bench.carry(KIND, resource, until="export")
    step = root_disk.ExportDisk(bench.context, bench.item(KIND, resource))
    wait = step.run()
    (entry,) = bench.journal.open_entries(resource.ref, "export")
    bench.source.delete(Service.IMAGE, f"/images/{entry.made_id}")
    with pytest.raises(errors.ResourceFailed, match="could not export its data") as caught:
        follow(wait)
    assert caught.value.cloud == "source"
    step.undo(entry)


@pytest.mark.parametrize(
    ("images", "severity", "told"),
    [
        ([], Severity.LOST, "its image has been deleted"),
        ([{"kernel_id": "k-1"}], Severity.BLOCK, "it boots with a kernel that is an image of its own"),
    ],
)
def test_the_plan_tells_what_copying_into_a_volume_means(images, severity, told):
    chosen = KIND.choose(
        server(
            keypair=None,
            certificates=False,
            availability_zone=None,
            nic_order_is_clear=True,
            fields={"flavor": "f", "volumes": [], "metadata": {}, "image": "i-1", "ports": []},
            task_state=None,
        ),
        {"disk_mode": "volume"},
    )
    there = [Resource(ref=Ref("image", "i-1"), name="os", fields={"properties": {}, **one}) for one in images]
    problems = list(KIND.refuse(chosen, Inventory("source", there)))
    assert any("stopped rather than suspended" in one.summary for one in problems)
    assert any(told in one.summary for one in problems if one.severity is severity)
