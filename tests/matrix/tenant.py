"""A small tenant that has every type of resource, and so makes a migration send every kind of request.

Its domain, users, roles and addresses are made over the embedded cloud's API, as anybody would.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pumphouse.devcloud import DevCloud
from pumphouse.devcloud.client import Client
from pumphouse.devcloud.fill import add_image, add_network

PASSWORD = "ann's own password"
DATA = {"data": b"tables" * 4096, "dump": b"last night" * 4096, "archive": b"long ago" * 4096}
CHANGES_HANDS = "archive"
"""The volume that is not copied: both clouds are on one storage."""
DESCRIBED_ANEW = "dump"
"""The volume that gets another description once it has moved, and no other data."""
FETCHED = "tools"
"""The image that the source keeps where everybody may read it: the destination fetches it by itself."""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFVXm1V4ltDOF2TEf+1kT5s19YutYgZ0ryPzVtgO0MUD ann@shop.example"
_SERVERS = ("web", "batch", "spare", "kept")
"""With everything; suspended for its move, and locked; found stopped; with data on its root disk."""
WRITTEN = b"since it was built" * 4096
"""What is on the root disk of the last. Those of the others are disposable."""


def fill_source(cloud: DevCloud) -> None:
    """The tenant ``corp/shop`` and what it uses of the cloud."""
    with _admin(cloud) as admin:
        external = _external(admin, "203.0.113")
        _type(admin, "ssd")
        project = _identity(admin)
        flavor = _flavor(admin, project)
        admin.put("compute", f"/os-quota-sets/{project}", {"quota_set": {"cores": 9}})
        admin.put("network", f"/quotas/{project}", {"quota": {"port": 40}})
        admin.put("volume", f"/os-quota-sets/{project}", {"quota_set": {"volumes": 7}})
    with Client(cloud.url, username="ann", password=PASSWORD, project="shop", domain="corp") as ann:
        ports = _network(ann, external)
        image = {"name": "app", "visibility": "private", "content": {"seed": "app", "kib": 64}}
        made = add_image(ann, image | {"tags": ["v7"]})
        _servers(cloud, ann, ports, {"flavorRef": flavor, "imageRef": made})
        add_image(ann, {"name": FETCHED, "visibility": "private", "content": {"seed": FETCHED, "kib": 32}})
    cloud.image_urls = True
    with cloud.transaction():
        for row in cloud.table("images").find(name=FETCHED):
            row["direct_url"] = f"{cloud.url}/_devcloud/images/{row['id']}/data"


def change_source(cloud: DevCloud) -> None:
    """One change of each type that can be changed, and one thing more; what was there stays."""
    with _admin(cloud) as admin:

        def rows(service: str, path: str) -> dict[str, str]:
            """Ids by name."""
            found = next(
                iter(value for value in admin.get(service, path).values() if isinstance(value, list))
            )
            return {row["name"]: row["id"] for row in found}

        def patch(service: str, path: str, body: Any, **headers: str) -> None:
            admin.request(service, "PATCH", path, body, headers=headers)

        project = rows("identity", "/projects")["shop"]
        patch("identity", f"/projects/{project}", {"project": {"description": "moved once"}})
        user = rows("identity", "/users")["ann"]
        patch("identity", f"/users/{user}", {"user": {"description": "moved once"}})
        admin.put("compute", f"/os-quota-sets/{project}", {"quota_set": {"cores": 11}})
        for path, kind, name in (
            ("networks", "network", "net"),
            ("subnets", "subnet", "net-v4"),
            ("subnetpools", "subnetpool", "pool"),
            ("security-groups", "security_group", "web"),
            ("ports", "port", "web"),
            ("routers", "router", "edge"),
        ):
            found = rows("network", f"/{path}?project_id={project}")[name]
            admin.put("network", f"/{path}/{found}", {kind: {"description": "moved once"}})
        image = rows("image", "/images")["app"]
        add = [{"op": "add", "path": "/release", "value": "8"}]
        media = "application/openstack-images-v2.1-json-patch"
        patch("image", f"/images/{image}", add, **{"Content-Type": media})
        volume = rows("volume", "/volumes?all_tenants=1")[DESCRIBED_ANEW]
        admin.put("volume", f"/volumes/{volume}", {"volume": {"description": "moved once"}})
        server = rows("compute", "/servers?all_tenants=1")["batch"]
        admin.post("compute", f"/servers/{server}/metadata", {"metadata": {"run": "8"}})
        add_network(admin, {"name": "more", "project_id": project, "subnets": [{"cidr": "10.7.0.0/24"}]})


def changed_at(cloud: DevCloud, name: str) -> str:
    """When a volume was changed last, as the cloud tells."""
    with _admin(cloud) as admin:
        (found,) = admin.get("volume", f"/volumes/detail?all_tenants=1&name={name}")["volumes"]
    return str(found["updated_at"])


def fill_destination(cloud: DevCloud) -> None:
    """What the tenant finds: a way out, a volume type, and somebody else."""
    with _admin(cloud) as admin:
        _external(admin, "198.51.100")
        _type(admin, "nvme")
        made = admin.post("identity", "/projects", {"project": {"name": "other"}})["project"]["id"]
        add_network(admin, {"name": "office", "project_id": made, "subnets": [{"cidr": "10.99.0.0/24"}]})
        content = {"seed": "base", "kib": 16}
        add_image(admin, {"name": "base", "visibility": "public", "content": content})


def _admin(cloud: DevCloud) -> Client:
    return Client(cloud.url, username="admin", password=cloud.admin_password, project="admin")


def _external(admin: Client, prefix: str) -> str:
    pools = [{"start": f"{prefix}.10", "end": f"{prefix}.99"}]
    subnet = {"name": "out-v4", "cidr": f"{prefix}.0/24", "enable_dhcp": False, "allocation_pools": pools}
    network = {"name": "out", "router:external": True, "subnets": [subnet]}
    return str(add_network(admin, network)["id"])


def _type(admin: Client, backend: str) -> None:
    specs = {"volume_backend_name": backend}
    admin.post("volume", "/types", {"volume_type": {"name": "fast", "extra_specs": specs}})


def _identity(admin: Client) -> str:
    """A domain with a project, a group of one user, and a role of its own; the project's id."""

    def make(path: str, kind: str, **fields: Any) -> str:
        return str(admin.post("identity", path, {kind: fields})[kind]["id"])

    roles = {role["name"]: role["id"] for role in admin.get("identity", "/roles")["roles"]}
    domain = make("/domains", "domain", name="corp", tags=["eu"])
    project = make("/projects", "project", name="shop", domain_id=domain, tags=["web"])
    ann = make("/users", "user", name="ann", domain_id=domain, password=PASSWORD, default_project_id=project)
    staff = make("/groups", "group", name="staff", domain_id=domain)
    auditor = make("/roles", "role", name="auditor")
    admin.put("identity", f"/roles/{auditor}/implies/{roles['reader']}")
    admin.put("identity", f"/groups/{staff}/users/{ann}")
    admin.put("identity", f"/projects/{project}/users/{ann}/roles/{roles['member']}")
    admin.put("identity", f"/projects/{project}/groups/{staff}/roles/{auditor}")
    return project


