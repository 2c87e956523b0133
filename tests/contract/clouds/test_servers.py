"""What a server may be asked in which state, and what it tells."""

from __future__ import annotations

import base64

import pytest

STATES = {
    "ACTIVE": (),
    "SHUTOFF": ("os-stop",),
    "PAUSED": ("pause",),
    "SUSPENDED": ("suspend",),
}
REFUSED = [
    *[("ACTIVE", action) for action in ("os-start", "resume", "unpause", "unshelve", "unrescue")],
    *[("SHUTOFF", action) for action in ("os-stop", "pause", "suspend", "resume", "unpause", "unshelve")],
    *[("PAUSED", action) for action in ("os-start", "pause", "suspend", "resume", "unshelve")],
    *[("SUSPENDED", action) for action in ("os-start", "os-stop", "suspend", "pause", "unpause")],
]
BACK = {"SHUTOFF": "os-start", "PAUSED": "unpause", "SUSPENDED": "resume"}


def act(world, identity, action, body=None, **options):
    return world("POST", "compute", f"/servers/{identity}/action", {action: body}, **options)


@pytest.fixture(scope="module")
def servers(world):
    """A server in each state, which no test changes."""
    found = {}
    for state, actions in STATES.items():
        server = world.make("server")
        for action in actions:
            assert act(world, server["id"], action).status == 202
        found[state] = world.until("server", server["id"], state)
    return found


@pytest.mark.parametrize(("state", "action"), REFUSED, ids=lambda one: one)
def test_what_a_state_does_not_allow_is_refused(world, servers, state, action):
    answer = act(world, servers[state]["id"], action)
    assert answer.status == 409
    assert "conflictingRequest" in answer.body
    assert world.show("server", servers[state]["id"]).body["server"]["status"] == state


@pytest.mark.parametrize(("state", "action"), BACK.items(), ids=lambda one: one)
def test_a_server_comes_back_from_its_rest(world, state, action):
    server = world.make("server")
    for first in STATES[state]:
        assert act(world, server["id"], first).status == 202
    world.until("server", server["id"], state)
    assert act(world, server["id"], action).status == 202
    world.until("server", server["id"], "ACTIVE")


def test_a_locked_server_is_its_administrators_alone(world):
    server = world.make("server")
    assert act(world, server["id"], "lock", {"locked_reason": "do not touch"}).status == 202
    member = world.as_member()
    assert act(world, server["id"], "os-stop", session=member).status == 409
    shown = world.show("server", server["id"]).body["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "do not touch")
    assert act(world, server["id"], "unlock").status == 202
    shown = world.show("server", server["id"]).body["server"]
    assert (shown["locked"], shown["locked_reason"]) == (False, None)


def test_a_server_tells_what_it_was_made_with(world):
    data = base64.b64encode(b"#!/bin/sh\necho hello\n").decode()
    key = world.make("keypair")["name"]
    asked = {
        "user_data": data,
        "key_name": key,
        "metadata": {"role": "web"},
        "tags": ["blue", "green"],
        "description": "a server",
        "hostname": "a-server",
        "config_drive": True,
    }
    server = world.make("server", **asked)
    assert server["OS-EXT-SRV-ATTR:user_data"] == data
    assert server["OS-EXT-SRV-ATTR:hostname"] == "a-server"
    assert server["config_drive"] == "True"
    for name in ("key_name", "metadata", "description"):
        assert server[name] == asked[name]
    assert sorted(server["tags"]) == asked["tags"]
    assert server["flavor"]["original_name"] == world.one("flavor")["name"]
    assert server["image"]["id"] == world.one("stored_image")["id"]
    assert server["OS-EXT-STS:vm_state"] == "active"
    assert server["OS-EXT-STS:task_state"] is None
    assert server["os-extended-volumes:volumes_attached"] == []


def test_a_member_reads_no_fields_of_administrators(world):
    server = world.make("server")
    shown = world("GET", "compute", f"/servers/{server['id']}", session=world.as_member()).body["server"]
    assert "OS-EXT-SRV-ATTR:host" not in shown


def test_a_server_takes_a_port_that_was_made_for_it(world):
    port = world.make("port", network_id=world.one("subnet")["network_id"])
    server = world.make("server", networks=[{"port": port["id"]}])
    shown = world.show("port", port["id"]).body["port"]
    assert shown["device_id"] == server["id"]
    assert shown["device_owner"].startswith("compute:")
    (addresses,) = server["addresses"].values()
    assert addresses[0]["addr"] == port["fixed_ips"][0]["ip_address"]
    assert addresses[0]["OS-EXT-IPS-MAC:mac_addr"] == port["mac_address"]


def test_a_port_in_use_is_refused_to_another_server(world):
    port = world.make("port", network_id=world.one("subnet")["network_id"])
    world.make("server", networks=[{"port": port["id"]}])
    body = {
        "name": world.fresh(),
        "flavorRef": world.one("flavor")["id"],
        "imageRef": world.one("stored_image")["id"],
        "networks": [{"port": port["id"]}],
    }
    answer = world("POST", "compute", "/servers", {"server": body})
    assert answer.status == 409


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"flavorRef": "no-such-flavor"}, 400),
        ({"imageRef": "00000000-0000-0000-0000-000000000000"}, 400),
        ({"key_name": "no-such-key"}, 400),
        ({"networks": [{"uuid": "00000000-0000-0000-0000-000000000000"}]}, 400),
        ({"networks": [{"port": "00000000-0000-0000-0000-000000000000"}]}, 400),
        ({"name": ""}, 400),
        ({"unknown": 1}, 400),
        ({"metadata": {"role": 1}}, 400),
        ({"user_data": "not base64!"}, 400),
    ],
    ids=str,
)
def test_a_server_that_cannot_be_is_refused(world, changes, status):
    body = {
        "name": world.fresh(),
        "flavorRef": world.one("flavor")["id"],
        "imageRef": world.one("stored_image")["id"],
        "networks": [{"uuid": world.one("subnet")["network_id"]}],
        **changes,
    }
    answer = world("POST", "compute", "/servers", {"server": body})
    assert answer.status == status
    assert "message" in next(iter(answer.body.values()))


