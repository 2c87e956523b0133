"""A small tenant on an embedded cloud, made as any client would."""

from __future__ import annotations

from typing import Any

from pumphouse.devcloud import DevCloud
from pumphouse.devcloud.client import Client

PASSWORD = "ann-secret"


def make_tenant(cloud: DevCloud, name: str = "shop", *, servers: int = 1, network: str = "web") -> str:
    """A project with a user, a network, an image and servers; its id."""
    with Client(cloud.url, username="admin", password=cloud.admin_password, project="admin") as admin:
        project = admin.post("identity", "/projects", {"project": {"name": name}})["project"]["id"]
        user = admin.post("identity", "/users", {"user": {"name": f"ann-{name}", "password": PASSWORD}})[
            "user"
        ]["id"]
        roles = {role["name"]: role["id"] for role in admin.get("identity", "/roles")["roles"]}
        admin.put("identity", f"/projects/{project}/users/{user}/roles/{roles['member']}")
        flavors = {one["name"]: one["id"] for one in admin.get("compute", "/flavors")["flavors"]}
        flavor = (
            flavors.get("small")
            or admin.post(
                "compute", "/flavors", {"flavor": {"name": "small", "ram": 256, "vcpus": 1, "disk": 1}}
            )["flavor"]["id"]
        )
    with Client(cloud.url, username=f"ann-{name}", password=PASSWORD, project=name) as ann:
        made: dict[str, Any] = ann.post("network", "/networks", {"network": {"name": network}})["network"]
        ann.post(
            "network",
            "/subnets",
            {"subnet": {"network_id": made["id"], "cidr": "10.1.0.0/24", "ip_version": 4, "name": "front"}},
        )
        image = ann.post(
            "image", "/images", {"name": "linux", "disk_format": "raw", "container_format": "bare"}
        )
        ann.request(
            "image",
            "PUT",
            f"/images/{image['id']}/file",
            data=b"linux" * 1000,
            headers={"Content-Type": "application/octet-stream"},
        )
        for number in range(servers):
            body = {
                "name": f"web-{number}",
                "flavorRef": flavor,
                "imageRef": image["id"],
                "networks": [{"uuid": made["id"]}],
            }
            server = ann.post("compute", "/servers", {"server": body})["server"]["id"]
            ann.wait("compute", f"/servers/{server}", lambda found: found["server"]["status"] == "ACTIVE")
    return project