def _flavor(admin: Client, project: str) -> str:
    """A private one with an extra spec; its id."""
    body = {"name": "own", "ram": 256, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}
    flavor = str(admin.post("compute", "/flavors", {"flavor": body})["flavor"]["id"])
    admin.post("compute", f"/flavors/{flavor}/os-extra_specs", {"extra_specs": {"hw:cpu_policy": "shared"}})
    admin.post("compute", f"/flavors/{flavor}/action", {"addTenantAccess": {"tenant": project}})
    return flavor


def _network(ann: Client, external: str) -> Mapping[str, str]:
    """A routed network out of a pool, a security group, a floating IP; a port for each server, by name."""

    def make(kind: str, **fields: Any) -> str:
        path = f"/{kind.replace('_', '-')}s"
        return str(ann.post("network", path, {kind: fields})[kind]["id"])

    scope = make("address_scope", name="inside", ip_version=4)
    pool = make("subnetpool", name="pool", prefixes=["10.8.0.0/16"], address_scope_id=scope)
    net = make("network", name="net")
    ann.put("network", f"/networks/{net}/tags", {"tags": ["tier"]})
    place = {"network_id": net, "subnetpool_id": pool, "cidr": "10.8.1.0/24", "ip_version": 4}
    subnet = make("subnet", name="net-v4", **place)
    router = make("router", name="edge", external_gateway_info={"network_id": external})
    ann.put("network", f"/routers/{router}/add_router_interface", {"subnet_id": subnet})
    routes = [{"destination": "192.0.2.0/24", "nexthop": "10.8.1.77"}]
    ann.put("network", f"/routers/{router}", {"router": {"routes": routes}})
    group = make("security_group", name="web")
    rule = {"direction": "ingress", "protocol": "tcp", "port_range_min": 443, "port_range_max": 443}
    make("security_group_rule", security_group_id=group, **rule)
    ports = {
        name: make("port", name=name, network_id=net, security_groups=[group], tags=[]) for name in _SERVERS
    }
    make("floatingip", floating_network_id=external, port_id=ports["web"])
    return ports


