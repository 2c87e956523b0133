"""Images of a tenant: every visibility, every state, and parts that name each other."""

from __future__ import annotations

import hashlib
from typing import Any

from openstack.connection import Connection

from .site import Site, ask, disk, payload

BOOTED = "web-image"
"""What the tenant's servers boot from."""


def image(cloud: Connection, name: str, data: bytes, **fields: Any) -> str:
    """An image with data; the id."""
    body = {"name": name, "disk_format": "raw", "container_format": "bare", **fields}
    made = str(ask(cloud, "POST", "image", "/images", body)["id"])
    headers = {"Content-Type": "application/octet-stream"}
    ask(cloud, "PUT", "image", f"/images/{made}/file", data=data, headers=headers)
    return made


def booted(site: Site, tenant: Connection) -> str:
    """The image that the servers boot from; the id."""
    return image(
        tenant,
        BOOTED,
        disk(site.name, "image"),
        os_distro="none",
        hw_disk_bus="virtio",
        min_disk=1,
        min_ram=32,
        tags=["golden"],
    )


def counting(site: Site, tenant: Connection) -> str:
    """One whose guests count on their disks how often they were booted; the id."""
    return image(tenant, BOOTED, disk(site.name, "image", boots=0), hw_disk_bus="virtio", min_disk=1)


def rest(site: Site, tenant: Connection, project_id: str, partner_id: str) -> None:
    """All other kinds."""
    image(tenant, "same-bytes", disk(site.name, "image"))
    shared = image(tenant, "shared-image", _data(site, "shared"), visibility="shared")
    ask(tenant, "POST", "image", f"/images/{shared}/members", {"member": partner_id})
    partner = site.login("alice", site.partner)
    ask(partner, "PUT", "image", f"/images/{shared}/members/{partner_id}", {"status": "accepted"})
    image(site.admin, f"{site.name}-public", _data(site, "public"), visibility="public", owner=project_id)
    image(tenant, "community-image", _data(site, "community"), visibility="community")
    image(tenant, "protected-image", _data(site, "protected"), protected=True)
    image(tenant, "hidden-image", _data(site, "hidden"), os_hidden=True)
    off = image(tenant, "deactivated-image", _data(site, "off"))
    ask(site.admin, "POST", "image", f"/images/{off}/actions/deactivate")
    parts = {
        f"{part}_id": image(tenant, part, _data(site, part), disk_format=kind, container_format=kind)
        for part, kind in (("kernel", "aki"), ("ramdisk", "ari"))
    }
    image(tenant, "ami", _data(site, "ami"), disk_format="ami", container_format="ami", **parts)


def refused(site: Site, tenant: Connection) -> str:
    """A disk that looks as if it had a partition table, and has none that is valid; the id."""
    return image(tenant, "broken-table", _data(site, "broken")[:510] + b"\x55\xaa" + _data(site, "rest"))


def sha512(site: Site) -> str:
    """The digest of what servers boot from."""
    return hashlib.sha512(disk(site.name, "image")).hexdigest()


def _data(site: Site, what: str) -> bytes:
    return payload(f"{site.name} {what}", 64 << 10)