def test_an_image_of_a_server_is_theirs_who_asked_and_shared_with_whose_it_is(world):
    server = world.make("server")
    body, asking = {"name": world.fresh()}, world.admin.session
    answer = act(world, server["id"], "createImage", body, session=asking)
    assert answer.status == 202
    path = f"/v2/images/{answer.body['image_id']}"

    def image():
        shown = world("GET", "image", path, session=asking).body
        return shown if shown["status"] == "active" else None

    try:
        made = world.wait(image, "the image")
        assert made["visibility"] == "shared"
        assert made["owner"] == asking.get_project_id()
        members = world("GET", "image", f"{path}/members", session=asking).body["members"]
        assert [(one["member_id"], one["status"]) for one in members] == [(world.project_id, "pending")]
    finally:
        world("DELETE", "image", path, session=asking)


def test_a_volume_is_attached_and_let_go(world):
    server, volume = world.make("server"), world.make("volume")
    path = f"/servers/{server['id']}/os-volume_attachments"
    answer = world("POST", "compute", path, {"volumeAttachment": {"volumeId": volume["id"]}})
    assert answer.status == 200
    shown = world.until("volume", volume["id"], "in-use")
    assert [one["server_id"] for one in shown["attachments"]] == [server["id"]]
    assert world("DELETE", "block-storage", f"/volumes/{volume['id']}").status == 400
    assert world("DELETE", "compute", f"{path}/{volume['id']}").status == 202
    world.until("volume", volume["id"], "available")


def test_a_volume_in_use_is_refused_to_another_server(world):
    first, second, volume = world.make("server"), world.make("server"), world.make("volume")
    path = "/servers/{}/os-volume_attachments"
    body = {"volumeAttachment": {"volumeId": volume["id"]}}
    assert world("POST", "compute", path.format(first["id"]), body).status == 200
    world.until("volume", volume["id"], "in-use")
    assert world("POST", "compute", path.format(second["id"]), body).status == 400


def test_a_server_group_counts_its_members(world):
    group = world.make("server_group")
    body = {
        "name": world.fresh(),
        "flavorRef": world.one("flavor")["id"],
        "imageRef": world.one("stored_image")["id"],
        "networks": [{"uuid": world.one("subnet")["network_id"]}],
    }
    hints = {"os:scheduler_hints": {"group": group["id"]}}
    answer = world("POST", "compute", "/servers", {"server": body, **hints})
    assert answer.status == 202
    identity = answer.body["server"]["id"]
    world.until("server", identity, "ACTIVE")
    shown = world.show("server_group", group["id"]).body["server_group"]
    assert shown["members"] == [identity]
    assert world("DELETE", "compute", f"/servers/{identity}").status == 204
    world.wait(lambda: world.show("server", identity).status == 404, "the server's end")
