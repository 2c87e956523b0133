from __future__ import annotations

import time

import openstack.exceptions as exc
import pytest

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2Vt0u4XQm9V3V0f2m1m6x0m2b0m3c0m4d0m5e0m6f0 me@here"
MICROVERSION = "OpenStack-API-Version"


def wait(conn, server, status="ACTIVE"):
    return conn.compute.wait_for_server(server, status=status, failures=[], interval=0.02, wait=10)


def until(check, seconds=10):
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return found


@pytest.fixture
def flavor(conn):
    return conn.compute.create_flavor(name="small", ram=512, vcpus=1, disk=1, id="small")


@pytest.fixture
def image(conn):
    made = conn.image.create_image(
        name="cirros", disk_format="raw", container_format="bare", visibility="public"
    )
    conn.image.put(
        f"/images/{made.id}/file",
        data=b"root disk" * 1000,
        headers={"Content-Type": "application/octet-stream"},
    )
    return conn.image.get_image(made.id)


@pytest.fixture
def network(conn):
    made = conn.network.create_network(name="web")
    conn.network.create_subnet(network_id=made.id, cidr="10.1.0.0/24", ip_version=4, name="web")
    return made


@pytest.fixture
def server(conn, flavor, image, network):
    made = conn.compute.create_server(
        name="web-1", flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}]
    )
    return wait(conn, made)


def test_flavors_keep_ids_specs_and_access(conn):
    small = conn.compute.create_flavor(
        name="small",
        ram=512,
        vcpus=1,
        disk=1,
        id="s1",
        ephemeral=2,
        swap=64,
        description="a small one",
    )
    secret = conn.compute.create_flavor(name="secret", ram=64, vcpus=1, disk=0, is_public=False)
    assert (small.id, small.ephemeral, small.swap, small.description) == ("s1", 2, 64, "a small one")
    conn.compute.create_flavor_extra_specs("s1", {"hw:a": "b"})
    assert conn.compute.fetch_flavor_extra_specs("s1").extra_specs == {"hw:a": "b"}
    assert [one.name for one in conn.compute.flavors(is_public=None)] == sorted(
        ["small", "secret"], key=lambda name: {"small": "s1", "secret": secret.id}[name]
    )
    shop = conn.identity.create_project(name="shop", domain_id="default")
    conn.compute.flavor_add_tenant_access(secret.id, shop.id)
    access = conn.compute.get_flavor_access(secret.id)
    assert shop.id in {one["tenant_id"] for one in access}
    conn.compute.flavor_remove_tenant_access(secret.id, shop.id)
    with pytest.raises(exc.ConflictException, match="already exists"):
        conn.compute.create_flavor(name="small", ram=1, vcpus=1, disk=1)
    with pytest.raises(exc.ConflictException, match="ID s1"):
        conn.compute.create_flavor(name="other", ram=1, vcpus=1, disk=1, id="s1")
    conn.compute.delete_flavor("s1")
    assert conn.compute.get(f"/flavors/{small.id}").json()["itemNotFound"]["code"] == 404


def test_fields_appear_from_their_microversion(admin, flavor):
    path = "/compute/v2.1/flavors/small"
    old = admin("GET", path)[1]["flavor"]
    assert "description" not in old
    assert old["swap"] == ""
    status, body, headers = admin("GET", path, headers={MICROVERSION: "compute 2.75"})
    assert (status, body["flavor"]["description"], body["flavor"]["swap"]) == (200, None, 0)
    assert headers["openstack-api-version"] == "compute 2.75"
    assert headers["x-openstack-nova-api-version"] == "2.75"
    status, body, _ = admin("GET", path, headers={MICROVERSION: "compute 2.97"})
    assert (status, body["computeFault"]["message"]) == (
        406,
        "Version 2.97 is not supported by the API. Minimum is 2.1 and maximum is 2.96.",
    )
    assert admin("GET", path, headers={MICROVERSION: "compute two"})[0] == 400


def test_an_older_cloud_has_older_microversions(make_cloud, http_client):
    client = http_client(on=make_cloud("old", microversions={"compute": "2.60"})).login()
    assert client("GET", "/compute/v2.1")[1]["version"]["version"] == "2.60"
    assert client("GET", "/compute/v2.1/flavors", headers={MICROVERSION: "compute 2.61"})[0] == 406
    latest = client("GET", "/compute/v2.1/flavors", headers={MICROVERSION: "compute latest"})
    assert latest[2]["openstack-api-version"] == "compute 2.60"


