"""Tenants on real clouds, made and removed with plain requests through openstacksdk: what is moved.

``python -m tenant CLOUD NAME [--small | --remove]``, in ``tests/openstack``.
"""

from __future__ import annotations

from . import identity, images, networks, servers, volumes
from .removal import remove
from .site import Site

__all__ = ["Site", "fill", "fill_with_everything", "remove"]


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