def _servers(cloud: DevCloud, ann: Client, ports: Mapping[str, str], common: Mapping[str, str]) -> None:
    ann.post("compute", "/os-keypairs", {"keypair": {"name": "laptop", "public_key": KEY}})
    body = {"name": "apart", "policy": "soft-anti-affinity"}
    group = ann.post("compute", "/os-server-groups", {"server_group": body})["server_group"]["id"]
    volumes = {name: _volume(cloud, ann, name) for name in DATA}
    ann.post("volume", f"/volumes/{volumes['dump']}/action", {"os-update_readonly_flag": {"readonly": True}})
    disposable = {"pumphouse_disk": "disposable"}
    extra = {"key_name": "laptop", "metadata": {"tier": "web", **disposable}, "tags": ["web"]}
    extra["user_data"] = base64.b64encode(b"#cloud-config\n").decode()
    servers = {}
    for name, port in ports.items():
        body = {"name": name, "networks": [{"port": port}], **common}
        if name != "kept":
            body |= {"metadata": disposable} | (extra if name == "web" else {})
        request = {"server": body} | ({"os:scheduler_hints": {"group": group}} if name == "web" else {})
        servers[name] = f"/servers/{ann.post('compute', '/servers', request)['server']['id']}"
    for path in servers.values():
        ann.wait("compute", path, lambda seen: seen["server"]["status"] == "ACTIVE")
    with cloud.files.path("disks", servers["kept"].rpartition("/")[2]).open("r+b") as file:
        file.write(WRITTEN)
    attachment = {"volumeAttachment": {"volumeId": volumes["data"]}}
    ann.post("compute", f"{servers['web']}/os-volume_attachments", attachment)
    ann.wait("volume", f"/volumes/{volumes['data']}", lambda seen: seen["volume"]["status"] == "in-use")
    ann.post("compute", f"{servers['batch']}/action", {"lock": {"locked_reason": "nightly"}})
    ann.post("compute", f"{servers['spare']}/action", {"os-stop": None})
    ann.wait("compute", servers["spare"], lambda seen: seen["server"]["status"] == "SHUTOFF")


def _volume(cloud: DevCloud, ann: Client, name: str) -> str:
    """A volume with bytes in it, which no API takes; its id."""
    body = {"name": name, "size": 1, "volume_type": "fast", "metadata": {"purpose": name}}
    made = str(ann.post("volume", "/volumes", {"volume": body})["volume"]["id"])
    ann.wait("volume", f"/volumes/{made}", lambda seen: seen["volume"]["status"] == "available")
    with cloud.files.path("volumes", made).open("r+b") as file:
        file.write(DATA[name])
    return made
