"""Flavors, keys, images, volumes and servers."""

from __future__ import annotations

from typing import Any

from inventories import nets
from inventories.world import World
from pumphouse.model import Resource


def build(world: World) -> None:
    """All of the compute, image and volume services."""
    for _ in world.some(1, 3):
        _flavor(world)
    for user in world.ids("user"):
        for _ in world.some(0, 1):
            name = world.name("keypair", user)
            world.add("keypair", name, identity=f"{user}/{name}", user_id=user, public_key="ssh-ed25519 AAAA")
    for project in world.projects():
        for _ in world.some(0, 2):
            _image(world, project)
        for _ in world.some(0, 1):
            facts: dict[str, Any] = {"members": []}
            name = world.unlike("server_group", project)
            world.add("server_group", name, project=project, facts=facts, policy="affinity", rules={})
        for _ in world.some(0, 2):
            _volume(world, project)
        for _ in world.some(0, 2):
            _server(world, project)
    for image in world.of("image"):
        # Properties that anybody may set to the id of any image, also of one that is gone, or its own.
        for name in ("kernel_id", "base_image_ref"):
            image.fields[name] = world.oddly(image.fields[name], *world.ids("image"), "gone")


def _flavor(world: World) -> None:
    private = world.one((False, True))
    world.add(
        "flavor", world.name("flavor"), ram=512, vcpus=1, disk=1, is_public=not private,
        access=sorted(world.several(world.projects())) if private else [],
    )  # fmt: skip


def _image(world: World, project: str) -> None:
    """An image, perhaps with a kernel of its own, a base, or members."""
    shared = world.one((False, True))
    members = [{"member": one, "status": "accepted"} for one in sorted(world.several(world.projects()))]
    number = len(world.of("image"))
    status = world.oddly("active", "queued", "deactivated")
    world.add(
        "image", world.name(), project=project,
        facts={
            "status": status, "size": 100, "virtual_size": None, "instance_uuid": None,
            "block_device_mapping": False, "encrypted": world.oddly(False, True), "signed": False,
        },
        owner=project, content=None if status == "queued" else f"sha512:{number:0128x}:100", size=100,
        visibility="shared" if shared else world.one(("private", "public")),
        disk_format="raw", container_format="bare", members=members if shared else [],
        kernel_id=world.maybe(world.ids("image")), base_image_ref=world.maybe(world.ids("image")),
        properties={world.name(): world.name()},
    )  # fmt: skip


def _volume(world: World, project: str) -> None:
    image = world.maybe(world.ids("image"))
    world.add(
        "volume", world.unlike("volume", project), project=project,
        facts={
            "status": world.oddly("available", "error"), "size": 1, "encrypted": False,
            "availability_zone": "nova", "group": None, "snapshots": [], "attachments": [],
        },
        size=1, volume_type="fast", availability_zone="nova", metadata={world.name(): world.name()},
        image_metadata={"image_id": image} if image else {}, multiattach=world.oddly(False, True),
    )  # fmt: skip


def _server(world: World, project: str) -> None:
    """A server with ports of its own, and volumes that others may have, too, where they are multiattach."""
    seen = [one for one in world.of("network") if one.project_id == project or one.fields["shared"]]
    network = world.maybe(seen)
    server = world.new_id("server")
    owner = "compute:nova"
    ports = [
        nets.port(world, network, owner=owner, device=server, project=project)
        for _ in (world.some(1, 2) if network else ())
    ]
    image = world.oddly(world.maybe(world.ids("image")), "gone")
    volumes = _attached(world, project, server, boot=image is None)
    key = world.maybe(world.of("keypair"))
    flavor = world.one(world.ids("flavor"))
    groups = [one.ref.id for one in world.of("server_group") if one.project_id == project]
    if image is None and not volumes and world.orderly:
        return  # nothing to boot from
    world.add(
        "server", world.unlike("server", project), project=project, identity=server,
        facts={
            "status": world.oddly(world.one(("ACTIVE", "SHUTOFF", "PAUSED")), "ERROR"), "task_state": None,
            "host": world.one(("host-1", "host-2")), "user_id": world.maybe(world.ids("user")) or "someone",
            "keypair": key.ref.id if key else None, "boot_image": image, "flavor": {"ram": 512},
            "availability_zone": "nova", "addresses": [], "nic_order_is_clear": True, "certificates": False,
        },
        flavor=world.oddly(flavor, flavor, "deleted"), image=image, ports=ports, volumes=volumes,
        server_group=world.maybe(groups), key_name=key.name if key else None,
        metadata={world.name(): world.name()}, user_data=world.maybe(["sha256:00"]),
    )  # fmt: skip


def _attached(world: World, project: str, server: str, *, boot: bool) -> list[dict[str, Any]]:
    """Volumes of the project; none that is attached elsewhere, unless it may be attached twice."""
    free = [one for one in world.of("volume") if one.project_id == project and _free(one)]
    chosen = world.several(free, most=2)
    for one in chosen:
        one.facts["attachments"].append({"server": server, "device": "/dev/vda"})
    return [
        {"volume": one.ref.id, "boot": boot and not number, "tag": None, "delete_on_termination": False}
        for number, one in enumerate(chosen)
    ]


def _free(volume: Resource) -> bool:
    return volume.fields["multiattach"] or not volume.facts["attachments"]
