from __future__ import annotations

import logging
import threading
import time

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service
from pumphouse.clouds import Clouds

from .conftest import QUICK, Reply

SERVERS = "/compute/v2.1/servers"
DETAIL = f"{SERVERS}/detail"


def test_get_gives_the_json_of_the_service(cloud, server):
    server.on("GET", f"{SERVERS}/s1", Reply(body={"server": {"id": "s1"}}))
    assert cloud.get(Service.COMPUTE, "/servers/s1") == {"server": {"id": "s1"}}
    assert server.requests[-1].headers["x-auth-token"] == server.tokens[0]


@pytest.mark.parametrize(("up_to", "sent"), [("2.96", "2.93"), ("2.47", "2.47"), ("2.1", "2.1")])
def test_a_call_uses_the_older_of_what_is_known_and_what_is_offered(cloud, server, up_to, sent):
    server.on("GET", f"{SERVERS}/s1", Reply(body={}))
    cloud.get(Service.COMPUTE, "/servers/s1", up_to=up_to)
    assert server.requests[-1].headers["openstack-api-version"] == f"compute {sent}"
    assert cloud.microversion(Service.COMPUTE, up_to) == sent


def test_a_call_without_up_to_asks_for_no_microversion(cloud, server):
    server.on("GET", f"{SERVERS}/s1", Reply(body={}))
    cloud.get(Service.COMPUTE, "/servers/s1")
    assert "openstack-api-version" not in server.requests[-1].headers


def test_volume_microversions_are_negotiated_too(cloud, server):
    server.on("GET", "/volume/v3/volumes/v1", Reply(body={}))
    cloud.get(Service.VOLUME, "/volumes/v1", up_to="3.99")
    assert server.requests[-1].headers["openstack-api-version"] == "volume 3.70"


def test_supports_and_services_without_microversions(cloud):
    assert cloud.supports(Service.COMPUTE, "2.93")
    assert not cloud.supports(Service.COMPUTE, "2.94")
    assert not cloud.supports(Service.IMAGE, "2.9")
    assert cloud.microversion(Service.IMAGE, "2.9") == ""


def test_discovery_happens_once_for_all_threads_and_projects(cloud, server):
    server.on("GET", f"{SERVERS}/s1", Reply(body={}))
    clouds = [cloud, cloud.within("p2"), cloud.within("p3")] * 4
    threads = [
        threading.Thread(target=each.get, args=(Service.COMPUTE, "/servers/s1"), kwargs={"up_to": "2.90"})
        for each in clouds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked("GET", f"{SERVERS}/s1")) == 12
    assert len(server.tokens) == 3
    discovery = [request for request in server.requests if request.path.rstrip("/") == "/compute/v2.1"]
    assert len(discovery) == 1


def test_within_has_a_token_of_that_project_and_keeps_it(cloud, server):
    other = cloud.within("p2")
    assert other.project_id == "p2"
    assert other.name == cloud.name
    assert cloud.project_id == "p1"
    assert cloud.within("p2") is other
    assert len(server.tokens) == 2


def test_within_gets_a_new_token_after_the_roles_have_changed(cloud, server):
    assert cloud.within("p2").project_id == "p2"
    assert cloud.within("p2", fresh=True).project_id == "p2"
    assert len(server.tokens) == 3


def test_within_a_project_where_the_operator_has_no_role(cloud, server):
    message = "The request you have made requires authentication."
    server.on("POST", "/identity/v3/auth/tokens", Reply(401, {"error": {"code": 401, "message": message}}))
    with pytest.raises(errors.Unauthorized) as caught:
        cloud.within("p2").get(Service.COMPUTE, "/servers")
    assert "HTTP 401" not in caught.value.message
    assert "a role in the project p2" in caught.value.next_step


def test_the_user_of_the_token(cloud):
    assert cloud.user_id == "u1"


def test_exists(cloud, server):
    server.on("HEAD", "/identity/v3/projects/p1/users/u/roles/r", Reply(204))
    server.on("GET", f"{SERVERS}/s1", Reply(body={}))
    assert cloud.exists(Service.IDENTITY, "/projects/p1/users/u/roles/r")
    assert not cloud.exists(Service.IDENTITY, "/projects/p1/users/u/roles/other")
    assert cloud.exists(Service.COMPUTE, "/servers/s1")
    assert not cloud.exists(Service.COMPUTE, "/servers/s2")


def test_post_put_and_patch_send_json(cloud, server):
    for method, call in (("POST", cloud.post), ("PUT", cloud.put), ("PATCH", cloud.patch)):
        server.on(method, "/network/v2.0/networks", Reply(201, {"network": {"id": "n"}}))
        assert call(Service.NETWORK, "/networks", {"network": {"name": "é"}}) == {"network": {"id": "n"}}
        assert server.requests[-1].json == {"network": {"name": "é"}}
        assert server.requests[-1].headers["content-type"] == "application/json"


