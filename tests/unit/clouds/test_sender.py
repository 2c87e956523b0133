from __future__ import annotations

import email.utils
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests
import yaml

from pumphouse import errors
from pumphouse.cloud_api import Service, remove
from pumphouse.clouds import Clouds
from pumphouse.clouds.call import retry_after

from .conftest import QUICK, Reply, entry

SERVERS = "/compute/v2.1/servers"
BAD_TOKEN = Reply(401, {"error": {"code": 401, "message": "expired"}})
LOST = [Reply(drop=True), Reply(500, {}), Reply(502, {}), Reply(504, {}), Reply(200, {"a": "b" * 99}, cut=20)]
LOST_IDS = ["reset", "500", "502", "504", "half-an-answer"]
REFUSED = [Reply(503, {}), Reply(429, {})]


@pytest.mark.faults
@pytest.mark.parametrize("fault", LOST + REFUSED)
@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_what_may_be_done_twice_is_done_again(cloud, server, fault, method):
    server.on(method.upper(), f"{SERVERS}/s1", fault, fault, Reply(200, {"ok": 1}))
    getattr(cloud, method)(Service.COMPUTE, "/servers/s1")
    assert len(server.asked(method.upper(), f"{SERVERS}/s1")) == 3


@pytest.mark.faults
@pytest.mark.parametrize("fault", LOST, ids=LOST_IDS)
def test_a_post_whose_answer_was_lost_is_never_sent_twice(cloud, server, fault):
    server.on("POST", SERVERS, fault)
    with pytest.raises(errors.Unsure) as caught:
        cloud.post(Service.COMPUTE, "/servers", {"server": {}})
    assert len(server.asked("POST", SERVERS)) == 1
    assert caught.value.method == "POST"
    assert caught.value.cloud == "here"


@pytest.mark.faults
@pytest.mark.parametrize("fault", REFUSED, ids=["503", "429"])
def test_a_post_that_was_refused_before_it_was_applied_is_sent_again(cloud, server, fault):
    server.on("POST", SERVERS, fault, Reply(202, {"server": {"id": "s"}}))
    assert cloud.post(Service.COMPUTE, "/servers", {"server": {}}) == {"server": {"id": "s"}}


SETTINGS = {
    "/flavors/f/os-extra_specs": {"extra_specs": {}},
    "/flavors/f/action": {"addTenantAccess": {"tenant": "p"}},
    "/servers/s/action": {"lock": None},
}


@pytest.mark.faults
@pytest.mark.parametrize("path", SETTINGS)
def test_a_post_that_only_sets_something_is_sent_again(cloud, server, path):
    server.on("POST", f"/compute/v2.1{path}", Reply(drop=True), Reply(502, {}), Reply(200, {}))
    cloud.post(Service.COMPUTE, path, SETTINGS[path])
    assert len(server.asked("POST", f"/compute/v2.1{path}")) == 3


@pytest.mark.faults
def test_an_action_that_does_something_is_sent_once(cloud, server):
    server.on("POST", "/compute/v2.1/servers/s/action", Reply(drop=True))
    with pytest.raises(errors.Unsure):
        cloud.post(Service.COMPUTE, "/servers/s/action", {"os-stop": None})
    assert len(server.asked("POST", "/compute/v2.1/servers/s/action")) == 1


@pytest.mark.faults
def test_a_removal_that_is_answered_by_404_is_believed_only_if_it_is_gone(cloud, server):
    path = "/image/v2/images/i"
    server.on("DELETE", path, Reply(404, {}))
    server.on("GET", path, Reply(200, {"id": "i"}))
    with pytest.raises(errors.Unavailable, match="yet it is there"):
        remove(cloud, Service.IMAGE, "/images/i")
    server.on("GET", path, Reply(404, {}))
    remove(cloud, Service.IMAGE, "/images/i")


@pytest.mark.faults
def test_something_that_is_not_json_leaves_a_post_unsure(cloud, server):
    server.on("POST", SERVERS, Reply(200, b"<html>"))
    with pytest.raises(errors.Unsure, match="not JSON"):
        cloud.post(Service.COMPUTE, "/servers", {})


