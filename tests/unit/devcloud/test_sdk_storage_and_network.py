"""What openstacksdk makes of the image, network and block storage services."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import openstack
import pytest
from openstack.connection import Connection

from pumphouse.devcloud import DevCloud


@pytest.fixture
def connection(
    make_cloud: Callable[..., DevCloud], write_clouds_yaml: Callable[..., Path]
) -> Iterator[Connection]:
    write_clouds_yaml(one=make_cloud("one", seed=1))
    with openstack.connect(cloud="one") as found:
        yield found


def test_images(connection: Connection) -> None:
    data = b"disk" * 50_000
    made = connection.create_image("disk", data=data, disk_format="raw", container_format="bare", wait=True)
    assert made.status == "active"
    assert made.hash_value == hashlib.sha512(data).hexdigest()
    assert connection.image.download_image(made).content == data
    assert [image.name for image in connection.image.images(limit=1)] == ["disk"]
    connection.image.update_image(made, hw_disk_bus="scsi")
    connection.image.add_tag(made, "small")
    member = connection.image.add_member(made, member_id="another")
    assert member.status == "pending"
    seen = connection.image.get_image(made)
    assert (seen.tags, seen.hw_disk_bus) == (["small"], "scsi")


def test_networks(connection: Connection) -> None:
    public = connection.network.create_network(name="public", is_router_external=True)
    connection.network.create_subnet(network_id=public.id, ip_version=4, cidr="203.0.113.0/24")
    network = connection.network.create_network(name="web")
    subnet = connection.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    info = {"network_id": public.id}
    router = connection.network.create_router(name="gate", external_gateway_info=info)
    connection.network.add_interface_to_router(router, subnet=subnet)
    port = connection.network.create_port(network_id=network.id)
    address = connection.network.create_ip(floating_network_id=public.id, port_id=port.id)
    assert (address.status, address.router_id) == ("ACTIVE", router.id)
    connection.network.set_tags(network, ["a", "b"])
    assert connection.network.find_network("web").tags == ["a", "b"]
    group = connection.network.create_security_group(name="web")
    rule = {"security_group_id": group.id, "direction": "ingress", "protocol": "tcp"}
    connection.network.create_security_group_rule(port_range_min=22, port_range_max=22, **rule)
    assert len(connection.network.get_security_group(group.id).security_group_rules) == 3
    assert {one.name for one in connection.network.networks()} == {"public", "web"}
    assert connection.network.get_quota(connection.current_project_id, details=True).networks["used"] == 2
    with pytest.raises(openstack.exceptions.ConflictException, match="still in use"):
        connection.network.delete_network(network)


def test_volumes(connection: Connection) -> None:
    kind = connection.block_storage.create_type(name="fast", extra_specs={"a": "b"})
    volume = connection.block_storage.create_volume(
        name="data", size=1, volume_type="fast", metadata={"x": "y"}
    )
    volume = connection.block_storage.wait_for_status(volume, "available", interval=0.02, wait=10)
    assert (volume.volume_type, volume.metadata) == (kind.name, {"x": "y"})
    connection.block_storage.set_volume_bootable_status(volume, bootable=True)
    connection.block_storage.set_volume_readonly(volume, readonly=True)
    snapshot = connection.block_storage.create_snapshot(volume_id=volume.id, name="before")
    connection.block_storage.wait_for_status(snapshot, "available", interval=0.02, wait=10)
    copy = connection.block_storage.create_volume(snapshot_id=snapshot.id, name="copy")
    copy = connection.block_storage.wait_for_status(copy, "available", interval=0.02, wait=10)
    assert (copy.size, copy.is_bootable) == (1, True)
    assert {one.name for one in connection.block_storage.volumes()} == {"data", "copy"}
    quota = connection.block_storage.get_quota_set(connection.current_project_id, usage=True)
    assert quota.usage["volumes"] == 2
    connection.block_storage.delete_snapshot(snapshot)
    connection.block_storage.wait_for_delete(snapshot, interval=0.02, wait=10)
    connection.block_storage.delete_volume(volume)
    connection.block_storage.wait_for_delete(volume, interval=0.02, wait=10)
