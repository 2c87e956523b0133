"""Volumes, with their bytes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from openstack.connection import Connection
from tenant.site import WAIT, Site, ask, disk
from tenant.volumes import FILLED

from .moved import Moved, equal

VOLUME_FILE = "PUMPHOUSE_TEST_VOLUME_FILE"
"""Where a cloud keeps a volume's bytes, if that can be read: a path with ``{cloud}`` and ``{id}`` in it."""
GIB = 1 << 30


def volumes(moved: Moved) -> str:
    """Fields and bytes: of a detached one through an image, of all from files that can be read."""
    there = moved.same(
        "volumes",
        own={
            "status",
            "attachments",
            "user_id",
            "snapshot_id",
            "source_volid",
            "volume_image_metadata",
            "os-vol-host-attr:host",
            "service_uuid",
            "provider_id",
        },
    )
    read = []
    for name in sorted(there.keys() & FILLED.keys()):
        path = file_of(moved.destination.admin, there[name]["id"])
        if path is not None:
            equal(f"volume {name}: bytes", _digest(path), _wanted(moved.source, name))
            read.append(name)
    uploaded = _uploaded(moved.destination.admin, there["archive"]["id"])
    equal("volume archive: bytes", uploaded, _wanted(moved.source, "archive"))
    project = moved.projects[1]["id"]
    left = [one["name"] for one in moved.pair("snapshots")[1].values()]
    equal("snapshots made", left, [])
    assert project
    return f"{len(there)} volumes have every field; the bytes were read of: {', '.join(read or ['archive'])}."


def file_of(cloud: Connection, identity: str) -> Path | None:
    pattern = os.environ.get(VOLUME_FILE)
    return Path(pattern.format(cloud=cloud.config.name, id=identity)) if pattern else None


def _wanted(site: Site, volume: str) -> str:
    """The digest of what the filler wrote and blanks up to the volume's size."""
    data = disk(site.name, volume)
    digest = hashlib.sha256(data)
    blank = bytes(1 << 20)
    for start in range(len(data), GIB, len(blank)):
        digest.update(blank[: GIB - start])
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _uploaded(cloud: Connection, identity: str) -> str:
    """The SHA-256 of a detached volume's bytes, read through an image that is then removed."""
    upload = {"image_name": "check", "disk_format": "raw", "container_format": "bare"}
    path = f"/volumes/{identity}/action"
    answer = ask(cloud, "POST", "block_storage", path, {"os-volume_upload_image": upload})
    image_id = answer["os-volume_upload_image"]["image_id"]
    try:
        image = cloud.image.get_image(image_id)
        cloud.image.wait_for_status(image, "active", failures=["error", "killed"], wait=WAIT)
        digest = hashlib.sha256()
        for chunk in cloud.image.download_image(image_id, stream=True).iter_content(1 << 20):
            digest.update(chunk)
    finally:
        cloud.image.delete_image(image_id)
    storage = cloud.block_storage
    storage.wait_for_status(storage.get_volume(identity), "available", wait=WAIT)
    return digest.hexdigest()
