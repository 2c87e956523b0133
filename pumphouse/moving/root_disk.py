"""A server's root disk: how it gets to the destination, and the steps that take it there.

See ``doc/adr/0010-disks.rst``. A local root disk is written into an image by compute, while the server rests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pumphouse import errors
from pumphouse.cloud_api import CloudAPI, Service
from pumphouse.context import Item
from pumphouse.model import Action, DiskMode, Ref, Resource
from pumphouse.moving.carrier import CleanUp, ToImage, Transfer
from pumphouse.moving.image_properties import is_custom

CHOICE = "disk_mode"
"""The name of the choice in an override file, and of the fact that tells what was decided."""
TRAVELS = "root_disk"
"""The fact that tells as what a local root disk travels by itself: snapshot, volume, or "" if it does not."""
ROOT_OF = "root_of"
"""The fact of a volume that the source has only as the root disk of a server: the server's id."""
DISPOSABLE = ("pumphouse_disk", "disposable")
"""The metadata with which a server tells that nobody misses what is on its root disk."""
SHELVED = frozenset({"SHELVED", "SHELVED_OFFLOADED"})
_BOOT_FILES = ("kernel_id", "ramdisk_id")


def choose(server: Resource, asked: str) -> Resource:
    """The server as it follows from the mode that was asked for. Pure; again changes nothing."""
    if CHOICE in server.facts:
        return server
    mode, travels = _decide(server, DiskMode(asked))
    facts = {**server.facts, CHOICE: str(mode), TRAVELS: str(mode) if travels else ""}
    fields = dict(server.fields)
    if travels:
        # What it was built from it no longer needs, and its image may well be gone.
        fields.pop("image", None)
        facts |= {"boot_image": None, "base_image": server.fields["image"]}
    if travels and mode is DiskMode.VOLUME:
        root = {"volume": server.ref.id, "boot": True, "tag": None, "delete_on_termination": True}
        fields["volumes"] = [root, *fields["volumes"]]
    return replace(server, fields=fields, facts=facts)


def _decide(server: Resource, asked: DiskMode) -> tuple[DiskMode, bool]:
    """The mode, and whether its local root disk travels by itself."""
    if server.facts["status"] in SHELVED:
        # Shelving has made a snapshot of it, which moves with the images.
        return (DiskMode.SNAPSHOT if server.facts["boot_image"] else DiskMode.VOLUME), False
    if not server.fields.get("image"):
        return DiskMode.VOLUME, False
    if asked is DiskMode.AUTO:
        name, value = DISPOSABLE
        disposable = server.fields["metadata"].get(name) == value
        asked = DiskMode.IMAGE if disposable else DiskMode.SNAPSHOT
    return asked, asked is not DiskMode.IMAGE


def travels_as(resource: Resource) -> str:
    """As what a server's local root disk travels: "snapshot", "volume", or "" if it does not."""
    return str(resource.facts.get(TRAVELS, ""))


def size_gib(told: Mapping[str, Any], flavor: Resource | None, image: Resource | None) -> int:
    """The size of a local root disk, in GiB: its flavor's, else what its image holds, unpacked; 0 if unknown.

    :param told: the flavor as the server has it, which before 2.47 is but an id.
    """
    size = told.get("disk", flavor.fields["disk"] if flavor is not None else 0)
    if size or image is None:
        return int(size or 0)
    return -(-int(image.facts.get("virtual_size") or image.facts["size"]) >> 30)


def volume_of(server: Resource, properties: Mapping[str, Any]) -> Resource:
    """The volume that a server's root disk becomes. Its type is the destination's default.

    :param properties: of the image from which the server was built.
    """
    size = max(1, int(server.facts["disk_gib"]))
    return Resource(
        ref=Ref("volume", server.ref.id),
        name=f"{server.name}-root",
        project_id=server.project_id,
        fields={
            "project_id": server.project_id,
            "name": f"{server.name}-root",
            "description": None,
            "size": size,
            "metadata": {},
            "bootable": True,
            "image_metadata": dict(properties),
            "multiattach": False,
            "readonly": False,
        },
        facts={
            ROOT_OF: server.ref.id,
            "status": "available",
            "size": size,
            "encrypted": False,
            "availability_zone": None,
            "group": None,
            "snapshots": [],
            "attachments": [],
        },
    )


def image_of_server(cloud: CloudAPI, server_id: str, name: str) -> str:
    """Have compute begin an image of a server's root disk; the image's id."""
    answer = cloud.post(
        Service.COMPUTE,
        f"/servers/{server_id}/action",
        {"createImage": {"name": name, "metadata": {}}},
        up_to="2.45",
    )
    # Before 2.45 the id is only in the Location.
    return str(answer.get("image_id") or str(answer["location"]).rstrip("/").rpartition("/")[2])


def is_busy(cloud: CloudAPI, server_id: str) -> bool:
    """Whether compute is doing something to a server: its image is whole some time before that is done."""
    try:
        body = cloud.get(Service.COMPUTE, f"/servers/{server_id}")["server"]
    except errors.NotFound:
        return False
    return body.get("OS-EXT-STS:task_state") is not None


def _applies(item: Item) -> bool:
    return item.action is Action.CREATE and travels_as(item.resource) == DiskMode.SNAPSHOT


class ExportDisk(ToImage):
    """Take a snapshot of the server's root disk."""

    doing = "takes a snapshot of its disk"
    turn = 2

    @classmethod
    def applies(cls, item: Item) -> bool:
        return _applies(item)

    def begin(self) -> str:
        return image_of_server(self.context.source, self.item.ref.id, self.carrier())

    def reading(self) -> bool:
        return is_busy(self.context.source, self.item.ref.id)


class TransferDisk(Transfer):
    """Bring the snapshot to the destination, with what the hypervisor must know to boot from it."""

    doing = "copies its disk"

    @classmethod
    def applies(cls, item: Item) -> bool:
        return _applies(item)

    def properties(self, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        """The image's own ones, such as the firmware; kernel and ramdisk by the destination's ids."""
        found = {name: value for name, value in sent.items() if is_custom(name) and value is not None}
        for name in _BOOT_FILES:
            if sent.get(name):
                found[name] = self._there(Ref("image", str(sent[name])))
        return {**found, "min_ram": sent.get("min_ram") or 0}

    def _there(self, image: Ref) -> str:
        known = self.context.lookup(image)
        if known is None:
            raise errors.ResourceError(
                f"it boots from the kernel or ramdisk {image.id}, which is not on the destination",
                resource=str(self.item.resource),
                cloud=self.context.destination.name,
                next_step="Migrate that image first, then retry.",
            )
        return known


class CleanUpDisk(CleanUp):
    """Remove the snapshot on both sides. The server keeps a disk of its own."""

    makers = (TransferDisk, ExportDisk)

    @classmethod
    def applies(cls, item: Item) -> bool:
        return _applies(item)
