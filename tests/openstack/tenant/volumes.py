"""Volumes of a tenant, with bytes in them."""

from __future__ import annotations

from typing import Any

from openstack.connection import Connection

from .images import image
from .site import WAIT, Ids, Site, ask, disk, make

FILLED = {"archive": "last year's orders", "orders": "this year's", "root": "a root disk"}
"""Volumes with bytes of their own; the first is not attached."""


def filled(site: Site, tenant: Connection, *names: str) -> Ids:
    """Volumes whose bytes come from images that are then removed; their ids."""
    carriers = [image(tenant, "carrier", disk(site.name, name)) for name in names]
    made = {
        name: _begun(
            tenant, name=name, description=FILLED[name], imageRef=carrier, metadata={"owner": "alice"}
        )
        for name, carrier in zip(names, carriers, strict=True)
    }
    for identity in made.values():
        _wait(tenant, identity)
    for carrier in carriers:
        ask(tenant, "DELETE", "image", f"/images/{carrier}")
    return made


def rest(tenant: Connection) -> None:
    """An empty one that is read-only, with facts of an image and a snapshot."""
    sealed = _begun(tenant, name="sealed", metadata={"why": "audit", "until": "2031"})
    _wait(tenant, sealed)
    for action, body in (
        ("os-set_image_metadata", {"metadata": {"hw_firmware_type": "bios", "os_distro": "none"}}),
        ("os-set_bootable", {"bootable": True}),
        ("os-update_readonly_flag", {"readonly": True}),
    ):
        ask(tenant, "POST", "block_storage", f"/volumes/{sealed}/action", {action: body})
    kept = make(tenant, "block_storage", "/snapshots", "snapshot", name="yesterday", volume_id=sealed)
    found = tenant.block_storage.get_snapshot(kept["id"])
    tenant.block_storage.wait_for_status(found, "available", failures=["error"], wait=WAIT)


def _begun(tenant: Connection, **fields: Any) -> str:
    return str(make(tenant, "block_storage", "/volumes", "volume", size=1, **fields)["id"])


def _wait(tenant: Connection, identity: str) -> None:
    storage = tenant.block_storage
    found = storage.get_volume(identity)
    storage.wait_for_status(found, "available", failures=["error"], interval=1, wait=WAIT)
