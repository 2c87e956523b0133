"""Tenants on real clouds, made and removed with plain requests through openstacksdk: what is moved.

``python -m tenant CLOUD NAME [--small | --remove]``, in ``tests/openstack``.
"""

from __future__ import annotations

from collections.abc import Iterable

from openstack.connection import Connection

from . import identity, images, networks, servers, volumes
from .removal import remove
from .site import Ids, Site

__all__ = [
    "Site",
    "fill",
    "fill_with_disks",
    "fill_with_everything",
    "fill_with_one",
    "fill_with_volumes",
    "remove",
]


def fill(site: Site) -> None:
    """A small tenant: two users, two networks, three servers, one of which boots from its volume."""
    project = identity.project(site, "alice", "bob")
    flavor = identity.flavor(site, project["id"])
    tenant = site.login("alice")
    key = servers.key_pair(tenant, "laptop", site.user("alice"))
    groups = networks.security_groups(tenant)
    subnets = networks.networks(tenant, site.external)
    held = volumes.filled(site, tenant, "archive", "root")
    image = images.booted(site, tenant)
    made = {}
    for number, server in enumerate(servers.SMALL):
        ports = networks.server_ports(tenant, subnets, groups, number)
        if number == 0:
            networks.floating_ip(tenant, site.external, port_id=ports[0], description="the front door")
        made[server] = servers.boot(
            tenant, server, flavor=flavor, image=image, key=key, ports=ports, volumes=held, group=None
        )
    servers.settle(tenant, made)


def fill_with_one(site: Site) -> None:
    """The smallest tenant: one server, and a network that the server does not need."""
    tenant, flavor = _begun(site)
    networks.network(tenant, "network", name="spare", description="nobody is there")
    _boot(site, tenant, flavor, servers.SMALL[:1], images.booted(site, tenant), {})


def fill_with_volumes(site: Site) -> None:
    """A server that boots from its volume, and a volume that nobody uses."""
    tenant, flavor = _begun(site)
    held = volumes.filled(site, tenant, "archive", "root")
    _boot(site, tenant, flavor, servers.SMALL[-1:], images.booted(site, tenant), held)


def fill_with_disks(site: Site) -> None:
    """A tenant whose guests write to their root disks, with volumes in use and one that is not."""
    tenant, flavor = _begun(site)
    held = volumes.filled(site, tenant, *volumes.FILLED)
    _boot(site, tenant, flavor, servers.DISKS, images.counting(site, tenant), held)


def _begun(site: Site) -> tuple[Connection, str]:
    """The tenant as its user sees it, and its flavor."""
    project = identity.project(site, "alice")
    return site.login("alice"), identity.flavor(site, project["id"])


def _boot(
    site: Site, tenant: Connection, flavor: str, wanted: Iterable[servers.Server], image: str, held: Ids
) -> None:
    """Servers on two networks of their own."""
    key = servers.key_pair(tenant, "laptop", site.user("alice"))
    groups = networks.security_groups(tenant)
    subnets = networks.networks(tenant, site.external)
    made = {}
    for number, server in enumerate(wanted):
        ports = networks.server_ports(tenant, subnets, groups, number)
        made[server] = servers.boot(
            tenant, server, flavor=flavor, image=image, key=key, ports=ports, volumes=held, group=None
        )
    servers.settle(tenant, made)


def fill_with_everything(site: Site) -> None:
    """A tenant with every resource type and every trap that the services allow."""
    project = identity.project(site, "alice", "bob")
    partner = identity.rest(site, project["id"])
    flavor = identity.flavor(site, project["id"])
    tenant = site.login("alice")
    key = servers.key_pair(tenant, "laptop", site.user("alice"))
    servers.key_pair(site.login("bob"), "laptop", site.user("bob"))
    groups = networks.security_groups(tenant)
    networks.more_security_groups(tenant)
    subnets = networks.networks(tenant, site.external)
    front6 = networks.more_networks(site, tenant, subnets, partner)
    vip = networks.more_ports(tenant, subnets)
    held = volumes.filled(site, tenant, *volumes.FILLED)
    volumes.rest(tenant)
    image = images.booted(site, tenant)
    images.rest(site, tenant, project["id"], partner)
    together = servers.server_group(tenant, "together", "soft-affinity")
    servers.server_group(tenant, "apart", "anti-affinity", rules={"max_server_per_host": 3})
    made = {}
    for number, server in enumerate(servers.ALL):
        ports = networks.server_ports(tenant, subnets, groups, number, front6)
        if number == 0:
            networks.floating_ip(
                tenant,
                site.external,
                port_id=ports[0],
                fixed_ip_address="10.50.0.20",
                description="the front door",
            )
        made[server] = servers.boot(
            tenant, server, flavor=flavor, image=image, key=key, ports=ports, volumes=held, group=together
        )
    networks.floating_ip(
        tenant, site.external, port_id=vip, fixed_ip_address=networks.VIP[1], description="moves"
    )
    networks.floating_ip(tenant, site.external, description="kept for later")
    servers.settle(tenant, made)
