"""Descriptions of clouds, and the demonstration's two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pumphouse.devcloud import ADMIN_PASSWORD, DevCloud
from pumphouse.devcloud.client import ApiError, Client
from pumphouse.devcloud.fill import contents, fill

DEMO = Path(__file__).parents[3] / "etc" / "pumphouse" / "devcloud"


def admin_of(cloud: DevCloud) -> Client:
    return Client(cloud.url, username="admin", password=ADMIN_PASSWORD, project="admin")


def test_the_demo_source(make_cloud: Callable[..., DevCloud]) -> None:
    cloud = make_cloud("source", seed=1)
    fill(cloud, DEMO / "demo-source.yaml")
    with Client(cloud.url, username="anna", password="anna-demo-password", project="shop") as anna:
        servers = {row["name"]: row for row in anna.get("compute", "/servers/detail")["servers"]}
        assert {name: row["status"] for name, row in servers.items()} == {
            "web-1": "ACTIVE",
            "web-2": "ACTIVE",
            "app-1": "ACTIVE",
            "app-2": "SHUTOFF",
            "db-1": "ACTIVE",
        }
        kinds = {one["OS-EXT-IPS:type"] for one in servers["web-1"]["addresses"]["web"]}
        assert kinds == {"fixed", "floating"}
        assert list(servers["app-1"]["addresses"]) == ["web", "data"]
        groups = {row["name"]: row for row in anna.get("network", "/security-groups")["security_groups"]}
        named = {rule["remote_group_id"] for rule in groups["app"]["security_group_rules"]}
        assert named == {None, groups["web"]["id"], groups["db"]["id"]}
        volumes = {row["name"]: row for row in anna.get("volume", "/volumes/detail")["volumes"]}
        states = {name: row["status"] for name, row in volumes.items()}
        assert states == {"db-data": "in-use", "backup": "available"}
        assert volumes["backup"]["metadata"] == {"purpose": "backup", "readonly": "True"}
        data = contents({"seed": "db-data", "kib": 768})
        with cloud.files.path("volumes", volumes["db-data"]["id"]).open("rb") as file:
            assert file.read(len(data)) == data
        flavors = {row["name"] for row in anna.get("compute", "/flavors")["flavors"]}
        assert flavors == {"m1.tiny", "m1.small", "db.large"}
    with Client(cloud.url, username="lena", password="lena-demo-password", project="lab") as lena:
        assert [row["name"] for row in lena.get("compute", "/servers")["servers"]] == ["probe"]
        assert "db.large" not in {row["name"] for row in lena.get("compute", "/flavors")["flavors"]}
    with Client(cloud.url, username="oskar", password="oskar-demo-password", project="shop") as reader:
        assert len(reader.get("network", "/networks")["networks"]) == 3
        with pytest.raises(ApiError, match="403"):
            reader.post("network", "/networks", {"network": {"name": "mine"}})


def test_the_demo_destination(make_cloud: Callable[..., DevCloud]) -> None:
    cloud = make_cloud("destination", seed=2)
    fill(cloud, DEMO / "demo-destination.yaml")
    with admin_of(cloud) as admin:
        assert admin.get("identity", "/projects?name=shop")["projects"] == []
        assert [row["name"] for row in admin.get("image", "/images")["images"]] == ["debian-12"]


def test_two_fills_of_one_seed_give_one_state(make_cloud: Callable[..., DevCloud]) -> None:
    states = []
    for _ in range(2):
        cloud = make_cloud("twin", seed=3)
        fill(cloud, DEMO / "demo-destination.yaml")
        states.append(cloud.state())
    assert states[0] == states[1]


def test_a_refused_part_is_told(make_cloud: Callable[..., DevCloud]) -> None:
    cloud = make_cloud("one")
    subnets = [{"cidr": "10.0.0.0/24"}, {"cidr": "10.0.0.0/25"}]
    with pytest.raises(ApiError, match="overlaps"):
        fill(cloud, {"networks": [{"name": "a", "subnets": subnets}]})


def test_generate(make_cloud: Callable[..., DevCloud]) -> None:
    cloud = make_cloud("many", seed=4)
    fill(cloud, {"generate": {"tenants": 2, "servers": 30, "networks": 2, "volumes": 3, "images": 1}})
    with admin_of(cloud) as admin:
        names = [row["name"] for row in admin.get("identity", "/projects")["projects"]]
        assert sorted(name for name in names if name.startswith("load-")) == ["load-0", "load-1"]
        servers = admin.get("compute", "/servers/detail?all_tenants=1&limit=100")["servers"]
        assert len(servers) == 60
        assert all(row["status"] == "ACTIVE" and len(row["addresses"]) == 1 for row in servers)
        ports = admin.get("network", "/ports")["ports"]
        assert {port["device_id"] for port in ports} == {row["id"] for row in servers}
        assert len({(port["network_id"], port["fixed_ips"][0]["ip_address"]) for port in ports}) == 60
        assert len(admin.get("volume", "/volumes?all_tenants=1")["volumes"]) == 6
        assert len(admin.get("image", "/images")["images"]) == 2
    with pytest.raises(ValueError, match="teapots"):
        fill(cloud, {"generate": {"teapots": 1}})
