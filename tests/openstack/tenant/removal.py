"""Takes a tenant and all that it has away, in the order that the services want."""

from __future__ import annotations

import contextlib
from typing import Any

import openstack
from openstack.connection import Connection

from .site import WAIT, Site, ask


def remove(site: Site) -> None:
    """Whatever of the tenant is there. Only what bears its name or belongs to its projects goes."""
    admin, identity = site.admin, site.admin.identity
    projects = [identity.find_project(name, domain_id="default") for name in (site.partner, site.name)]
    for project in filter(None, projects):
        _servers(admin, project.id)
        _networks(admin.network, project.id)
        _images(admin, project.id)
        _volumes(admin, project.id)
    for project in filter(None, projects):
        identity.delete_project(project)
        _default_group(admin.network, project.id)
    for user in identity.users(domain_id="default"):
        if user.name.startswith(f"{site.name}-"):
            identity.delete_user(user)
    for group in identity.groups(domain_id="default"):
        if group.name.startswith(f"{site.name}-"):
            identity.delete_group(group)
    for role in identity.roles():
        if role.name.startswith(f"{site.name}-"):
            identity.delete_role(role)
    for flavor in admin.compute.flavors(is_public=None):
        if flavor.name.startswith(f"{site.name}."):
            admin.compute.delete_flavor(flavor)


def _servers(admin: Connection, project_id: str) -> None:
    servers = [one for one in admin.compute.servers(all_projects=True) if one.project_id == project_id]
    for server in servers:
        admin.compute.delete_server(server)
    for server in servers:
        admin.compute.wait_for_delete(server, wait=WAIT)
    for group in admin.compute.server_groups(all_projects=True):
        if group.project_id == project_id:
            admin.compute.delete_server_group(group)


def _volumes(admin: Connection, project_id: str) -> None:
    storage = admin.block_storage
    for kind, delete in (("snapshots", storage.delete_snapshot), ("volumes", storage.delete_volume)):
        owned = list(getattr(storage, kind)(all_projects=True, project_id=project_id))
        for one in owned:
            delete(one)
        for one in owned:
            storage.wait_for_delete(one, wait=WAIT)


def _images(admin: Connection, project_id: str) -> None:
    """Those that others are made of go last."""
    found = {one.id: one for h in (False, True) for one in admin.image.images(owner=project_id, is_hidden=h)}
    for image in sorted(found.values(), key=lambda one: one.container_format in {"aki", "ari"}):
        if image.is_protected:
            change = [{"op": "replace", "path": "/protected", "value": False}]
            patch = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
            ask(admin, "PATCH", "image", f"/images/{image.id}", change, headers=patch)
        admin.image.delete_image(image)


def _networks(network: Any, project_id: str) -> None:
    for address in network.ips(project_id=project_id):
        network.delete_ip(address)
    for router in network.routers(project_id=project_id):
        network.update_router(router, routes=[], external_gateway_info={})
        for port in network.ports(device_id=router.id):
            network.remove_interface_from_router(router, port=port.id)
        network.delete_router(router)
    for port in network.ports(project_id=project_id):
        network.delete_port(port)
    for one in network.networks(project_id=project_id):
        network.delete_network(one)
    for pool in network.subnet_pools(project_id=project_id):
        network.delete_subnet_pool(pool)
    for scope in network.address_scopes(project_id=project_id):
        network.delete_address_scope(scope)
    for policy in network.qos_policies(project_id=project_id):
        network.delete_qos_policy(policy)
    groups = [one for one in network.security_groups(project_id=project_id) if one.name != "default"]
    for group in groups:  # those that others name cannot go before those others' rules
        for rule in network.security_group_rules(security_group_id=group.id):
            network.delete_security_group_rule(rule)
    for group in groups:
        network.delete_security_group(group)


def _default_group(network: Any, project_id: str) -> None:
    """It goes last: each look at the project's groups makes it anew."""
    with contextlib.suppress(openstack.exceptions.NotFoundException):
        for group in network.security_groups(project_id=project_id):
            network.delete_security_group(group)
