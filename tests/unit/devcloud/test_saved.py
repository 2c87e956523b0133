"""A cloud that was saved comes back to what it was, as often as one likes."""

from __future__ import annotations

import pytest

from pumphouse.devcloud.client import ApiError, Client

USER = {"name": "ann", "password": "first"}
IMAGE = {"name": "linux", "disk_format": "raw", "container_format": "bare"}


def upload(admin, image, data):
    headers = {"Content-Type": "application/octet-stream"}
    admin.request("image", "PUT", f"/images/{image}/file", data=data, headers=headers)


def test_a_cloud_comes_back_to_what_was_saved(make_cloud, tmp_path):
    cloud = make_cloud()
    with Client(cloud.url, username="admin", password=cloud.admin_password, project="admin") as admin:
        user = admin.post("identity", "/users", {"user": USER})["user"]["id"]
        image = admin.post("image", "/images", IMAGE)["id"]
        upload(admin, image, b"linux" * 1000)
        network = admin.post("network", "/networks", {"network": {"name": "web"}})["network"]["id"]
        subnet = {"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4}
        admin.post("network", "/subnets", {"subnet": subnet})
        cloud.calm()
        before, saved = cloud.state(raw=True), cloud.save(tmp_path / "saved")
        for _ in range(2):
            # What was removed, made, changed, given out: all of it is as it was.
            admin.delete("image", f"/images/{image}")
            admin.request("identity", "PATCH", f"/users/{user}", {"user": {"password": "second"}})
            admin.post("network", "/ports", {"port": {"network_id": network}})
            admin.post("image", "/images", IMAGE)
            cloud.calm()
            assert cloud.state(raw=True) != before
            cloud.restore(saved)
            assert cloud.state(raw=True) == before
            assert admin.request("image", "GET", f"/images/{image}/file").content == b"linux" * 1000
            assert cloud.passwords.check(user, "first", now=cloud.now())
        with pytest.raises(ApiError, match="404"):
            admin.get("image", "/images/none")
        made = admin.post("network", "/ports", {"port": {"network_id": network}})["port"]
        assert made["fixed_ips"][0]["ip_address"] == "10.0.0.2"


def test_a_cloud_is_calm_when_no_change_is_to_come(make_cloud):
    cloud = make_cloud(timings={"volume": 0.3})
    with Client(cloud.url, username="admin", password=cloud.admin_password, project="admin") as admin:
        volume = admin.post("volume", "/volumes", {"volume": {"size": 1}})["volume"]["id"]
        with pytest.raises(TimeoutError):
            cloud.calm(0.05)
        cloud.calm()
        assert admin.get("volume", f"/volumes/{volume}")["volume"]["status"] == "available"
