"""Images."""

from __future__ import annotations

import hashlib
import io
import os
from typing import Any

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.compare import differences
from pumphouse.model import Action, Inventory, Ref, Resource, Side
from pumphouse.resource import Reach, Severity, Want
from pumphouse.tasks.image import Image

from .harness import Bench

KIND = Image()
DATA = os.urandom(3 << 20)


@pytest.fixture
def project(bench: Bench) -> str:
    return bench.project("images")


@pytest.fixture
def make(bench: Bench, project: str):
    def make(*, data: bytes | None = DATA, **given: Any) -> str:
        body = {
            "name": f"{bench.prefix}-image",
            "owner": project,
            "disk_format": "raw",
            "container_format": "bare",
            "visibility": "private",
            **given,
        }
        identity = bench.source.post(Service.IMAGE, "/images", body)["id"]
        bench.later.append(lambda: KIND.delete(bench.source, identity))
        if data is not None:
            bench.source.put_image(identity, io.BytesIO(data), len(data))
        return identity

    return make


def bytes_of(bench: Bench, identity: str) -> bytes:
    with bench.destination.open_image(identity) as stream:
        blocks = []
        while block := stream.read(1 << 20):
            blocks.append(block)
    return b"".join(blocks)


def equal(bench: Bench, resource: Resource, made: str) -> Resource:
    there = bench.read(KIND, made, Side.DESTINATION)
    assert differences(KIND, KIND.resolve(resource.fields, bench.ids.get), there.fields) == ()
    assert there.made_from == resource.ref.id
    return there


def test_an_image_arrives_with_id_bytes_and_every_property(bench, make, project):
    identity = make(
        min_disk=1,
        min_ram=32,
        tags=["b", "a"],
        hw_firmware_type="uefi",
        os_distro="debian",
        **{"a/b~c": "odd"},
    )
    resource = bench.read(KIND, identity, Side.SOURCE)
    assert bench.carry(KIND, resource) == identity
    there = equal(bench, resource, identity)
    assert there.project_id == bench.there("project", project)
    assert there.fields["properties"] == {"hw_firmware_type": "uefi", "os_distro": "debian", "a/b~c": "odd"}
    assert hashlib.sha256(bytes_of(bench, identity)).digest() == hashlib.sha256(DATA).digest()
    digest = f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    assert (KIND.data(resource), KIND.data(there)) == (digest, digest)
    assert bench.shares[-1] == 1.0


def test_protection_hiding_and_deactivation_arrive(bench, make):
    identity = make(protected=True, os_hidden=True)
    bench.source.post(Service.IMAGE, f"/images/{identity}/actions/deactivate", None)
    resource = bench.read(KIND, identity, Side.SOURCE)
    made = bench.carry(KIND, resource)
    there = equal(bench, resource, made)
    assert (there.fields["protected"], there.fields["os_hidden"], there.facts["status"]) == (
        True,
        True,
        "deactivated",
    )
    bench.undo([KIND], {resource.ref: resource})
    assert KIND.show(bench.destination, made, project_id=None) is None


def test_members_arrive_with_their_answers_and_strangers_are_left_out(bench, make):
    friend, waiting, stranger = (bench.project(name) for name in ("friend", "waiting", "stranger"))
    identity = make(visibility="shared")
    path = f"/images/{identity}/members"
    for member in (friend, waiting, stranger):
        bench.source.post(Service.IMAGE, path, {"member": member})
    bench.source.put(Service.IMAGE, f"{path}/{friend}", {"status": "accepted"})
    bench.ids.remove(Ref("project", stranger))
    resource = bench.read(KIND, identity, Side.SOURCE)
    there = equal(bench, resource, bench.carry(KIND, resource))
    assert {one["member"]: one["status"] for one in there.fields["members"]} == {
        bench.there("project", friend): "accepted",
        bench.there("project", waiting): "pending",
    }


def test_an_attempt_asks_those_alone_to_whom_no_earlier_one_gave_it(bench, make, cloud_pair):
    friends = [bench.project(f"friend-{number}") for number in range(2)]
    identity = make(visibility="shared")
    for friend in friends:
        bench.source.post(Service.IMAGE, f"/images/{identity}/members", {"member": friend})
    resource = bench.read(KIND, identity, Side.SOURCE)
    made = bench.carry(KIND, resource)
    assert bench.writes_again(cloud_pair.destination, KIND, resource) == []
    bench.destination.delete(Service.IMAGE, f"/images/{made}/members/{bench.there('project', friends[1])}")
    assert bench.writes_again(cloud_pair.destination, KIND, resource) == [
        "POST /image/v2/images/{image_id}/members"
    ]


