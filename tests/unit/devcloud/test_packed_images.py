"""Images in the qcow2 format, from the disk that they are made of to the disk that is made of them."""

from __future__ import annotations

import hashlib
import random
import time

import openstack.exceptions as exc
import pytest

from pumphouse.devcloud.qcow2 import is_qcow2, pack

GIB, MIB = 1 << 30, 1 << 20
DATA = random.Random(3).randbytes(MIB)


def until(check, seconds=10):
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return found


def settled(conn, volume_id, *statuses):
    found = until(
        lambda: next((v for v in [conn.block_storage.get_volume(volume_id)] if v.status in statuses), None)
    )
    return found.status


@pytest.fixture
def packed(tmp_path):
    """The bytes of a qcow2 file: a disk of 2 GiB that begins with DATA."""
    raw = tmp_path / "raw"
    with raw.open("wb") as file:
        file.write(DATA)
        file.truncate(2 * GIB)
    pack(raw, tmp_path / "packed")
    return (tmp_path / "packed").read_bytes()


def image_of(conn, data, **fields):
    made = conn.image.create_image(
        name="disk", **{"disk_format": "qcow2", "container_format": "bare"} | fields
    )
    conn.image.put(f"/images/{made.id}/file", data=data, headers={"Content-Type": "application/octet-stream"})
    return conn.image.get_image(made.id)


def test_a_volume_is_exported_packed_and_comes_back(conn, cloud):
    volume = conn.block_storage.create_volume(size=1, name="data")
    assert settled(conn, volume.id, "available", "error") == "available"
    with cloud.files.path("volumes", volume.id).open("r+b") as file:
        file.seek(100 * MIB)
        file.write(DATA)
    before = time.process_time()
    sent = conn.block_storage.upload_volume_to_image(
        volume.id, "carrier", disk_format="qcow2", container_format="bare"
    )
    image = until(
        lambda: next((i for i in [conn.image.get_image(sent["image_id"])] if i.status == "active"), None)
    )
    assert time.process_time() - before < 2, "it costs what is in use"
    assert image.virtual_size == GIB
    assert MIB < image.size < 2 * MIB
    path = cloud.files.path("images", image.id)
    assert is_qcow2(path)
    assert image.hash_value == hashlib.sha512(path.read_bytes()).hexdigest()
    copy = conn.block_storage.create_volume(size=2, image_id=image.id)
    assert settled(conn, copy.id, "available", "error") == "available"
    with cloud.files.path("volumes", copy.id).open("rb") as file:
        assert not any(file.read(MIB))
        file.seek(100 * MIB)
        assert file.read(MIB) == DATA
        assert file.seek(0, 2) == 2 * GIB


def test_a_volume_must_have_room_for_the_disk_within(conn, packed):
    image = image_of(conn, packed)
    assert image.virtual_size == 2 * GIB
    with pytest.raises(
        exc.BadRequestException, match="Image virtual size is 2GB and doesn't fit in a volume of size 1GB"
    ):
        conn.block_storage.create_volume(size=1, image_id=image.id)
    assert (
        settled(conn, conn.block_storage.create_volume(size=2, image_id=image.id).id, "available", "error")
        == "available"
    )


def test_an_ill_formed_image_ends_in_error(conn, cloud, packed):
    image = image_of(conn, packed[: -len(packed) // 2])
    volume = conn.block_storage.create_volume(size=2, image_id=image.id)
    assert settled(conn, volume.id, "available", "error") == "error"
    assert not cloud.files.path("volumes", volume.id).exists()
    server = served(conn, image)
    assert server.status == "ERROR"
    assert f"Image {image.id} is unacceptable" in server.fault["message"]


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk"])
def test_other_bytes_are_a_raw_disk_whatever_the_image_says(conn, cloud, disk_format):
    image = image_of(conn, b"anything", disk_format=disk_format)
    assert image.virtual_size is None
    volume = conn.block_storage.create_volume(size=1, image_id=image.id)
    assert settled(conn, volume.id, "available", "error") == "available"
    with cloud.files.path("volumes", volume.id).open("rb") as file:
        assert file.read(9) == b"anything\0"
    assert cloud.files.path("disks", served(conn, image).id).read_bytes() == b"anything"


def test_packed_bytes_that_are_said_to_be_raw_stay_as_they_are(conn, cloud, packed):
    image = image_of(conn, packed, disk_format="raw")
    assert image.virtual_size == image.size == len(packed)
    assert cloud.files.path("disks", served(conn, image).id).read_bytes() == packed


def test_glance_cannot_look_into_other_containers(conn, packed):
    assert image_of(conn, packed, container_format="ova").virtual_size is None


def served(conn, image):
    """A server of the image, once it is built or has failed."""
    flavor = conn.compute.find_flavor("small") or conn.compute.create_flavor(
        name="small", ram=512, vcpus=1, disk=4, id="small"
    )
    made = conn.compute.create_server(name="web", flavor_id=flavor.id, image_id=image.id, networks="none")
    return until(
        lambda: next((s for s in [conn.compute.get_server(made.id)] if s.status in ("ACTIVE", "ERROR")), None)
    )


def test_a_servers_disk_is_unpacked_and_its_image_packed(conn, cloud, packed):
    server = served(conn, image_of(conn, packed))
    disk = cloud.files.path("disks", server.id)
    assert disk.stat().st_size == 2 * GIB
    assert disk.stat().st_blocks * 512 < 2 * MIB
    with disk.open("rb") as file:
        assert file.read(MIB) == DATA
    backup = conn.compute.create_server_image(server, "backup", wait=True, timeout=10)
    assert conn.image.download_image(backup.id).content == packed
    conn.compute.shelve_server(server)
    until(lambda: conn.compute.get_server(server.id).status == "SHELVED_OFFLOADED")
    assert not disk.exists()
    conn.compute.unshelve_server(server)
    until(lambda: conn.compute.get_server(server.id).status == "ACTIVE")
    assert disk.stat().st_size == 2 * GIB
