"""What Glance refuses."""

from __future__ import annotations

import pytest

from .refusals import NOWHERE, World, table


def image(**change):
    return {"name": "new", "disk_format": "raw", "container_format": "bare", **change}


def patch(*changes):
    return [dict(zip(("op", "path", "value"), one, strict=False)) for one in changes]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Images of all states, and one that is shared."""
    world = World(tmp_path_factory.mktemp("image"))
    path = "/image/v2/images"
    for name, values in (
        ("queued", {}),
        ("active", {}),
        ("protected", {"protected": True}),
        ("bare", {"disk_format": None, "container_format": None}),
        ("mine", {"visibility": "private"}),
        ("shared", {"visibility": "shared"}),
        ("staged", {}),
    ):
        world.make(name, "ann", f"POST {path}", {**image(name=name), **values})
    world.ask("ann", f"PUT {path}/{{active}}/file", b"bytes")
    world.ask("ann", f"PUT {path}/{{staged}}/stage", b"bytes")
    world.ask("ann", f"POST {path}/{{shared}}/members", {"member": "{lab}"})
    world.make("deleted", "ann", f"POST {path}", image())
    world.ask("ann", f"DELETE {path}/{{deleted}}")
    yield world
    world.stop()


@table(
    "/image/v2/images",
    ("nobody", "GET ", None, 401, "requires authentication"),
    ("rita", "POST ", image(), 403, "You are not authorized to complete add_image action"),
    ("ann", "POST ", image(checksum="x"), 403, "Attribute 'checksum' is read-only"),
    ("ann", "POST ", image(os_glance_x="x"), 403, "Attribute 'os_glance_x' is reserved"),
    ("ann", "POST ", image(id="no"), 400, "Invalid image id format: no"),
    ("ann", "POST ", image(id="{active}"), 409, "Image ID {active} already exists"),
    ("ann", "POST ", image(id="{deleted}"), 409, "Image ID {deleted} already exists"),
    ("ann", "POST ", image(owner="{lab}"), 403, "not permitted to create images owned by"),
    ("ann", "POST ", image(visibility="public"), 403, "publicize_image"),
    ("ann", "POST ", image(visibility="secret"), 400, "'secret' is not valid for 'visibility'"),
    ("ann", "POST ", image(disk_format="tape"), 400, "is not valid for 'disk_format'"),
    ("ann", "POST ", image(min_disk=-1), 400, "is not valid for 'min_disk'"),
    ("ann", "POST ", image(protected="yes"), 400, "is not valid for 'protected'"),
    ("ann", "POST ", image(name="x" * 256), 400, "is not valid for 'name'"),
    ("ann", "POST ", image(tags="blue"), 400, "is not valid for 'tags'"),
    ("ann", "POST ", image(os_distro=5), 400, "is not of type 'string'"),
    ("ann", "POST ", image(**{"p" * 256: "x"}), 400, "should not be greater than 255"),
    ("ann", "GET /{nope}", None, 404, "No image found with ID {nope}"),
    ("bob", "GET /{mine}", None, 404, "No image found with ID {mine}"),
    ("ann", "GET ?visibility=odd", None, 400, "Invalid visibility value: odd"),
    ("ann", "GET ?member_status=odd", None, 400, "Invalid status: odd"),
    ("ann", "GET ?marker={nope}", None, 400, "Invalid marker. Image {nope} could not be found"),
    ("ann", "GET ?limit=all", None, 400, "limit param must be an integer"),
    ("bob", "PATCH /{shared}", patch(("replace", "/name", "x")), 403, "modify_image"),
    ("ann", "PATCH /{active}", {}, 400, "must be a JSON array"),
    ("ann", "PATCH /{active}", ["x"], 400, "Operations must be JSON objects"),
    ("ann", "PATCH /{active}", [{"paint": "/name"}], 400, "Unable to find `op`"),
    ("ann", "PATCH /{active}", patch(("paint", "/name", "x")), 400, "Invalid operation: `paint`"),
    ("ann", "PATCH /{active}", [{"op": "remove"}], 400, "Unable to find 'path'"),
    ("ann", "PATCH /{active}", patch(("add", "/name")), 400, 'requires a member named "value"'),
    ("ann", "PATCH /{active}", patch(("add", "name", "x")), 400, "does not start with"),
    ("ann", "PATCH /{active}", patch(("add", "/a/b", "x")), 400, "Invalid JSON pointer"),
    ("ann", "PATCH /{active}", patch(("replace", "/id", "x")), 403, "Attribute 'id' is read-only"),
    ("ann", "PATCH /{active}", patch(("replace", "/checksum", "x")), 403, "read-only"),
    ("ann", "PATCH /{active}", patch(("remove", "/name")), 403, "Property name may not be removed"),
    ("ann", "PATCH /{active}", patch(("remove", "/no")), 409, "Property no does not exist"),
    ("ann", "PATCH /{active}", patch(("replace", "/no", "x")), 409, "Property no does not exist"),
    ("ann", "PATCH /{active}", patch(("replace", "/owner", "{lab}")), 403, "Owner can't be updated"),
    ("ann", "PATCH /{active}", patch(("replace", "/visibility", "public")), 403, "publicize_image"),
    (
        "ann",
        "PATCH /{active}",
        patch(("replace", "/disk_format", "qcow2")),
        403,
        "only replaced for a queued",
    ),
    ("ann", "PATCH /{active}", patch(("add", "/a", "x"), ("remove", "/no")), 409, "does not exist"),
    ("bob", "DELETE /{shared}", None, 403, "delete_image"),
    ("ann", "DELETE /{protected}", None, 403, "is protected and cannot be deleted"),
    ("ann", "DELETE /{active}/tags/no", None, 404, "Tag no not found"),
    ("ann", "PUT /{active}/file", b"more", 409, "status transition from active to saving is not allowed"),
    ("ann", "PUT /{bare}/file", b"bytes", 400, "disk_format, container_format must be set"),
    ("ann", "PUT /{queued}/file", {}, 415, "must be application/octet-stream"),
    ("bob", "PUT /{shared}/file", b"bytes", 403, "upload_image"),
    ("ann", "POST /{queued}/import", {}, 400, "requires a 'method' field"),
    (
        "ann",
        "POST /{queued}/import",
        {"method": {"name": "paint"}},
        400,
        "Unknown import method name 'paint'",
    ),
    ("ann", "POST /{active}/import", {"method": {"name": "glance-direct"}}, 409, "status active cannot be"),
    ("ann", "POST /{queued}/import", {"method": {"name": "glance-direct"}}, 409, "staged before"),
    ("ann", "POST /{staged}/import", {"method": {"name": "web-download"}}, 409, "in 'queued' state"),
    (
        "ann",
        "POST /{bare}/import",
        {"method": {"name": "web-download"}},
        400,
        "'container_format' needs to be set",
    ),
    (
        "ann",
        "POST /{queued}/import",
        {"method": {"name": "web-download", "uri": "http://example.com/x"}},
        400,
        "does not pass filtering",
    ),
    (
        "ann",
        "POST /{queued}/import",
        {"method": {"name": "glance-download"}},
        400,
        "'glance_region' needs to be set",
    ),
    (
        "ann",
        "POST /{queued}/import",
        {"method": {"name": "glance-download", "glance_region": "Mars", "glance_image_id": NOWHERE}},
        400,
        "The region Mars is not in the catalogue",
    ),
    ("ann", "POST /{active}/actions/reactivate", None, 403, "reactivate"),
    (
        "ann",
        "POST /{queued}/actions/deactivate",
        None,
        403,
        "Not allowed to deactivate image in status 'queued'",
    ),
    ("ann", "POST /{shared}/members", {}, 400, "Expected a member in the form"),
    ("ann", "POST /{mine}/members", {"member": "{lab}"}, 403, "Only shared images have members"),
    ("ann", "POST /{shared}/members", {"member": "{lab}"}, 409, "is duplicated for image"),
    ("bob", "POST /{shared}/members", {"member": "{lab}"}, 403, "Not allowed to change members"),
    ("ann", "GET /{shared}/members/{nope}", None, 404, "not found in the member list"),
    ("ann", "PUT /{shared}/members/{lab}", {"status": "odd"}, 400, "Status must be one of"),
    ("ann", "PUT /{shared}/members/{lab}", {"status": "accepted"}, 403, "Not allowed to update members"),
    ("ann", "DELETE /{shared}/members/{nope}", None, 404, "not found in the member list"),
)
def test_images_that_are_refused(world, case):
    world.check(case)


def test_a_schema_that_is_not_there(world):
    assert world.ask("ann", "GET /image/v2/schemas/paint")[0] == 404


def test_an_image_takes_at_most_128_tags(world):
    path = "PATCH /image/v2/images/{queued}"
    tags = [f"tag-{number}" for number in range(128)]
    assert world.ask("ann", path, patch(("replace", "/tags", tags)))[0] == 200
    status, text = world.ask("ann", "PUT /image/v2/images/{queued}/tags/one-more")
    assert (status, b"limit has been exceeded" in text) == (413, True)


@pytest.mark.parametrize(("span", "status"), [("lines=1-2", 400), ("bytes=a-b", 400), ("bytes=9-", 416)])
def test_a_range_that_lies_outside(world, span, status):
    path = world._named("/image/v2/images/{active}/file")
    assert world.people["ann"]("GET", path, None, {"Range": span})[0] == status


def test_a_patch_has_its_own_type(world):
    path = world._named("/image/v2/images/{active}")
    status, _, headers = world.people["ann"]("PATCH", path, [], {"Content-Type": "application/json"})
    assert (status, "v2.1-json-patch" in headers["accept-patch"]) == (415, True)
