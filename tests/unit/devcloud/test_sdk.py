"""openstacksdk finds, reads and drives all five services, with nothing but clouds.yaml."""

from __future__ import annotations

import threading

import openstack
import pytest
from keystoneauth1.adapter import Adapter

SERVICES = ("identity", "compute", "image", "network", "block_storage")


def endpoint_of(conn, name: str) -> str:
    """The versioned endpoint that the SDK found (the identity proxy has another ``get_endpoint``)."""
    return Adapter.get_endpoint(getattr(conn, name)).rstrip("/")


def test_every_service_is_discovered(conn, cloud):
    expected = {
        "identity": "/identity/v3",
        "compute": "/compute/v2.1",
        "image": "/image/v2",
        "network": "/network/v2.0",
        "block_storage": f"/volume/v3/{conn.current_project_id}",
    }
    for name in SERVICES:
        endpoint = endpoint_of(conn, name)
        assert endpoint == cloud.url + expected[name], name
    compute = conn.compute.get_endpoint_data()
    assert (compute.min_microversion, compute.max_microversion) == ((2, 1), (2, 96))
    volume = conn.block_storage.get_endpoint_data()
    assert (volume.min_microversion, volume.max_microversion) == ((3, 0), (3, 70))


def test_every_service_answers_raw_and_as_resources(conn):
    for name, path, listed in (
        ("identity", "/projects", conn.identity.projects),
        ("compute", "/servers/detail", conn.compute.servers),
        ("image", "/images", conn.image.images),
        ("network", "/networks", conn.network.networks),
        ("block_storage", "/volumes/detail", conn.block_storage.volumes),
    ):
        response = getattr(conn, name).get(path)
        assert response.status_code == 200
        assert response.headers["x-openstack-request-id"].startswith("req-")
        list(listed())


def test_the_sdk_takes_a_new_token_when_its_own_has_ended(conn, cloud):
    for name in SERVICES:
        assert endpoint_of(conn, name)
    cloud.expire_tokens()
    assert conn.compute.get("/servers").status_code == 200
    cloud.expire_tokens()
    assert conn.image.get("/images").status_code == 200
    cloud.expire_tokens()
    assert conn.block_storage.get("/volumes").status_code == 200
    cloud.expire_tokens()
    assert conn.network.get("/networks").status_code == 200


# The cloud layer calls deprecated methods of the other layers, from many modules.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow  # the library looks again only after seconds
def test_the_high_level_calls_work(conn):
    flavor = conn.create_flavor("small", ram=512, vcpus=1, disk=1)
    network = conn.create_network("web")
    conn.create_subnet(network.id, cidr="10.1.0.0/24", subnet_name="web", ip_version=4)
    image = conn.create_image(
        "cirros", data=b"root disk", disk_format="raw", container_format="bare", wait=True
    )
    server = conn.create_server(
        "web-1", image=image, flavor=flavor, network=network, wait=True, auto_ip=False, timeout=20
    )
    assert server.status == "ACTIVE"
    assert [one.name for one in conn.list_servers(detailed=True, all_projects=True)] == ["web-1"]
    volume = conn.create_volume(size=1, name="data", wait=True, timeout=20)
    conn.attach_volume(server, volume, wait=True, timeout=20)
    conn.detach_volume(server, volume, wait=True, timeout=20)
    assert conn.delete_server("web-1", wait=True, timeout=20)
    assert conn.delete_volume("data", wait=True, timeout=20)
    assert conn.delete_network("web")
    assert conn.get_compute_quotas("admin")["instances"] == 10


def test_threads_may_share_a_connection(conn):
    for name in SERVICES:
        endpoint_of(conn, name)
    failures = []

    def work(number: int) -> None:
        try:
            project = conn.identity.create_project(name=f"p{number}", domain_id="default")
            conn.network.create_network(name=f"n{number}", project_id=project.id)
            assert conn.compute.get("/servers").status_code == 200
        except Exception as error:  # noqa: BLE001 - any failure fails the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(list(conn.network.networks())) == 8


@pytest.mark.parametrize("name", ["source", "destination"])
def test_a_pair_of_clouds_is_found_by_name(cloud_pair, name):
    with openstack.connect(cloud=name) as conn:
        assert endpoint_of(conn, "identity").startswith(getattr(cloud_pair, name).url)
        assert conn.current_project.name == "admin"