def test_keypairs_belong_to_users(conn, admin):
    user = conn.identity.create_user(name="ann", domain_id="default")
    body = {"keypair": {"name": "key", "public_key": KEY, "type": "ssh", "user_id": user.id}}
    newer = {MICROVERSION: "compute 2.92"}
    assert admin("POST", "/compute/v2.1/os-keypairs", body, newer)[0] == 201
    assert admin("POST", "/compute/v2.1/os-keypairs", body, newer)[0] == 409
    listed = admin("GET", f"/compute/v2.1/os-keypairs?user_id={user.id}", headers=newer)[1]["keypairs"]
    assert [one["keypair"]["name"] for one in listed] == ["key"]
    assert len(listed[0]["keypair"]["fingerprint"].split(":")) == 16
    assert list(conn.compute.keypairs()) == []
    assert [one.name for one in conn.compute.keypairs(user_id=user.id)] == ["key"]
    body["keypair"] |= {"name": "bad", "public_key": "nonsense"}
    assert admin("POST", "/compute/v2.1/os-keypairs", body, newer)[0] == 400
    assert admin("DELETE", f"/compute/v2.1/os-keypairs/key?user_id={user.id}", headers=newer)[0] == 204


def test_quotas_limit_and_are_limited(conn, admin, server, flavor):
    project = conn.current_project_id
    path = f"/compute/v2.1/os-quota-sets/{project}"
    detail = admin("GET", path + "/detail")[1]["quota_set"]
    assert detail["instances"] == {"limit": 10, "in_use": 1, "reserved": 0}
    assert admin("PUT", path, {"quota_set": {"instances": 0}})[0] == 400
    assert admin("PUT", path, {"quota_set": {"instances": 0, "force": True}})[0] == 200
    with pytest.raises(
        exc.ForbiddenException, match="Quota exceeded for instances: Requested 1, but already used 1 of 0"
    ):
        conn.compute.create_server(
            name="more", flavor_id=flavor.id, image_id=server.image.id, networks="none"
        )
    assert admin("GET", path + "/defaults")[1]["quota_set"]["instances"] == 10
    assert admin("DELETE", path)[0] == 202
    assert conn.compute.get("/limits").json()["limits"]["absolute"]["totalInstancesUsed"] == 1
    assert admin("PUT", "/compute/v2.1/os-quota-sets/nobody", {"quota_set": {"cores": 1}})[0] == 400


def test_a_server_is_built_with_a_port_and_a_root_disk(conn, cloud, server, image):
    assert server.status == "ACTIVE"
    assert server.addresses["web"][0]["addr"].startswith("10.1.0.")
    assert server.flavor["original_name"] == "small"
    (port,) = conn.network.ports(device_id=server.id)
    assert (port.device_owner, port.status) == ("compute:nova", "ACTIVE")
    assert port.binding_host_id == server.compute_host
    assert cloud.files.path("disks", server.id).read_bytes() == b"root disk" * 1000
    assert server.root_device_name == "/dev/vda"
    conn.compute.delete_server(server)
    conn.compute.wait_for_delete(server, interval=0.02, wait=10)
    assert list(conn.network.ports(device_owner="compute:nova")) == []
    assert not cloud.files.exists("disks", server.id)


def test_a_given_port_is_bound_and_survives(conn, flavor, image, network):
    port = conn.network.create_port(network_id=network.id, fixed_ips=[{"ip_address": "10.1.0.77"}])
    body = {"name": "db", "flavor_id": flavor.id, "image_id": image.id, "networks": [{"port": port.id}]}
    server = wait(conn, conn.compute.create_server(**body))
    assert [one["addr"] for one in server.addresses["web"]] == ["10.1.0.77"]
    with pytest.raises(exc.ConflictException, match="still in use"):
        conn.compute.create_server(**body)
    assert [one.port_id for one in conn.compute.server_interfaces(server)] == [port.id]
    conn.compute.delete_server(server)
    conn.compute.wait_for_delete(server, interval=0.02, wait=10)
    port = conn.network.get_port(port.id)
    assert (port.device_id, port.device_owner, port.status) == ("", "", "DOWN")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flavor_id": "none"}, "Flavor none could not be found"),
        ({"image_id": "none"}, "Can not find requested image"),
        ({"key_name": "none"}, "Invalid key_name"),
        ({"availability_zone": "mars"}, "availability zone is not available"),
        ({"networks": [{"uuid": "none"}]}, "Network none could not be found"),
        ({"networks": [{"port": "none"}]}, "Port id none could not be found"),
        ({"user_data": "%%%"}, "base 64"),
        ({"scheduler_hints": {"group": "none"}}, "Instance group none could not be found"),
        (
            {
                "block_device_mapping": [{"boot_index": 0, "source_type": "volume", "uuid": "none"}],
                "image_id": None,
            },
            "failed to get volume",
        ),
    ],
)
def test_a_server_needs_what_it_names(conn, flavor, image, network, change, message):
    body = {"name": "s", "flavor_id": flavor.id, "image_id": image.id, "networks": [{"uuid": network.id}]}
    body = {key: value for key, value in (body | change).items() if value is not None}
    with pytest.raises(exc.BadRequestException, match=message):
        conn.compute.create_server(**body)