def test_a_list_for_the_image_service_is_a_json_patch(cloud, server):
    server.on("PATCH", "/image/v2/images/i", Reply(body={"id": "i"}))
    cloud.patch(Service.IMAGE, "/images/i", [{"op": "replace", "path": "/name", "value": "x"}])
    assert server.requests[-1].headers["content-type"] == "application/openstack-images-v2.1-json-patch"


def test_an_empty_answer_is_an_empty_body_or_a_location(cloud, server):
    server.on(
        "POST", f"{SERVERS}/s/action", Reply(202), Reply(202, headers={"Location": "http://x/images/i"})
    )
    assert cloud.post(Service.COMPUTE, "/servers/s/action", {"suspend": None}) == {}
    assert cloud.post(Service.COMPUTE, "/servers/s/action", {}) == {"location": "http://x/images/i"}


def test_delete_says_whether_there_was_something(cloud, server):
    server.on("DELETE", f"{SERVERS}/s1", Reply(204), Reply(404, {}))
    assert cloud.delete(Service.COMPUTE, "/servers/s1") is True
    assert cloud.delete(Service.COMPUTE, "/servers/s1") is False


def test_delete_whose_first_answer_was_lost_did_remove_it(cloud, server):
    server.on("DELETE", f"{SERVERS}/s1", Reply(drop=True), Reply(404, {}))
    assert cloud.delete(Service.COMPUTE, "/servers/s1") is True


def test_an_answer_that_is_not_json_is_an_error_of_ours(cloud, server):
    server.on("GET", f"{SERVERS}/s1", Reply(200, b"<html>login here</html>", {"Content-Type": "text/html"}))
    with pytest.raises(errors.Unavailable, match="not JSON"):
        cloud.get(Service.COMPUTE, "/servers/s1")


def test_extensions_are_read_once(cloud, server):
    server.on("GET", "/network/v2.0/extensions", Reply(body={"extensions": [{"alias": "standard-attr-tag"}]}))
    assert cloud.has_extension("standard-attr-tag")
    assert not cloud.within("p2").has_extension("trunk")
    assert len(server.asked("GET", "/network/v2.0/extensions")) == 1


def test_a_service_that_the_catalogue_lacks(cloud, server):
    del server.services["network"]
    with pytest.raises(errors.Unavailable, match="no network service") as caught:
        cloud.within("p2").get(Service.NETWORK, "/networks/n")
    assert "region_name" in caught.value.next_step


def test_no_request_waits_for_ever(cloud, server, monkeypatch):
    released = threading.Event()

    def silent(request):
        released.wait(20)
        return Reply()

    for adapter in cloud._sender.region.get_session().session.adapters.values():
        monkeypatch.setattr(adapter, "_timeout", (1, 0.1))
    server.on("GET", f"{SERVERS}/s1", silent)
    start = time.monotonic()
    with pytest.raises(errors.Unavailable):
        cloud.get(Service.COMPUTE, "/servers/s1")
    released.set()
    assert time.monotonic() - start < 5
    assert len(server.asked("GET", f"{SERVERS}/s1")) == 4


def test_a_netrc_gives_no_password_to_a_cloud(cloud, server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.on("GET", f"{SERVERS}/s1", Reply(body={}))
    cloud.get(Service.COMPUTE, "/servers/s1")
    assert "authorization" not in server.requests[-1].headers


def test_a_proxy_of_the_environment_is_used(clouds_yaml, server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    clouds_yaml.write_text(clouds_yaml.read_text().replace(server.url, "http://cloud.example"))
    Clouds(settings=QUICK, files=[str(clouds_yaml)]).open("here").close()
    assert {request.headers["host"] for request in server.requests} == {"cloud.example"}


def test_every_request_is_logged_and_no_secret_ever(cloud, server, caplog):
    caplog.set_level(logging.DEBUG)
    server.on(
        "POST", "/identity/v3/users", Reply(201, {"user": {"id": "u"}}, {"x-openstack-request-id": "req-7"})
    )
    server.on("GET", "/image/v2/images", Reply(body={"images": []}))
    other = cloud.within("p2", fresh=True)
    other.post(Service.IDENTITY, "/users", {"user": {"name": "n", "password": "s3cr3t-pw"}})
    other.list(Service.IMAGE, "/images", "images", params={"name": "in-the-query"})
    ours = [record.getMessage() for record in caplog.records if record.name == "pumphouse.clouds.requests"]
    assert any("POST /users: 201 in" in line and "req-7" in line for line in ours)
    assert not any("in-the-query" in line for line in ours)
    everything = caplog.text
    for secret in ("s3cr3t-pw", "hush-hush", *server.tokens):
        assert secret not in everything
