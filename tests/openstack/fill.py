"""Fills a tenant on a real cloud, with openstacksdk alone: what the acceptance run moves.

``python tests/openstack/fill.py CLOUD NAME``; ``--remove`` takes the tenant away again.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import io
import sys
from typing import Any

import openstack
from openstack.connection import Connection

PASSWORDS = {"alice": "old Passw0rd of alice", "bob": "old Passw0rd of bob"}
USER_DATA = base64.b64encode(b"#!/bin/sh\necho hello\n").decode()
PAYLOAD = 8 << 20
WAIT = 600
LABELS = ("front", "back")


def boot_sector() -> bytes:
    """A disk that boots and idles, with one valid partition: newer image services refuse a broken table."""
    code = bytes([0xFB, 0xF4, 0xEB, 0xFD])  # sti; hlt; jmp back
    partition = (
        bytes([0x80, 0, 2, 0, 0x83, 0, 2, 0]) + (1).to_bytes(4, "little") + (2047).to_bytes(4, "little")
    )
    return (code.ljust(446, b"\0") + partition).ljust(510, b"\0") + b"\x55\xaa"


def payload(seed: str, size: int) -> bytes:
    """Bytes that compress badly, the same for a seed."""
    return hashlib.shake_256(seed.encode()).digest(size)


def disk(name: str, what: str) -> bytes:
    """The bytes of an image or volume of the tenant."""
    return boot_sector() + payload(f"{name} {what}", PAYLOAD)


def public_key(seed: str) -> str:
    """An SSH public key of the ed25519 kind whose private half nobody has."""
    parts = (b"ssh-ed25519", payload(seed, 32))
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {seed}"


def login(admin: Connection, name: str, user: str) -> Connection:
    """The cloud as one of the tenant's users sees it, by the password that the user had on the source."""
    return openstack.connect(
        auth_url=admin.config.auth["auth_url"],
        username=f"{name}-{user}",
        password=PASSWORDS[user],
        project_name=name,
        user_domain_name="Default",
        project_domain_name="Default",
        region_name=admin.config.region_name,
    )


def fill(admin: Connection, name: str) -> None:
    """Make the tenant: identity, meta-resources, volumes with bytes in them, four servers."""
    flavor = _administration(admin, name)
    tenant = login(admin, name, "alice")
    public = admin.network.find_network("public").id
    key = tenant.compute.create_keypair(name="laptop", type="ssh", public_key=public_key(name))
    groups = _security_groups(tenant.network)
    subnets = _networks(tenant.network, public)
    image = _image(tenant, name)
    server_group = tenant.compute.create_server_group(name="together", policy="soft-affinity")
    for volume, what in (
        ("archive", "last year's orders"),
        ("orders", "this year's"),
        ("root", "a root disk"),
    ):
        _volume(tenant, name, volume, what)
    common = {"flavor_id": flavor, "key_name": key.name}
    web = common | {"image_id": image, "user_data": USER_DATA}
    placed = {"scheduler_hints": {"group": server_group.id}}
    chosen: dict[str, dict[str, Any]] = {
        "web-0": {**web, **placed},
        "web-1": {**web, **placed, "block_device_mapping": [_root(image), _data(tenant, "orders")]},
        "web-2": web,
        "legacy": {**common, "block_device_mapping": [_boot(tenant, "root")]},
    }
    for number, (server, options) in enumerate(chosen.items()):
        ports = _ports(tenant.network, subnets, groups, number)
        made = _boot_server(tenant, server, number, ports, options)
        if number == 0:
            tenant.network.create_ip(
                floating_network_id=public, port_id=ports[0], description="the front door"
            )
        if number == 2:
            tenant.compute.stop_server(made)
            tenant.compute.wait_for_server(made, status="SHUTOFF", wait=WAIT)


def _administration(admin: Connection, name: str) -> str:
    """Project, users, quotas and a private flavor; its id."""
    identity = admin.identity
    project = identity.create_project(
        name=name, domain_id="default", description="a small web application", tags=["web", "small"]
    )
    member = identity.find_role("member")
    for user, password in PASSWORDS.items():
        made = identity.create_user(
            name=f"{name}-{user}", password=password, domain_id="default", email=f"{user}@example.org"
        )
        identity.assign_project_role_to_user(project, made, member)
    flavor = admin.compute.create_flavor(name=f"{name}.tiny", vcpus=1, ram=64, disk=1, is_public=False)
    admin.compute.flavor_add_tenant_access(flavor, project.id)
    admin.compute.create_flavor_extra_specs(flavor, {"quota:cpu_shares": "512"})
    admin.compute.update_quota_set(project.id, instances=7, cores=9)
    admin.network.update_quota(project.id, networks=12, ports=60)
    admin.block_storage.update_quota_set(project.id, volumes=6, gigabytes=50)
    return str(flavor.id)


def _security_groups(network: Any) -> dict[str, str]:
    web = network.create_security_group(name="web", description="open to the world")
    database = network.create_security_group(name="database", description="open to web")
    for group, remote in (
        (web, {"remote_ip_prefix": "0.0.0.0/0"}),
        (database, {"remote_group_id": web.id}),
        (web, {"remote_group_id": database.id}),
    ):
        network.create_security_group_rule(
            security_group_id=group.id,
            direction="ingress",
            protocol="tcp",
            port_range_min=443,
            port_range_max=443,
            **remote,
        )
    return {"front": web.id, "back": database.id}


