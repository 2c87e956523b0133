"""What Cinder refuses."""

from __future__ import annotations

import pytest

from .refusals import TIMINGS, World, table


def volume(**change):
    return {"volume": {"name": "new", "size": 1, **change}}


def snapshot(**change):
    return {"snapshot": {"name": "new", "volume_id": "{free}", **change}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Volumes and snapshots of all states, of two projects, and types."""
    world = World(tmp_path_factory.mktemp("volume"), timings={**TIMINGS, "delete": 0.0})
    base = "/volume/v3"
    for name, values in (
        ("fast", {}),
        ("secret", {"os-volume-type-access:is_public": False}),
        ("coded", {}),
        ("unused", {}),
    ):
        world.make(name, "admin", f"POST {base}/types", {"volume_type": {"name": name, **values}})
    provider = {"encryption": {"provider": "luks", "cipher": "aes", "key_size": 256}}
    world.ask("admin", f"POST {base}/types/{{coded}}/encryption", provider)
    access = {"addProjectAccess": {"project": "{lab}"}}
    world.ask("admin", f"POST {base}/types/{{secret}}/action", access)
    image = {"name": "linux", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    for name, values in (("linux", {}), ("big", {"min_disk": 5}), ("queued", {})):
        world.make(name, "admin", "POST /image/v2/images", image | values)
        if name != "queued":
            world.ask("admin", f"PUT /image/v2/images/{{{name}}}/file", b"bytes")
    world.make("private-image", "admin", "POST /image/v2/images", image | {"visibility": "private"})
    world.ask("admin", "PUT /image/v2/images/{private-image}/file", b"bytes")
    for name, who in (
        ("free", "ann"),
        ("used", "ann"),
        ("broken", "ann"),
        ("other", "bob"),
        ("large", "ann"),
    ):
        body = volume(name=name, **({"size": 2} if name == "large" else {"volume_type": "fast"}))
        world.make(name, who, f"POST {base}/volumes", body)
        world.wait(who, f"{base}/volumes/{{{name}}}", "available")
    world.ask(
        "ann",
        f"POST {base}/volumes/{{used}}/action",
        {"os-attach": {"instance_uuid": "x", "mountpoint": "y"}},
    )
    for name, of, who in (("snap", "free", "ann"), ("half", "large", "ann"), ("others", "other", "bob")):
        world.make(name, who, f"POST {base}/snapshots", snapshot(volume_id=f"{{{of}}}"))
        world.wait(who, f"{base}/snapshots/{{{name}}}", "available")
    world.ask("admin", f"POST {base}/snapshots/{{half}}/action", {"os-reset_status": {"status": "creating"}})
    world.ask("admin", f"POST {base}/volumes/{{broken}}/action", {"os-reset_status": {"status": "error"}})
    limits = {"quota_set": {"per_volume_gigabytes": 4, "gigabytes": 9, "snapshots": 2, "volumes_coded": 0}}
    world.ask("admin", f"PUT {base}/os-quota-sets/{{shop}}", limits)
    yield world
    world.stop()


@table(
    "/volume/v3",
    ("nobody", "GET /volumes", None, 401, "requires authentication"),
    ("rita", "POST /volumes", volume(), 403, "Policy doesn't allow volume:create to be performed"),
    ("ann", "GET /volumes", None, 406, "Version 3.999 is not supported", "volume 3.999"),
    ("ann", "POST /volumes", {}, 400, "'volume' is a required property"),
    ("ann", "POST /volumes", volume(paint="red"), 400, "'paint' was unexpected"),
    ("ann", "POST /volumes", volume(multiattach=True), 400, "multiattach parameter has been removed"),
    ("ann", "POST /volumes", volume(size=0), 400, "Volume size '0' must be an integer and greater than 0"),
    ("ann", "POST /volumes", volume(size="big"), 400, "Volume size 'big' must be an integer"),
    ("ann", "POST /volumes", volume(metadata=["x"]), 400, "field/attribute metadata"),
    ("ann", "POST /volumes", volume(metadata={"a": 1}), 400, "attribute metadata. Value: a: 1"),
    ("ann", "POST /volumes", volume(volume_type="no"), 404, "Volume type no could not be found"),
    ("ann", "POST /volumes", volume(volume_type="secret"), 404, "Volume type secret could not be found"),
    ("ann", "POST /volumes", volume(volume_type="{secret}"), 404, "Volume type {secret} could not be found"),
    ("ann", "POST /volumes", volume(availability_zone="mars"), 400, "Availability zone 'mars' is invalid"),
    ("ann", "POST /volumes", volume(imageRef="{nope}"), 400, "Invalid image identifier"),
    ("ann", "POST /volumes", volume(imageRef="{private-image}"), 400, "Invalid image identifier"),
    ("ann", "POST /volumes", volume(imageRef="{queued}"), 400, "is not active"),
    (
        "ann",
        "POST /volumes",
        volume(imageRef="{big}"),
        400,
        "Size of the image 5GB is larger than volume size",
    ),
    ("ann", "POST /volumes", volume(snapshot_id="{nope}"), 404, "Snapshot {nope} could not be found"),
    ("ann", "POST /volumes", volume(snapshot_id="{others}"), 404, "Snapshot {others} could not be found"),
    ("ann", "POST /volumes", volume(snapshot_id="{half}"), 400, "Originating snapshot status"),
    ("ann", "POST /volumes", volume(source_volid="{nope}"), 404, "Volume {nope} could not be found"),
    ("ann", "POST /volumes", volume(source_volid="{other}"), 404, "Volume {other} could not be found"),
    ("ann", "POST /volumes", volume(source_volid="{broken}"), 400, "Source volume status"),
    ("ann", "POST /volumes", volume(source_volid="{large}"), 400, "Size of its source 2GB is larger"),
    ("ann", "POST /volumes", volume(size=5), 413, "larger than maximum allowed limit 4G"),
    (
        "ann",
        "POST /volumes",
        volume(size=4),
        413,
        "exceeds allowed gigabytes quota. Requested 4G, quota is 9G",
    ),
    ("ann", "POST /volumes", volume(volume_type="coded"), 413, "exceeded for quota 'volumes_coded'"),
    ("bob", "GET /volumes/{free}", None, 404, "Volume {free} could not be found"),
    ("ann", "GET /volumes?marker={nope}", None, 404, "could not be found"),
    ("ann", "GET /volumes?limit=all", None, 400, "limit param must be an integer"),
    ("ann", "PUT /volumes/{free}", {"volume": {"metadata": {"a": 1}}}, 400, "attribute metadata"),
    ("ann", "DELETE /volumes/{used}", None, 400, "Volume status must be available or error"),
    ("ann", "DELETE /volumes/{free}", None, 400, "have snapshots"),
    ("ann", "GET /volumes/{free}/metadata/no", None, 404, "has no metadata with key no"),
    ("ann", "PUT /volumes/{free}/metadata/a", {"meta": {"b": "x"}}, 400, "body and URI mismatch"),
    ("ann", "GET /volumes/summary", None, 404, "could not be found", "volume 3.11"),
)
def test_volumes_that_are_refused(world, case):
    world.check(case)


@table(
    "/volume/v3/volumes",
    ("ann", "POST /{free}/action", {"paint": {}}, 400, "no such action: paint"),
    ("bob", "POST /{free}/action", {"os-extend": {"new_size": 9}}, 404, "could not be found"),
    (
        "ann",
        "POST /{free}/action",
        {"os-reset_status": {"status": "error"}},
        403,
        "volume_admin_actions:reset_status",
    ),
    ("admin", "POST /{free}/action", {"os-reset_status": {"status": "happy"}}, 400, "field/attribute status"),
    (
        "ann",
        "POST /{free}/action",
        {"os-volume_upload_image": {}},
        400,
        "'image_name' is a required property",
    ),
    ("ann", "POST /{used}/action", {"os-volume_upload_image": {"image_name": "x"}}, 400, "must be available"),
    (
        "ann",
        "POST /{free}/action",
        {"os-volume_upload_image": {"image_name": "x", "visibility": "public"}},
        403,
        "upload_public",
    ),
    (
        "ann",
        "POST /{free}/action",
        {"os-volume_upload_image": {"image_name": "x", "protected": "perhaps"}},
        400,
        "'perhaps' is not a boolean",
    ),
    ("ann", "POST /{free}/action", {"os-extend": {"new_size": 1}}, 400, "must be greater than current size"),
    ("ann", "POST /{used}/action", {"os-extend": {"new_size": 2}}, 400, "to extend", "volume 3.41"),
    ("ann", "POST /{used}/action", {"os-update_readonly_flag": {"readonly": True}}, 400, "readonly flag"),
    ("ann", "POST /{free}/action", {"os-set_bootable": {"bootable": "perhaps"}}, 400, "is not a boolean"),
    (
        "ann",
        "POST /{free}/action",
        {"os-set_image_metadata": {"metadata": {"a": 1}}},
        400,
        "Malformed request",
    ),
    ("ann", "POST /{free}/action", {"os-unset_image_metadata": {"key": "no"}}, 404, "cannot be found"),
    ("ann", "POST /{broken}/action", {"os-retype": {"new_type": "fast"}}, 400, "in-use to retype"),
    (
        "ann",
        "POST /{free}/action",
        {"os-retype": {"new_type": "no"}},
        404,
        "Volume type no could not be found",
    ),
    ("ann", "POST /{used}/action", {"os-reserve": {}}, 400, "must be available to reserve"),
    ("ann", "POST /{used}/action", {"os-attach": {"instance_uuid": "z"}}, 400, "status must be available"),
    ("ann", "POST /{free}/action", {"os-begin_detaching": {}}, 400, "Volume status must be 'in-use'"),
    ("ann", "POST /{free}/action", {"os-unmanage": {}}, 403, "unmanage"),
    ("admin", "POST /{used}/action", {"os-unmanage": {}}, 400, "status must be available or error"),
    ("ann", "POST /{free}/action", {"os-force_delete": {}}, 403, "force_delete"),
)
def test_actions_on_volumes_that_are_refused(world, case):
    world.check(case)


@table(
    "/volume/v3",
    ("ann", "POST /snapshots", {"snapshot": {}}, 400, "'volume_id' is a required property"),
    ("ann", "POST /snapshots", snapshot(volume_id="{other}"), 404, "Volume {other} could not be found"),
    ("ann", "POST /snapshots", snapshot(force=False), 400, "force cannot be false"),
    ("ann", "POST /snapshots", snapshot(metadata=5), 400, "field/attribute metadata"),
    ("ann", "POST /snapshots", snapshot(volume_id="{used}"), 400, "status must be available", "volume 3.65"),
    ("ann", "POST /snapshots", snapshot(volume_id="{broken}"), 400, "current status is: error"),
    ("ann", "POST /snapshots", snapshot(), 413, "Maximum number of snapshots allowed (2) exceeded"),
    ("bob", "GET /snapshots/{snap}", None, 404, "Snapshot {snap} could not be found"),
    ("ann", "DELETE /snapshots/{half}", None, 400, "Snapshot status must be available or error"),
    ("ann", "POST /snapshots/{snap}/action", {"os-reset_status": {"status": "error"}}, 403, "reset_status"),
    (
        "admin",
        "POST /snapshots/{snap}/action",
        {"os-reset_status": {"status": "happy"}},
        400,
        "attribute status",
    ),
    ("ann", "POST /attachments", {"attachment": {"volume_uuid": "{used}"}}, 400, "current status is in-use"),
    ("ann", "GET /attachments/{nope}", None, 404, "attachment_id = {nope}"),
    ("ann", "GET /attachments", None, 404, "could not be found", "volume 3.26"),
    ("ann", "POST /types", {"volume_type": {"name": "x"}}, 403, "create_type"),
    ("admin", "POST /types", {"volume_type": {"name": " "}}, 400, "field/attribute name"),
    ("admin", "POST /types", {"volume_type": {"name": "fast"}}, 409, "Volume Type fast already exists"),
    (
        "admin",
        "PUT /types/{unused}",
        {"volume_type": {"name": "fast"}},
        409,
        "Volume Type fast already exists",
    ),
    ("admin", "DELETE /types/{fast}", None, 400, "Target volume type is still in use"),
    ("ann", "GET /types/{secret}", None, 404, "Volume type {secret} could not be found"),
    ("ann", "GET /types/{nope}", None, 404, "Volume type {nope} could not be found"),
    ("admin", "GET /types/{fast}/extra_specs/no", None, 404, "no extra specs with key no"),
    ("admin", "PUT /types/{fast}/extra_specs/a", {"b": "x"}, 400, "body and URI mismatch"),
    ("admin", "DELETE /types/{fast}/extra_specs/no", None, 404, "no extra specs with key no"),
    ("admin", "GET /types/{fast}/os-volume-type-access", None, 404, "not available for public"),
    ("admin", "POST /types/{secret}/action", {"paint": {}}, 400, "no such action"),
    (
        "admin",
        "POST /types/{secret}/action",
        {"addProjectAccess": {"project": "{lab}"}},
        409,
        "already exists",
    ),
    (
        "admin",
        "POST /types/{secret}/action",
        {"removeProjectAccess": {"project": "{shop}"}},
        404,
        "not found for",
    ),
    ("admin", "POST /types/{fast}/encryption", {"encryption": {}}, 400, "'provider' is a required property"),
    ("admin", "POST /types/{coded}/encryption", {"encryption": {"provider": "luks"}}, 400, "already exists"),
    ("ann", "GET /os-quota-sets/{lab}", None, 403, "volume_extension:quotas:show"),
    (
        "ann",
        "PUT /os-quota-sets/{shop}",
        {"quota_set": {"volumes": 1}},
        403,
        "volume_extension:quotas:update",
    ),
    (
        "admin",
        "PUT /os-quota-sets/{shop}",
        {"quota_set": {"paint": 1}},
        400,
        "Bad key(s) in quota set: paint",
    ),
    ("admin", "PUT /os-quota-sets/{shop}", {"quota_set": {"volumes": "all"}}, 400, "Value: all"),
    ("admin", "PUT /os-quota-sets/{shop}", {"quota_set": {"volumes": -2}}, 400, "Value: -2"),
    (
        "admin",
        "PUT /os-quota-sets/{shop}",
        {"quota_set": {"volumes": 1}},
        400,
        "must be equal or greater than existing resources",
    ),
    ("ann", "GET /os-services", None, 403, "services"),
    (
        "admin",
        "POST /manageable_volumes",
        {"volume": {"ref": {"source-name": "no"}}},
        400,
        "'host' is a required property",
    ),
    (
        "admin",
        "POST /manageable_volumes",
        {"volume": {"host": "none@none#none", "ref": {"source-name": "no"}}},
        404,
        "Service none@none#none could not be found",
    ),
    ("admin", "GET /manageable_volumes", None, 400, "must be specified"),
    (
        "ann",
        "GET /manageable_volumes?host=block@files",
        None,
        403,
        "list_manageable",
    ),
)
def test_snapshots_types_and_quotas_that_are_refused(world, case):
    world.check(case)