def test_members_are_read_of_single_shared_images_not_by_the_list(bench, make):
    friend = bench.project("friend")
    shared, private = make(visibility="shared"), make(visibility="private")
    bench.source.post(Service.IMAGE, f"/images/{shared}/members", {"member": friend})
    listed = {one.ref.id: one for one in KIND.discover(bench.source, seen=Inventory("source"), reach=Reach())}
    assert [KIND.partly_listed(listed[image]) for image in (shared, private)] == [True, False]
    assert listed[shared].fields["members"] == []
    whole = KIND.complete(bench.source, listed[shared])
    assert whole.fields["members"] == [{"member": friend, "status": "pending"}]
    assert whole == KIND.show(bench.source, shared, project_id=None)


def test_members_that_were_there_outlive_an_update_and_its_undo(bench, make):
    friend, late = bench.project("friend"), bench.project("late")
    identity = make(visibility="shared")
    path = f"/images/{identity}/members"
    bench.source.post(Service.IMAGE, path, {"member": friend})
    made = bench.carry(KIND, bench.read(KIND, identity, Side.SOURCE))
    bench.source.post(Service.IMAGE, path, {"member": late})
    resource = bench.read(KIND, identity, Side.SOURCE)
    # The plan had not read the destination's members, and so it names all of them.
    bench.journal.entries.clear()
    item = bench.item(KIND, resource, action=Action.UPDATE, destination_id=made, changed=("members",))
    step = KIND.steps[0](bench.context, item)
    step.run()

    def there() -> set[str]:
        return {one["member"] for one in bench.read(KIND, made, Side.DESTINATION).fields["members"]}

    theirs = bench.there("project", bench.project("theirs"))
    bench.destination.post(Service.IMAGE, f"/images/{made}/members", {"member": theirs})
    assert there() == {bench.there("project", friend), bench.there("project", late), theirs}
    step.undo(bench.journal.open()[0])
    assert there() == {bench.there("project", friend), theirs}


def test_kernel_and_ramdisk_are_rewritten(bench, make):
    kernel = make(disk_format="aki", container_format="aki", name=f"{bench.prefix}-kernel")
    bench.ids.put(Ref("image", kernel), "11111111-2222-4333-8444-555555555555", made=True)
    identity = make(kernel_id=kernel, disk_format="ami", container_format="ami")
    resource = bench.read(KIND, identity, Side.SOURCE)
    assert Ref("image", kernel) in {found.ref for found in KIND.references(resource.fields)}
    there = equal(bench, resource, bench.carry(KIND, resource))
    assert there.fields["kernel_id"] == "11111111-2222-4333-8444-555555555555"


def test_an_id_that_the_destination_has_used_before_is_replaced(bench, make):
    identity = make()
    bench.destination.post(
        Service.IMAGE,
        "/images",
        {"id": identity, "name": "x", "disk_format": "raw", "container_format": "bare"},
    )
    bench.destination.delete(Service.IMAGE, f"/images/{identity}")
    resource = bench.read(KIND, identity, Side.SOURCE)
    made = bench.carry(KIND, resource)
    assert made != identity
    equal(bench, resource, made)


def test_properties_that_name_the_source_stay_there(bench, make):
    identity = make(
        instance_uuid="6b1f0e6e-0000-4000-8000-000000000000",
        owner_user_name="carol",
        boot_roles="member",
        image_type="snapshot",
        **{"owner_specified.openstack.md5": "x"},
    )
    resource = bench.read(KIND, identity, Side.SOURCE)
    assert resource.fields["properties"] == {"image_type": "snapshot"}
    assert resource.facts["instance_uuid"] == "6b1f0e6e-0000-4000-8000-000000000000"


def test_a_second_attempt_sends_nothing_again(bench, make):
    resource = bench.read(KIND, make(), Side.SOURCE)
    made = bench.carry(KIND, resource)
    bench.shares.clear()
    assert bench.carry(KIND, resource) == made
    assert bench.shares == []


def test_an_image_with_other_bytes_is_made_again(bench, make):
    resource = bench.read(KIND, make(), Side.SOURCE)
    first = bench.carry(KIND, resource, until="copy_data")
    bench.destination.put_image(first, io.BytesIO(DATA[:1000]), 1000)
    made = bench.carry(KIND, resource)
    assert made != first
    assert KIND.show(bench.destination, first, project_id=None) is None
    equal(bench, resource, made)
    bench.undo([KIND], {resource.ref: resource})
    assert KIND.show(bench.destination, made, project_id=None) is None