def test_a_change_that_was_overtaken_does_not_come(conn, cloud, server):
    cloud.timings["suspend"] = 0.1
    conn.compute.suspend_server(server)
    conn.compute.reset_server_state(server, "active")
    cloud.calm()
    assert conn.compute.get_server(server.id).status == "ACTIVE"


def test_actions_take_only_their_states(conn, cloud, server):
    compute = conn.compute
    cloud.timings |= {"suspend": 0.3, "power": 0.3}  # long enough to be seen on the way
    compute.suspend_server(server)
    wait(conn, server, "SUSPENDED")
    with pytest.raises(
        exc.ConflictException, match=r"Cannot 'suspend' instance .* while it is in vm_state suspended"
    ):
        compute.suspend_server(server)
    with pytest.raises(exc.ConflictException, match="Cannot 'stop'"):
        compute.stop_server(server)
    compute.resume_server(server)
    wait(conn, server)
    for act, status, back in (
        (compute.pause_server, "PAUSED", compute.unpause_server),
        (compute.stop_server, "SHUTOFF", compute.start_server),
        (compute.rescue_server, "RESCUE", compute.unrescue_server),
    ):
        act(server)
        assert compute.get_server(server.id).task_state
        wait(conn, server, status)
        back(server)
        wait(conn, server)
    compute.reset_server_state(server, "error")
    assert compute.get_server(server.id).status == "ERROR"
    compute.stop_server(server)
    wait(conn, server, "SHUTOFF")
    status = conn.compute.post(f"/servers/{server.id}/action", json={"fly": None}).status_code
    assert status == 400


def test_a_shelved_server_comes_back_with_its_disk(conn, cloud, server):
    cloud.files.path("disks", server.id).write_bytes(b"changed since")
    conn.compute.shelve_server(server)
    wait(conn, server, "SHELVED_OFFLOADED")
    assert not cloud.files.exists("disks", server.id)
    assert [one.name for one in conn.image.images(name="web-1-shelved")] == ["web-1-shelved"]
    conn.compute.unshelve_server(server)
    wait(conn, server)
    assert cloud.files.path("disks", server.id).read_bytes() == b"changed since"
    assert list(conn.image.images(name="web-1-shelved")) == []


def test_the_image_of_a_shelved_server_goes_with_it(conn, server):
    conn.compute.shelve_server(server)
    wait(conn, server, "SHELVED_OFFLOADED")
    conn.compute.delete_server(server)
    conn.compute.wait_for_delete(server, interval=0.05)
    assert list(conn.image.images(name="web-1-shelved")) == []


def test_an_image_of_a_server_needs_its_disk_and_keeps_what_its_own_image_says(conn, server, image):
    """Else what is made of it may not boot: UEFI guests need hw_firmware_type."""
    conn.image.update_image(image.id, hw_firmware_type="uefi", min_ram=48)
    made = conn.compute.create_server_image(server, "backup", wait=True, timeout=10)
    shown = conn.image.get_image(made.id)
    flavor = conn.compute.get_server(server.id).flavor
    assert (shown.min_disk, shown.min_ram) == (flavor.disk, 48)
    assert shown.min_disk > 0
    assert shown.properties["hw_firmware_type"] == "uefi"


def test_create_image_carries_the_disks_bytes(conn, cloud, server):
    cloud.files.path("disks", server.id).write_bytes(b"changed since")
    image = conn.compute.create_server_image(
        server, "backup", metadata={"why": "test"}, wait=True, timeout=10
    )
    assert conn.image.download_image(image.id).content == b"changed since"
    shown = conn.image.get_image(image.id)
    assert (shown.size, shown.instance_uuid, shown.properties["why"]) == (13, server.id, "test")
    assert until(lambda: conn.compute.get_server(server.id).task_state is None)
    old = conn.compute.post(
        f"/servers/{server.id}/action", json={"createImage": {"name": "x"}}, microversion="2.44"
    )
    assert old.headers["Location"].startswith(cloud.url + "/image/v2/images/")


