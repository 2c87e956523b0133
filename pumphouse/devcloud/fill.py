"""Fill a cloud from a description in YAML, by plain HTTP as its users would: all rules apply.

A description has, all optional: `volume_types`, `flavors`, `networks` and `images` of the admin, `tenants`,
and `generate` (see generate.py). Whatever one thing says of another is by name. Fields are those of the
APIs, so that a description reads like a request; see etc/pumphouse/devcloud/ for examples. Only the bytes of
a volume (`content`) are written directly, because no API takes them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pumphouse.devcloud.client import Client
from pumphouse.devcloud.cloud import DevCloud
from pumphouse.devcloud.description import Description, check, read
from pumphouse.devcloud.fill_tenant import TenantFiller
from pumphouse.devcloud.generate import generate


def fill(cloud: DevCloud, description: Path | Description) -> None:
    """Make all that a description (a file, or what one holds) names; the cloud must be running.

    Raises BadDescription for what is wrong with it as such, and ApiError when the cloud refuses a part.
    """
    loaded = check(description) if isinstance(description, Mapping) else read(description)
    admin = Client(cloud.url, username="admin", password=cloud.admin_password, project="admin")
    with admin:
        _shared(admin, loaded)
        for name, tenant in (loaded.get("tenants") or {}).items():
            _tenant(cloud, admin, name, tenant, loaded.get("flavors") or [])
    if "generate" in loaded:
        with cloud.transaction():
            generate(cloud, loaded["generate"])


def contents(content: Mapping[str, Any]) -> bytes:
    """Bytes that a description means by `{seed: ..., kib: ...}`: always the same ones."""
    return random.Random(content["seed"]).randbytes(int(content["kib"]) << 10)  # noqa: S311 - data, not secrets


def _shared(admin: Client, loaded: Description) -> None:
    """What belongs to the cloud."""
    for kind in loaded.get("volume_types") or []:
        admin.post("volume", "/types", {"volume_type": kind})
    for flavor in loaded.get("flavors") or []:
        _flavor(admin, flavor)
    for network in loaded.get("networks") or []:
        add_network(admin, network)
    for image in loaded.get("images") or []:
        add_image(admin, image)


def _flavor(admin: Client, flavor: Description) -> None:
    body = {key: value for key, value in flavor.items() if key not in ("extra_specs", "access", "public")}
    body["os-flavor-access:is_public"] = flavor.get("public", True)
    made = admin.post("compute", "/flavors", {"flavor": body})["flavor"]
    if flavor.get("extra_specs"):
        specs = {"extra_specs": flavor["extra_specs"]}
        admin.post("compute", f"/flavors/{made['id']}/os-extra_specs", specs)


def _flavor_access(admin: Client, flavors: Iterable[Description], tenant: str, project_id: str) -> None:
    """The private flavors that name a tenant in their `access`."""
    wanted = {flavor["name"] for flavor in flavors if tenant in flavor.get("access", [])}
    rows = admin.get("compute", "/flavors?is_public=None")["flavors"] if wanted else []
    for row in rows:
        if row["name"] in wanted:
            body = {"addTenantAccess": {"tenant": project_id}}
            admin.post("compute", f"/flavors/{row['id']}/action", body)


def add_network(client: Client, network: Description) -> dict[str, Any]:
    """A network with its subnets and tags; the network as made."""
    body = {key: value for key, value in network.items() if key not in ("subnets", "tags")}
    made: dict[str, Any] = client.post("network", "/networks", {"network": body})["network"]
    if network.get("tags"):
        client.put("network", f"/networks/{made['id']}/tags", {"tags": network["tags"]})
    for subnet in network.get("subnets", []):
        client.post("network", "/subnets", {"subnet": {"network_id": made["id"], "ip_version": 4, **subnet}})
    return made


def add_image(client: Client, image: Description) -> str:
    """An image with its bytes; its id."""
    late = ("content", "members", "protected")
    body = {"disk_format": "raw", "container_format": "bare"}
    body |= {key: value for key, value in image.items() if key not in late}
    image_id: str = client.post("image", "/images", body)["id"]
    headers = {"Content-Type": "application/octet-stream"}
    client.request(
        "image", "PUT", f"/images/{image_id}/file", data=contents(image["content"]), headers=headers
    )
    if image.get("protected"):
        patch = [{"op": "replace", "path": "/protected", "value": True}]
        media = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        client.request("image", "PATCH", f"/images/{image_id}", patch, headers=media)
    return image_id


def _tenant(
    cloud: DevCloud, admin: Client, name: str, tenant: Description, flavors: Iterable[Description]
) -> None:
    """A project with its users and quotas, then all that its users make."""
    project = {"name": name, "description": tenant.get("description", ""), "tags": tenant.get("tags", [])}
    project_id = admin.post("identity", "/projects", {"project": project})["project"]["id"]
    _flavor_access(admin, flavors, name, project_id)
    roles = {role["name"]: role["id"] for role in admin.get("identity", "/roles")["roles"]}
    clients: dict[str, Client] = {}
    for user in tenant["users"]:
        body = {key: value for key, value in user.items() if key != "roles"}
        body["default_project_id"] = project_id
        user_id = admin.post("identity", "/users", {"user": body})["user"]["id"]
        for role in user["roles"]:
            admin.put("identity", f"/projects/{project_id}/users/{user_id}/roles/{roles[role]}")
    for service, limits in (tenant.get("quotas") or {}).items():
        path, key = ("/quotas", "quota") if service == "network" else ("/os-quota-sets", "quota_set")
        admin.put(service, f"{path}/{project_id}", {key: limits})
    try:
        for user in tenant["users"]:
            names = {"username": user["name"], "password": user["password"], "project": name}
            clients[user["name"]] = Client(cloud.url, **names)
        TenantFiller(cloud, clients, tenant, contents=contents, network=add_network, image=add_image).run()
    finally:
        for client in clients.values():
            client.close()
