"""Disks byte by byte: what guests had written, and what became of it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from guest import FAR, boot_sector
from openstack.connection import Connection
from tenant.site import WAIT, Site, ask, disk
from tenant.volumes import FILLED

from pumphouse.devcloud import qcow2

from .moved import Moved, equal
from .volumes import file_of

DISK_FILE = "PUMPHOUSE_TEST_DISK_FILE"
"""Where a cloud in which no guest runs keeps the root disks: a path with ``{cloud}`` and ``{id}`` in it.

There the test writes what a guest would have written.
"""
LOCAL = ("copied", "lifted", "thrown")
"""The servers whose root disk is a local one."""
_CHUNK = 1 << 20


def written(site: Site) -> None:
    """Make sure that each guest has counted its first boot on its local root disk."""
    for name in LOCAL:
        identity = _server(site, name)
        if pattern := os.environ.get(DISK_FILE):
            with Path(pattern.format(cloud=site.admin.config.name, id=identity)).open("r+b") as file:
                for place in (0, FAR):
                    file.seek(place)
                    file.write(boot_sector(1))
        _root_disk(f"{name} on the source", site, identity, boots=1)


def disks(moved: Moved) -> list[str]:
    """Root disks as each mode brings them, and volumes that a server boots from or holds."""
    site = moved.destination
    runs = 0 if os.environ.get(DISK_FILE) else 1
    servers, volumes = moved.pair("servers")[1], moved.pair("volumes")[1]
    equal("states", {name: one["status"] for name, one in servers.items()}, dict.fromkeys(_WAYS, "ACTIVE"))
    attached = {
        name: sorted(
            moved.there["volumes"][one["volumeId"]]["name"]
            for one in moved.there["attachments"][server["id"]]
        )
        for name, server in servers.items()
    }
    equal("volumes of servers", attached, _WAYS)
    _root_disk("copied", site, servers["copied"]["id"], boots=1 + runs)
    _root_disk("thrown", site, servers["thrown"]["id"], boots=runs)
    read = []
    for name, volume in volumes.items():
        path = file_of(site.admin, volume["id"])
        if path is not None:
            want = disk(site.name, name) if name in FILLED else _counted(site, 1 + runs)
            _patiently(partial(_same, f"volume {name}", path, want))
            read.append(name)
    return list(_proved(read))


def _proved(read: Collection[str]) -> Iterator[str]:
    yield (
        "The root disk of a running server that was copied (mode ``snapshot``) has every byte: those of its "
        "image, and those that the guest had written since it was built."
    )
    if "lifted-root" in read:
        yield "So has that of a server that boots from a volume now (mode ``volume``)."
    yield (
        "In mode ``auto`` a server whose metadata call it disposable was built again from its image, without "
        "what the guest had written; the others were copied."
    )
    if {"orders", "root"} <= set(read):
        yield (
            "The volumes of running servers have every byte, both one that was attached and one that a "
            "server boots from."
        )


_WAYS: dict[str, list[str]] = {
    "copied": ["orders"],
    "legacy": ["root"],
    "lifted": ["lifted-root"],
    "thrown": [],
}
"""The volumes that each server has on the destination."""


def _server(site: Site, name: str) -> str:
    project = site.admin.identity.find_project(site.name, domain_id="default").id
    named = site.admin.compute.servers(all_projects=True, name=f"^{name}$")
    return next(str(one.id) for one in named if one.project_id == project)


def _counted(site: Site, boots: int) -> bytes:
    return disk(site.name, "image", boots=boots)


def _root_disk(what: str, site: Site, identity: str, *, boots: int) -> None:
    """Refuse a local root disk that has not what a guest leaves that was booted so often."""

    def look() -> None:
        with tempfile.TemporaryDirectory() as directory:
            found = _image(site.admin, identity, Path(directory))
            _same(f"the root disk of {what}", found, _counted(site, boots))

    _patiently(look)


def _patiently(look: Callable[[], None], *, seconds: float = 60) -> None:
    """Look until it is so: a server is active before its guest has come to anything."""
    end = time.monotonic() + seconds
    while True:
        try:
            return look()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def _image(cloud: Connection, identity: str, directory: Path) -> Path:
    """A raw file with a server's local root disk, read through an image that is then removed."""
    body = {"createImage": {"name": "check", "metadata": {}}}
    image_id = ask(cloud, "POST", "compute", f"/servers/{identity}/action", body)["image_id"]
    path = directory / "image"
    try:
        image = cloud.image.get_image(image_id)
        image = cloud.image.wait_for_status(image, "active", failures=["error", "killed"], wait=WAIT)
        with path.open("wb") as file:
            for chunk in cloud.image.download_image(image_id, stream=True).iter_content(_CHUNK):
                file.write(chunk)
    finally:
        cloud.image.delete_image(image_id)
    if image.disk_format == "raw":
        return path
    equal("the format of a server's image", image.disk_format, "qcow2")
    qcow2.unpack(path, directory / "raw")
    return directory / "raw"


def _same(what: str, path: Path, want: bytes) -> None:
    """Refuse a file that holds anything else than these bytes and blanks behind them."""
    size = path.stat().st_size
    assert size >= len(want), f"{what} has {size} bytes, fewer than {len(want)}"
    with path.open("rb") as file:
        for start in range(0, size, _CHUNK):
            found = file.read(_CHUNK)
            assert found == want[start : start + _CHUNK].ljust(len(found), b"\0"), (
                f"{what} has other bytes between {start} and {start + len(found)}"
            )