def _networks(network: Any, public: str) -> dict[str, Any]:
    router = network.create_router(name="edge", external_gateway_info={"network_id": public})
    subnets = {}
    for position, label in enumerate(LABELS):
        made = network.create_network(name=label, description=f"the {label} network")
        subnets[label] = network.create_subnet(
            name=label,
            network_id=made.id,
            ip_version=4,
            cidr=f"10.{50 + position}.0.0/24",
            dns_nameservers=["9.9.9.9", "1.1.1.1"],
            host_routes=[{"destination": "192.0.2.0/24", "nexthop": f"10.{50 + position}.0.254"}],
        )
        network.add_interface_to_router(router, subnet=subnets[label].id)
    return subnets


def _image(tenant: Connection, name: str) -> str:
    image = tenant.image.create_image(
        name="web-image",
        data=io.BytesIO(disk(name, "image")),
        disk_format="raw",
        container_format="bare",
        os_distro="none",
        hw_disk_bus="virtio",
        tags=["golden"],
    )
    return str(image.id)


def _volume(tenant: Connection, name: str, volume: str, description: str) -> None:
    """A volume with bytes in it: they come from an image that is then removed."""
    carrier = tenant.image.create_image(
        name="carrier", data=io.BytesIO(disk(name, volume)), disk_format="raw", container_format="bare"
    )
    made = tenant.block_storage.create_volume(
        name=volume, description=description, size=1, image_id=carrier.id, metadata={"owner": "alice"}
    )
    tenant.block_storage.wait_for_status(made, "available", failures=["error"], wait=WAIT)
    tenant.image.delete_image(carrier.id)


def _root(image: str) -> dict[str, Any]:
    return {
        "boot_index": 0,
        "uuid": image,
        "source_type": "image",
        "destination_type": "local",
        "delete_on_termination": True,
    }


def _data(tenant: Connection, volume: str) -> dict[str, Any]:
    return {
        "boot_index": -1,
        "uuid": tenant.block_storage.find_volume(volume).id,
        "source_type": "volume",
        "destination_type": "volume",
        "delete_on_termination": False,
        "tag": "orders",
    }


def _boot(tenant: Connection, volume: str) -> dict[str, Any]:
    return {
        "boot_index": 0,
        "uuid": tenant.block_storage.find_volume(volume).id,
        "source_type": "volume",
        "destination_type": "volume",
        "delete_on_termination": True,
    }


def _ports(network: Any, subnets: dict[str, Any], groups: dict[str, str], number: int) -> list[str]:
    """A port on each network, with an address of its own."""
    return [
        network.create_port(
            name=f"{label}-{number}",
            network_id=subnets[label].network_id,
            fixed_ips=[{"subnet_id": subnets[label].id, "ip_address": f"10.{50 + position}.0.{20 + number}"}],
            security_group_ids=[groups[label]],
        ).id
        for position, label in enumerate(LABELS)
    ]


def _boot_server(
    tenant: Connection, name: str, number: int, ports: list[str], options: dict[str, Any]
) -> Any:
    server = tenant.compute.create_server(
        name=name,
        networks=[{"port": port} for port in ports],
        metadata={"tier": "web", "number": str(number)},
        tags=["fleet", name],
        **options,
    )
    return tenant.compute.wait_for_server(server, wait=WAIT)


def remove(admin: Connection, name: str) -> None:
    """Take the tenant and all that it has away, in the order that the services want."""
    project = admin.identity.find_project(name, domain_id="default")
    if project is not None:
        _remove_servers(admin, project.id)
        _remove_networks(admin.network, project.id)
        for image in admin.image.images(owner=project.id):
            admin.image.delete_image(image)
        for volume in admin.block_storage.volumes(all_projects=True, project_id=project.id):
            admin.block_storage.delete_volume(volume)
            admin.block_storage.wait_for_delete(volume, wait=WAIT)
        admin.identity.delete_project(project)
        _remove_default_group(admin.network, project.id)
    for user in admin.identity.users():
        if user.name.startswith(f"{name}-"):
            admin.identity.delete_user(user)
    for flavor in admin.compute.flavors(is_public=None):
        if flavor.name == f"{name}.tiny":
            admin.compute.delete_flavor(flavor)


def _remove_servers(admin: Connection, project_id: str) -> None:
    servers = [one for one in admin.compute.servers(all_projects=True) if one.project_id == project_id]
    for server in servers:
        admin.compute.delete_server(server)
    for server in servers:
        admin.compute.wait_for_delete(server, wait=WAIT)
    for group in admin.compute.server_groups(all_projects=True):
        if group.project_id == project_id:
            admin.compute.delete_server_group(group)


def _remove_networks(network: Any, project_id: str) -> None:
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
    groups = [one for one in network.security_groups(project_id=project_id) if one.name != "default"]
    for group in groups:  # those that others name cannot go before those others' rules
        for rule in network.security_group_rules(security_group_id=group.id):
            network.delete_security_group_rule(rule)
    for group in groups:
        network.delete_security_group(group)


def _remove_default_group(network: Any, project_id: str) -> None:
    """It goes last: each look at the project's groups makes it anew."""
    with contextlib.suppress(openstack.exceptions.NotFoundException):
        for group in network.security_groups(project_id=project_id):
            network.delete_security_group(group)


def main() -> int:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cloud")
    parser.add_argument("name")
    parser.add_argument("--remove", action="store_true")
    arguments = parser.parse_args()
    admin = openstack.connect(cloud=arguments.cloud)
    (remove if arguments.remove else fill)(admin, arguments.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