@pytest.fixture
def member(conn, connect):
    """The SDK as a member of the admin's project."""
    user = conn.identity.create_user(name="ann", domain_id="default", password="pw")
    conn.identity.assign_project_role_to_user(
        conn.current_project_id, user, conn.identity.find_role("member")
    )
    return connect(username="ann", password="pw", project_name="admin")


def test_locked_servers_are_for_admins_only(conn, member, server):
    conn.compute.lock_server(server, locked_reason="audit")
    shown = conn.compute.get_server(server.id)
    assert (shown.is_locked, shown.locked_reason) == (True, "audit")
    with pytest.raises(exc.ConflictException, match="is locked"):
        member.compute.stop_server(server)
    with pytest.raises(exc.ForbiddenException):
        member.compute.unlock_server(server)
    conn.compute.stop_server(server)
    conn.compute.unlock_server(server)
    wait(conn, server, "SHUTOFF")


def test_others_see_less_and_may_less(conn, member, connect, server):
    assert member.compute.get_server(server.id).compute_host is None
    with pytest.raises(exc.ForbiddenException, match="get_all_tenants"):
        list(member.compute.servers(all_projects=True))
    with pytest.raises(exc.ForbiddenException):
        list(member.compute.hypervisors())
    other = conn.identity.create_project(name="other", domain_id="default")
    conn.identity.assign_project_role_to_user(
        other, conn.identity.find_user("ann"), conn.identity.find_role("member")
    )
    elsewhere = connect(username="ann", password="pw", project_name="other")
    assert list(elsewhere.compute.servers()) == []
    with pytest.raises(exc.NotFoundException):
        elsewhere.compute.get_server(server.id)


def test_lists_are_filtered_and_paged(conn, flavor, image):
    for number in range(5):
        conn.compute.create_server(
            name=f"s{number}",
            flavor_id=flavor.id,
            image_id=image.id,
            networks="none",
            tags=["even" if number % 2 == 0 else "odd"],
        )
    names = [one.name for one in conn.compute.servers(limit=2)]
    assert names == ["s4", "s3", "s2", "s1", "s0"], "newest first, across pages"
    assert [one.name for one in conn.compute.servers(name="s[12]$")] == ["s2", "s1"]
    assert [one.name for one in conn.compute.servers(tags="odd")] == ["s3", "s1"]
    assert [one.name for one in conn.compute.servers(sort_key="name", sort_dir="asc", limit=2)] == [
        f"s{n}" for n in range(5)
    ]
    first = conn.compute.get("/servers?limit=2").json()
    assert first["servers_links"][0]["rel"] == "next"
    assert conn.compute.get("/servers?marker=nothing").status_code == 400


def test_groups_spread_and_keep_together(conn, flavor, image):
    apart = conn.compute.create_server_group(name="apart", policy="anti-affinity")
    body = {
        "flavor_id": flavor.id,
        "image_id": image.id,
        "networks": "none",
        "scheduler_hints": {"group": apart.id},
    }
    made = [conn.compute.create_server(name=f"a{number}", **body) for number in range(3)]
    hosts = {wait(conn, one).compute_host for one in made[:2]}
    assert hosts == {"compute-1", "compute-2"}
    failed = until(lambda: (one := conn.compute.get_server(made[2].id)).status == "ERROR" and one)
    assert "No valid host" in failed.fault["message"]
    assert failed.compute_host is None
    assert set(conn.compute.get_server_group(apart.id).member_ids) == {one.id for one in made}
    hosts = list(conn.compute.hypervisors(details=True, with_servers=True))
    assert sorted(one.name for one in hosts) == ["compute-1", "compute-2"]
    assert [one.name for one in conn.compute.servers(all_projects=True, compute_host="compute-2")]


def test_metadata_and_tags(conn, server):
    conn.compute.set_server_metadata(server, role="web", tier="1")
    conn.compute.delete_server_metadata(server, ["tier"])
    assert conn.compute.fetch_server_metadata(server).metadata == {"role": "web"}
    server.add_tag(conn.compute, "blue")
    server.set_tags(conn.compute, ["green", "red"])
    server.remove_tag(conn.compute, "red")
    assert conn.compute.get_server(server.id).tags == ["green"]
    assert conn.compute.get(f"/servers/{server.id}/tags", microversion="2.25").status_code == 404


