from __future__ import annotations

import hashlib
import json
import re
import time
from datetime import UTC, datetime

IDS = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}")


def populate(conn):
    project = conn.identity.create_project(name="shop", domain_id="default")
    for name in ("web", "web", "db"):
        network = conn.network.create_network(name=name, project_id=project.id)
        cidr = f"10.{len(list(conn.network.networks()))}.0.0/24"
        conn.network.create_subnet(network_id=network.id, cidr=cidr, ip_version=4)
    image = conn.image.create_image(name="cirros", disk_format="raw", container_format="bare")
    header = {"Content-Type": "application/octet-stream"}
    conn.image.put(f"/images/{image.id}/file", data=b"bytes", headers=header)
    return image


def test_two_clouds_that_were_made_alike_have_the_same_state(make_cloud, write_clouds_yaml):
    import openstack

    a, b = make_cloud("a"), make_cloud("b")
    write_clouds_yaml(a=a, b=b)
    for name in ("a", "b"):
        with openstack.connect(cloud=name) as conn:
            populate(conn)
    first, second = (json.dumps(cloud.state(), indent=1) for cloud in (a, b))
    differences = [
        pair for pair in zip(first.splitlines(), second.splitlines(), strict=True) if len(set(pair)) > 1
    ]
    assert differences == [], "MAC addresses and such must not be random in the state"


def test_the_order_in_which_things_were_made_does_not_show(make_cloud, write_clouds_yaml):
    """Resources of one name are told apart by what they hold, and a set of ids has no order."""
    import openstack

    clouds = {name: make_cloud(name) for name in ("a", "b")}
    write_clouds_yaml(**clouds)
    for name in clouds:
        step = 1 if name == "a" else -1
        with openstack.connect(cloud=name) as conn:
            networks = {}
            for cidr in ("10.1.0.0/24", "10.2.0.0/24")[::step]:
                networks[cidr] = conn.network.create_network(name="web").id
                conn.network.create_subnet(network_id=networks[cidr], cidr=cidr, ip_version=4)
            groups = [conn.network.create_security_group(name=one).id for one in ("front", "back")][::step]
            conn.network.create_port(
                network_id=networks["10.1.0.0/24"],
                name="nic",
                security_groups=groups,
                mac_address="fa:16:3e:00:00:01",
            )
    first, second = (clouds[name].state()["tables"] for name in ("a", "b"))
    for table in ("networks", "subnets", "ports"):
        assert first[table] == second[table]


def test_state_names_instead_of_ids_and_shows_files_by_digest(conn, cloud, admin):
    image = populate(conn)
    state = admin("GET", "/_devcloud/state")[1]
    projects = {row["name"]: row for row in state["tables"]["projects"]}
    assert projects["shop"]["id"] == "projects:domains:Default/shop" or "shop" in projects["shop"]["id"]
    labels = {row["id"] for row in state["tables"]["networks"]}
    assert labels == {"networks:db", "networks:web#1", "networks:web#2"}
    (file,) = [one for name, one in state["files"].items() if name.startswith("images:")]
    assert file == {"size": 5, "sha256": hashlib.sha256(b"bytes").hexdigest()}
    assert not IDS.search(json.dumps(state["tables"]["networks"]))
    raw = admin("GET", "/_devcloud/state?raw=1")[1]
    assert image.id in {row["id"] for row in raw["tables"]["images"]}
    conn.network.update_network(conn.network.find_network("db"), description="changed")
    assert cloud.state() != state


def test_an_attachment_made_anew_is_the_same(conn, cloud):
    volume = conn.block_storage.create_volume(size=1, name="data")
    conn.block_storage.wait_for_status(volume, "available", interval=0.02, wait=10)

    def attached(device):
        values = {"instance_uuid": "a-server", "mountpoint": device}
        conn.block_storage.post(f"/volumes/{volume.id}/action", json={"os-attach": values})
        state = cloud.state()
        conn.block_storage.post(f"/volumes/{volume.id}/action", json={"os-detach": {}})
        return state

    first = attached("/dev/vdb")
    assert first["tables"]["volumes"][0]["attachments"][0]["server_id"] == "a-server"
    assert attached("/dev/vdb") == first
    assert attached("/dev/vdc") != first


def test_changes_come_due_in_order_and_chains_keep_their_pace(make_cloud):
    cloud = make_cloud("slow", timings={"build": 0.05, "power": 0.05})
    seen: list[tuple[str, datetime]] = []

    def first() -> None:
        seen.append(("first", cloud.now()))
        cloud.later("power", lambda: seen.append(("second", cloud.now())))

    begin = datetime.now(UTC)
    cloud.later("build", first)
    with cloud.transaction():
        assert seen == []
    time.sleep(0.15)
    with cloud.transaction():
        assert [name for name, _ in seen] == ["first", "second"]
    assert [round((at - begin).total_seconds(), 1) for _, at in seen] in ([0.1, 0.1], [0.0, 0.1], [0.1, 0.2])
    assert (seen[1][1] - seen[0][1]).total_seconds() == 0.05, "late looking does not stretch a chain"


def test_a_seed_makes_ids_repeatable(make_cloud):
    first, second, other = (make_cloud(f"c{n}", seed=seed) for n, seed in enumerate((1, 1, 2)))
    assert first.new_id() == second.new_id() != other.new_id()


def test_a_project_is_named_by_its_domains_name(cloud, conn):
    domain = conn.identity.create_domain(name="corp")
    conn.identity.create_project(name="shop", domain_id=domain.id)
    (shop,) = [row for row in cloud.state()["tables"]["projects"] if row["name"] == "shop"]
    assert shop["id"] == "projects:domains:corp/shop"


def test_an_image_that_is_gone_is_the_same_whichever_it_was(make_cloud, write_clouds_yaml):
    """A server goes on naming the image of which it was built."""
    import openstack

    clouds = {name: make_cloud(name, seed=number) for number, name in enumerate("ab")}
    write_clouds_yaml(**clouds)
    for name in clouds:
        with openstack.connect(cloud=name) as conn:
            image = populate(conn)
            flavor = conn.compute.create_flavor(name="tiny", ram=64, vcpus=1, disk=1)
            server = conn.compute.create_server(
                name="web", flavor_id=flavor.id, image_id=image.id, networks="none"
            )
            conn.compute.wait_for_server(server, interval=0.05)
            assert clouds[name].state()["tables"]["servers"][0]["image_id"] == "images:cirros"
            conn.image.delete_image(image)
    states = [cloud.state()["tables"]["servers"] for cloud in clouds.values()]
    assert [one["image_id"] for one in states[0]] == ["images:gone"]
    assert states[0] == states[1]