def test_a_post_to_a_closed_port_was_certainly_not_applied(tmp_path, server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/v2.1"
    path = tmp_path / "clouds.yaml"
    more = {"compute_endpoint_override": closed, "compute_api_version": "2"}
    path.write_text(yaml.safe_dump({"clouds": {"here": entry(server, **more)}}))
    cloud = Clouds(settings=QUICK, files=[str(path)]).open("here")
    with pytest.raises(errors.Unavailable) as caught:
        cloud.post(Service.COMPUTE, "/servers", {})
    assert not isinstance(caught.value, errors.Unsure)
    cloud.close()


@pytest.mark.faults
def test_a_router_interface_is_an_action_though_it_is_a_put(cloud, server):
    path = "/network/v2.0/routers/r/add_router_interface"
    server.on("PUT", path, Reply(drop=True))
    with pytest.raises(errors.Unsure):
        cloud.put(Service.NETWORK, "/routers/r/add_router_interface", {"port_id": "p"})
    assert len(server.asked("PUT", path)) == 1


@pytest.mark.faults
@pytest.mark.parametrize(("op", "times"), [("replace", 2), ("remove", 1)])
def test_a_json_patch_is_repeated_unless_it_removes(cloud, server, op, times):
    server.on("PATCH", "/image/v2/images/i", Reply(drop=True), Reply(200, {}))
    patch = [{"op": op, "path": "/x", "value": "y"}]
    if times == 1:
        with pytest.raises(errors.Unsure):
            cloud.patch(Service.IMAGE, "/images/i", patch)
    else:
        cloud.patch(Service.IMAGE, "/images/i", patch)
    assert len(server.asked("PATCH", "/image/v2/images/i")) == times


@pytest.mark.faults
def test_it_gives_up_in_the_end(cloud, server):
    server.on("GET", f"{SERVERS}/s1", Reply(503, {"message": "closed"}, {"x-openstack-request-id": "req-1"}))
    with pytest.raises(errors.Unavailable, match="answered 503: closed") as caught:
        cloud.get(Service.COMPUTE, "/servers/s1")
    assert len(server.asked("GET", f"{SERVERS}/s1")) == QUICK.limits.attempts
    assert caught.value.request_id == "req-1"


@pytest.mark.faults
def test_a_request_that_is_wrong_is_sent_once(cloud, server):
    server.on("GET", f"{SERVERS}/s1", Reply(400, {"badRequest": {"message": "no", "code": 400}}))
    with pytest.raises(errors.BadRequest):
        cloud.get(Service.COMPUTE, "/servers/s1")
    assert len(server.asked("GET", f"{SERVERS}/s1")) == 1


@pytest.mark.faults
def test_retry_after_is_kept_up_to_the_longest_wait(cloud, server):
    server.on("GET", f"{SERVERS}/s1", Reply(503, {}, {"Retry-After": "3600"}), Reply(200, {}))
    start = time.monotonic()
    cloud.get(Service.COMPUTE, "/servers/s1")
    assert QUICK.limits.longest_wait <= time.monotonic() - start < 4 * QUICK.limits.longest_wait


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_expired_token_is_replaced_once(cloud, server, method):
    server.on(method.upper(), SERVERS, BAD_TOKEN, Reply(200, {}))
    args = [{}] if method == "post" else []
    getattr(cloud, method)(Service.COMPUTE, "/servers", *args)
    assert len(server.tokens) == 2
    assert server.requests[-1].headers["x-auth-token"] == server.tokens[-1]


def test_a_new_token_takes_the_old_ones_place_at_once(cloud, server):
    """keystoneauth gives one to another thread at any moment, and fails if there is none."""
    server.on("GET", SERVERS, Reply(200, {}))
    cloud.get(Service.COMPUTE, "/servers")
    access = cloud._sender.region.get_session().auth
    cloud._sender.reauthenticate()
    assert access.auth_ref is not None
    seen = []
    server.on("POST", "/identity/v3/auth/tokens", lambda *_: seen.append(access.auth_ref) or server.token(*_))
    cloud.get(Service.COMPUTE, "/servers")
    assert [one is not None for one in seen] == [True]
    assert server.requests[-1].headers["x-auth-token"] == server.tokens[-1] == access.auth_ref.auth_token


def test_a_token_that_is_refused_again_is_an_error(cloud, server):
    server.on("GET", SERVERS, BAD_TOKEN)
    with pytest.raises(errors.Unauthorized):
        cloud.get(Service.COMPUTE, "/servers")
    assert len(server.asked("GET", SERVERS)) == 2


@pytest.mark.faults
def test_trouble_of_the_identity_service_before_a_post_does_no_harm(cloud, server):
    server.on("POST", SERVERS, Reply(202, {}))
    server.on("POST", "/identity/v3/auth/tokens", Reply(drop=True), Reply(503, {}), server.token)
    cloud.within("p2").post(Service.COMPUTE, "/servers", {})
    assert len(server.asked("POST", SERVERS)) == 1


def response(header):
    found = requests.Response()
    if header is not None:
        found.headers["Retry-After"] = header
    return found


def test_retry_after_is_seconds_or_a_date():
    date = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after(response("7")) == 7
    assert 25 < (retry_after(response(date)) or 0) <= 30
    assert retry_after(response("Mon, 01 Jan 2001 00:00:00 GMT")) == 0
    assert retry_after(response("soon")) is None
    assert retry_after(response(None)) is None
