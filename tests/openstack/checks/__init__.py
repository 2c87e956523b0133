"""Looks at a tenant that was moved between real clouds, never by pumphouse's own comparison.

Each check proves one thing, from listings of both clouds or as one of the tenant's users, and says what it
proved.
"""

from __future__ import annotations

from . import identity, images, networks, servers, volumes
from .moved import Check, Moved

__all__ = ["CHECKS", "Moved", "check"]

CHECKS: tuple[Check, ...] = (
    identity.project,
    identity.people,
    identity.passwords,
    images.flavors,
    images.images,
    networks.networks,
    networks.routers,
    networks.security_groups,
    networks.ports,
    networks.floating_ips,
    volumes.volumes,
    servers.servers,
    servers.key_pairs,
    servers.server_groups,
    servers.source_untouched,
)


def check(moved: Moved) -> list[str]:
    """All of them; what each proved. Raises AssertionError at the first that is not so."""
    return [one(moved) for one in CHECKS]