def test_one_that_a_killed_attempt_made_again_is_found(bench, make):
    """It had removed the spoilt one and created another when it died, before its journal heard of it."""
    resource = bench.read(KIND, make(), Side.SOURCE)
    first = bench.carry(KIND, resource, until="copy_data")
    KIND.delete(bench.destination, first)
    project = bench.ids.get(Ref("project", resource.project_id))
    fields = KIND.resolve(resource.fields, bench.ids.get)
    want = Want(source=resource, fields=fields, project_id=project, secrets={})
    second = KIND.create(bench.destination, want)
    assert bench.carry(KIND, resource) == second
    bench.undo([KIND], {resource.ref: resource})
    assert bench.destination.list(Service.IMAGE, "/images", "images", params={"name": resource.name}) == []


def test_a_changed_image_is_set_right(bench, make):
    identity = make(hw_a="1", hw_b="2", tags=["x"])
    resource = bench.read(KIND, identity, Side.SOURCE)
    made = bench.carry(KIND, resource)
    for operation in (
        {"op": "replace", "path": "/hw_a", "value": "other"},
        {"op": "remove", "path": "/hw_b"},
        {"op": "add", "path": "/hw_c", "value": "3"},
        {"op": "replace", "path": "/tags", "value": []},
    ):
        bench.destination.patch(Service.IMAGE, f"/images/{made}", [operation])
    there = bench.read(KIND, made, Side.DESTINATION)
    want = KIND.resolve(resource.fields, bench.ids.get)
    changed = tuple(one.field for one in differences(KIND, want, there.fields))
    assert changed == ("tags", "properties")
    more = {"action": Action.UPDATE, "destination_id": made, "changed": changed}
    for step in KIND.steps:
        bench.step(KIND, resource, step.name, **more)
    equal(bench, resource, made)


def test_a_property_of_any_name_is_changed(bench, make):
    """In a JSON patch a slash and a tilde have meanings of their own."""
    identity = make(**{"team/a~b": "old"})
    made = bench.carry(KIND, bench.read(KIND, identity, Side.SOURCE))
    patch = [{"op": "replace", "path": "/team~1a~0b", "value": "new"}]
    bench.source.patch(Service.IMAGE, f"/images/{identity}", patch)
    resource = bench.read(KIND, identity, Side.SOURCE)
    assert resource.fields["properties"]["team/a~b"] == "new"
    item = bench.item(KIND, resource, action=Action.UPDATE, destination_id=made, changed=("properties",))
    KIND.steps[0](bench.context, item).run()
    there = bench.read(KIND, made, Side.DESTINATION)
    assert there.fields["properties"]["team/a~b"] == "new"


def test_the_same_content_and_name_is_the_same_image_and_other_content_is_not(bench, make):
    one, same, other = (bench.read(KIND, make(data=data), Side.SOURCE) for data in (DATA, DATA, DATA[:100]))
    assert KIND.identity(one.fields) == KIND.identity(same.fields) != KIND.identity(other.fields)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"status": "queued"}, "status is queued"),
        ({"block_device_mapping": True, "size": 0}, "boots from a volume"),
        ({"encrypted": True}, "key manager"),
    ],
)
def test_what_has_no_bytes_of_its_own_is_refused(facts, words):
    usual = {
        "status": "active",
        "size": 1,
        "block_device_mapping": False,
        "encrypted": False,
        "signed": False,
    }
    resource = Resource(ref=Ref("image", "i"), name="i", facts={**usual, **facts})
    (problem,) = KIND.refuse(resource, Inventory("source"))
    assert problem.severity is Severity.BLOCK
    assert words in problem.summary


def test_content_that_the_destination_refuses_says_what_to_do(bench, make, real_clouds):
    if not real_clouds:
        pytest.skip("the embedded image service does not look into the data")
    boot_sector = bytes(510) + b"\x55\xaa" + bytes(2 << 20)
    resource = bench.read(KIND, make(data=boot_sector), Side.SOURCE)
    with pytest.raises(errors.ResourceFailed, match="does not accept its content"):
        bench.carry(KIND, resource)
    bench.undo([KIND], {resource.ref: resource})
    assert KIND.show(bench.destination, resource.ref.id, project_id=None) is None
