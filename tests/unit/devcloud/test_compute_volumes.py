from __future__ import annotations

import json
import time

import openstack.exceptions as exc
import pytest

GIB = 1 << 30


def until(check, seconds=10):
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return found


def wait(conn, server, status="ACTIVE"):
    return conn.compute.wait_for_server(server, status=status, failures=[], interval=0.02, wait=10)


def volume_ready(conn, volume_id, status="available"):
    return until(lambda: (one := conn.block_storage.get_volume(volume_id)).status == status and one)


@pytest.fixture
def flavor(conn):
    return conn.compute.create_flavor(name="small", ram=512, vcpus=1, disk=1, id="small")


@pytest.fixture
def image(conn):
    made = conn.image.create_image(
        name="cirros",
        disk_format="raw",
        container_format="bare",
        visibility="public",
        hw_firmware_type="uefi",
    )
    headers = {"Content-Type": "application/octet-stream"}
    conn.image.put(f"/images/{made.id}/file", data=b"root disk" * 1000, headers=headers)
    return conn.image.get_image(made.id)


@pytest.fixture
def server(conn, flavor, image):
    return wait(
        conn, conn.compute.create_server(name="s", flavor_id="small", image_id=image.id, networks="none")
    )


@pytest.fixture
def volume(conn):
    return volume_ready(conn, conn.block_storage.create_volume(size=1, name="data").id)


def boot_block(**more):
    return {"boot_index": 0, "destination_type": "volume", "source_type": "volume", **more}


def test_a_volume_is_attached_and_detached(conn, server, volume):
    made = conn.compute.create_volume_attachment(
        server, volume=volume.id, tag="data", delete_on_termination=False
    )
    assert made.device == "/dev/vdb"
    used = volume_ready(conn, volume.id, "in-use")
    assert (used.attachments[0]["server_id"], used.attachments[0]["device"]) == (server.id, "/dev/vdb")
    (listed,) = conn.compute.volume_attachments(server)
    assert (listed.volume_id, listed.tag, listed.delete_on_termination) == (volume.id, "data", False)
    old = conn.compute.get(f"/servers/{server.id}/os-volume_attachments", microversion="2.60").json()
    assert set(old["volumeAttachments"][0]) == {"id", "volumeId", "serverId", "device"}
    with pytest.raises(exc.BadRequestException, match="status must be 'available'"):
        conn.compute.create_volume_attachment(server, volume=volume.id)
    with pytest.raises(exc.BadRequestException):
        conn.block_storage.delete_volume(volume.id)
    conn.compute.delete_volume_attachment(server, volume.id)
    assert volume_ready(conn, volume.id).attachments == []


def test_a_deleted_server_lets_go_of_its_volumes(conn, server, volume):
    gone = volume_ready(conn, conn.block_storage.create_volume(size=1, name="gone").id)
    conn.compute.create_volume_attachment(server, volume=volume.id)
    conn.compute.create_volume_attachment(server, volume=gone.id, delete_on_termination=True)
    volume_ready(conn, gone.id, "in-use")
    conn.compute.delete_server(server)
    conn.compute.wait_for_delete(server, interval=0.02, wait=10)
    volume_ready(conn, volume.id)
    assert until(lambda: [one.name for one in conn.block_storage.volumes()] == ["data"])


def test_a_server_boots_from_a_volume_made_of_an_image(conn, cloud, flavor, image):
    block = boot_block(source_type="image", uuid=image.id, volume_size=1, delete_on_termination=True)
    made = conn.compute.create_server(
        name="v", flavor_id="small", networks="none", block_device_mapping=[block]
    )
    server = wait(conn, made)
    assert conn.compute.get(f"/servers/{server.id}").json()["server"]["image"] == ""
    (attached,) = server.attached_volumes
    root = conn.block_storage.get_volume(attached["id"])
    assert (root.status, root.is_bootable, root.attachments[0]["device"]) == ("in-use", True, "/dev/vda")
    assert not cloud.files.exists("disks", server.id), "the volume is the disk"
    path = cloud.files.path("volumes", root.id)
    assert path.stat().st_size == GIB
    with path.open("rb") as file:
        assert file.read(9) == b"root disk"
    with pytest.raises(exc.ForbiddenException, match="root device"):
        conn.compute.delete_volume_attachment(server, root.id)
    conn.compute.delete_server(server)
    assert until(lambda: list(conn.block_storage.volumes()) == [])


def test_a_server_boots_from_volumes_and_keeps_their_order(conn, flavor, image, volume):
    with pytest.raises(exc.BadRequestException, match="not bootable"):
        conn.compute.create_server(
            name="v", flavor_id="small", networks="none", block_device_mapping=[boot_block(uuid=volume.id)]
        )
    root = volume_ready(conn, conn.block_storage.create_volume(size=1, image_id=image.id).id)
    blocks = [
        boot_block(uuid=volume.id, boot_index=-1, tag="data", device_name="/dev/vdc"),
        boot_block(uuid=root.id),
    ]
    body = {"name": "v", "flavor_id": "small", "networks": "none", "block_device_mapping": blocks}
    server = wait(conn, conn.compute.create_server(**body))
    found = [(one.volume_id, one.device, one.tag) for one in conn.compute.volume_attachments(server)]
    assert found == [(root.id, "/dev/vda", None), (volume.id, "/dev/vdc", "data")]
    with pytest.raises(exc.BadRequestException, match="status must be 'available'"):
        conn.compute.create_server(**body)
    with pytest.raises(exc.BadRequestException, match="Boot sequence"):
        conn.compute.create_server(name="none", flavor_id="small", networks="none")


def test_an_image_of_a_volume_server_names_snapshots(conn, flavor, image):
    root = volume_ready(conn, conn.block_storage.create_volume(size=1, image_id=image.id).id)
    body = {"name": "v", "flavor_id": "small", "networks": "none"}
    server = wait(conn, conn.compute.create_server(**body, block_device_mapping=[boot_block(uuid=root.id)]))
    made = conn.compute.create_server_image(server, "backup")
    shown = conn.image.get_image(made.id)
    assert (shown.status, shown.size) == ("active", 0)
    (mapping,) = json.loads(shown.properties["block_device_mapping"])
    snapshot = conn.block_storage.get_snapshot(mapping["snapshot_id"])
    assert (snapshot.volume_id, mapping["boot_index"], mapping["volume_size"]) == (root.id, 0, 1)


def test_a_snapshot_keeps_the_images_properties(conn, server):
    made = conn.compute.create_server_image(server, "backup", wait=True, timeout=10)
    shown = conn.image.get_image(made.id)
    assert (shown.properties["hw_firmware_type"], shown.disk_format, shown.properties["base_image_ref"]) == (
        "uefi",
        "raw",
        server.image.id,
    )


def test_a_server_whose_volume_fails_ends_in_error(conn, cloud, flavor, image):
    block = boot_block(source_type="image", uuid=image.id, volume_size=1)
    made = conn.compute.create_server(
        name="v", flavor_id="small", networks="none", block_device_mapping=[block]
    )
    cloud.files.remove("images", image.id)
    failed = wait(conn, made, "ERROR")
    assert "did not finish being created" in failed.fault["message"]