def test_an_ordered_failure_ends_in_error(conn, cloud, flavor, image, network):
    cloud.faults.add("server_error", path="bad*")
    body = {"flavor_id": flavor.id, "image_id": image.id, "networks": [{"uuid": network.id}]}
    bad, good = (conn.compute.create_server(name=name, **body) for name in ("bad-1", "good-1"))
    assert wait(conn, good).status == "ACTIVE"
    assert until(lambda: conn.compute.get_server(bad.id).status == "ERROR")
    assert [port.device_id for port in conn.network.ports(device_owner="compute:nova")] == [good.id]


def test_interfaces_come_and_go(conn, server, network):
    made = conn.compute.create_server_interface(server, net_id=network.id)
    assert len(list(conn.compute.server_interfaces(server))) == 2
    conn.compute.delete_server_interface(made.port_id, server=server)
    assert len(list(conn.compute.server_interfaces(server))) == 1
    assert conn.network.find_port(made.port_id) is None
    group = conn.network.create_security_group(name="web")
    conn.compute.add_security_group_to_server(server, group)
    shown = conn.compute.get_server(server.id)
    assert {one["name"] for one in shown.security_groups} == {"default", "web"}


def test_a_server_moves_to_another_host(conn, server):
    other = ({"compute-1", "compute-2"} - {server.compute_host}).pop()
    conn.compute.live_migrate_server(server, host=other, block_migration="auto")
    assert until(lambda: conn.compute.get_server(server.id).compute_host == other)
    (port,) = conn.network.ports(device_id=server.id)
    assert port.binding_host_id == other
    with pytest.raises(exc.ConflictException, match="still in use"):
        conn.compute.evacuate_server(server)


def other_host(conn, server):
    return ({"compute-1", "compute-2"} - {conn.compute.get_server(server.id).compute_host}).pop()


def service(conn, host):
    (found,) = conn.compute.services(host=host, binary="nova-compute")
    return found


def disable(conn, host):
    conn.compute.disable_service(service(conn, host).id, disabled_reason="for a test")


def state(conn, server):
    found = conn.compute.get_server(server.id)
    return found.status, found.compute_host


@pytest.mark.parametrize("stopped", [True, False])
def test_a_cold_migration_waits_for_its_confirmation(conn, server, stopped):
    if stopped:
        conn.compute.stop_server(server)
        assert until(lambda: state(conn, server)[0] == "SHUTOFF")
    before, there = state(conn, server), other_host(conn, server)
    conn.compute.migrate_server(server)
    assert until(lambda: state(conn, server) == ("VERIFY_RESIZE", there))
    with pytest.raises(exc.ConflictException, match="Cannot 'stop'"):
        conn.compute.stop_server(server)
    conn.compute.confirm_server_resize(server)
    assert until(lambda: state(conn, server) == (before[0], there))
    (port,) = conn.network.ports(device_id=server.id)
    assert port.binding_host_id == there


def test_a_cold_migration_can_be_taken_back(conn, server):
    before, there = state(conn, server), other_host(conn, server)
    conn.compute.migrate_server(server, host=there)
    assert until(lambda: state(conn, server) == ("VERIFY_RESIZE", there))
    conn.compute.revert_server_resize(server)
    assert until(lambda: state(conn, server) == before)


def test_a_suspended_server_moves_neither_way(conn, server):
    conn.compute.suspend_server(server)
    assert until(lambda: state(conn, server)[0] == "SUSPENDED")
    for move in (conn.compute.migrate_server, conn.compute.live_migrate_server):
        with pytest.raises(exc.ConflictException, match="vm_state suspended"):
            move(server)


def test_what_no_other_host_takes_stays_where_it_is(conn, server):
    before = state(conn, server)
    disable(conn, other_host(conn, server))
    with pytest.raises(exc.BadRequestException, match="No valid host"):
        conn.compute.migrate_server(server)
    body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
    answer = conn.compute.post(f"/servers/{server.id}/action", json=body, microversion="2.34")
    assert answer.status_code == 202  # nobody is told
    assert until(lambda: state(conn, server) == before)


def test_a_service_tells_why_it_is_disabled(conn):
    disable(conn, "compute-1")
    found = service(conn, "compute-1")
    assert (found.status, found.disabled_reason, found.state) == ("disabled", "for a test", "up")
    conn.compute.enable_service(found.id)
    found = service(conn, "compute-1")
    assert (found.status, found.disabled_reason) == ("enabled", None)
    body = {"status": "enabled", "disabled_reason": "x"}
    answer = conn.compute.put(f"/os-services/{found.id}", json=body, microversion="2.53")
    assert (answer.status_code, "'disabled_reason'" in answer.text) == (400, True)
