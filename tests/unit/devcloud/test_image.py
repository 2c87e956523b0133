"""The image service's rules, over HTTP."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from pumphouse.devcloud import ADMIN_PASSWORD, DevCloud
from pumphouse.devcloud.client import ApiError, Client

PATCH = "application/openstack-images-v2.1-json-patch"
DATA = bytes(range(256)) * 2000


@pytest.fixture
def cloud(make_cloud: Callable[..., DevCloud]) -> DevCloud:
    return make_cloud("one", seed=1)


@pytest.fixture
def admin(cloud: DevCloud) -> Iterator[Client]:
    with Client(cloud.url, username="admin", password=ADMIN_PASSWORD, project="admin") as client:
        yield client


@pytest.fixture
def users(admin: Client, cloud: DevCloud) -> Iterator[dict[str, Client]]:
    """Two members of two projects."""
    clients = {}
    role = admin.get("identity", "/roles?name=member")["roles"][0]["id"]
    for name in ("ann", "bob"):
        project = admin.post("identity", "/projects", {"project": {"name": name}})["project"]["id"]
        body = {"user": {"name": name, "password": "fake"}}
        user_id = admin.post("identity", "/users", body)["user"]["id"]
        admin.put("identity", f"/projects/{project}/users/{user_id}/roles/{role}")
        clients[name] = Client(cloud.url, username=name, password="fake", project=name)
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def ann(users: dict[str, Client]) -> Client:
    return users["ann"]


@pytest.fixture
def bob(users: dict[str, Client]) -> Client:
    return users["bob"]


def make(client: Client, **values: Any) -> dict[str, Any]:
    body = {"name": "disk", "disk_format": "raw", "container_format": "bare", **values}
    found: dict[str, Any] = client.post("image", "/images", body)
    return found


def upload(client: Client, image_id: str, data: bytes = DATA) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    client.request("image", "PUT", f"/images/{image_id}/file", data=data, headers=headers)


def patch(client: Client, image_id: str, *operations: dict[str, Any], media: str = PATCH) -> dict[str, Any]:
    headers = {"Content-Type": media}
    found: dict[str, Any] = client.request(
        "image", "PATCH", f"/images/{image_id}", list(operations), headers=headers
    ).json
    return found


def status_of(call: Callable[..., Any], *args: Any, **values: Any) -> int:
    """The status of the refusal."""
    with pytest.raises(ApiError) as error:
        call(*args, **values)
    return error.value.status


def test_from_queued_to_active_with_the_real_hashes(ann: Client) -> None:
    image = make(ann, hw_firmware_type="uefi", tags=["b", "a", "b"])
    assert (image["status"], image["size"], image["visibility"]) == ("queued", None, "shared")
    assert image["hw_firmware_type"] == "uefi"
    assert image["tags"] == ["a", "b"]
    assert ann.request("image", "GET", f"/images/{image['id']}/file").status == 204
    upload(ann, image["id"])
    seen = ann.get("image", f"/images/{image['id']}")
    assert (seen["status"], seen["size"]) == ("active", len(DATA))
    assert seen["checksum"] == hashlib.md5(DATA).hexdigest()
    assert seen["os_hash_algo"] == "sha512"
    assert seen["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    answer = ann.request("image", "GET", f"/images/{image['id']}/file")
    assert (answer.content, answer.headers["Content-MD5"]) == (DATA, seen["checksum"])
    assert status_of(upload, ann, image["id"]) == 409
    part = ann.request("image", "GET", f"/images/{image['id']}/file", headers={"Range": "bytes=10-19"})
    assert (part.status, part.content) == (206, DATA[10:20])


def test_holes_are_kept_and_hashed(ann: Client, cloud: DevCloud) -> None:
    data = b"boot" + bytes(8 << 20) + b"end"
    image = make(ann)
    upload(ann, image["id"], data)
    seen = ann.get("image", f"/images/{image['id']}")
    assert seen["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert ann.request("image", "GET", f"/images/{image['id']}/file").content == data
    used = cloud.files.path("images", image["id"]).stat().st_blocks * 512
    assert used < 4 << 20


def test_chunked_upload(ann: Client) -> None:
    image = make(ann)
    headers = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
    chunks = (DATA[place : place + 1000] for place in range(0, len(DATA), 1000))
    # http.client frames an iterable body itself when it is told no length.
    del headers["Transfer-Encoding"]
    ann.request("image", "PUT", f"/images/{image['id']}/file", data=chunks, headers=headers)
    assert ann.get("image", f"/images/{image['id']}")["checksum"] == hashlib.md5(DATA).hexdigest()


def test_a_broken_upload_leaves_the_image_queued(ann: Client, cloud: DevCloud) -> None:
    image = make(ann)
    with socket.create_connection(("127.0.0.1", urlsplit(cloud.url).port or 0)) as raw:
        head = f"PUT /image/v2/images/{image['id']}/file HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        head += f"Content-Type: application/octet-stream\r\nX-Auth-Token: {ann._token}\r\n\r\n"
        raw.sendall(head.encode() + b"x" * 5000)
        ann.wait("image", f"/images/{image['id']}", lambda found: found["status"] == "saving", seconds=5)
    seen = ann.wait("image", f"/images/{image['id']}", lambda found: found["status"] != "saving", seconds=5)
    assert (seen["status"], seen["size"], seen["checksum"]) == ("queued", None, None)
    upload(ann, image["id"])
    assert ann.get("image", f"/images/{image['id']}")["status"] == "active"


def test_upload_needs_formats_and_octets(ann: Client) -> None:
    image = make(ann, disk_format=None)
    assert status_of(upload, ann, image["id"]) == 400
    other = make(ann)["id"]
    assert status_of(ann.request, "image", "PUT", f"/images/{other}/file", data=b"x") == 415


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"status": "active"}, 403),
        ({"os_glance_x": "1"}, 403),
        ({"owner": "somebody-else"}, 403),
        ({"visibility": "public"}, 403),
        ({"visibility": "secret"}, 400),
        ({"disk_format": "floppy"}, 400),
        ({"min_ram": -1}, 400),
        ({"hw_cores": 4}, 400),
        ({"id": "not-a-uuid"}, 400),
    ],
)
def test_wrong_records_are_refused(ann: Client, values: dict[str, Any], status: int) -> None:
    assert status_of(make, ann, **values) == status


def test_ids_are_taken_for_ever(ann: Client) -> None:
    image_id = str(uuid.uuid4())
    assert make(ann, id=image_id)["id"] == image_id
    assert status_of(make, ann, id=image_id) == 409
    ann.delete("image", f"/images/{image_id}")
    assert status_of(ann.get, "image", f"/images/{image_id}") == 404
    assert status_of(make, ann, id=image_id) == 409


def test_patch(ann: Client, admin: Client) -> None:
    image_id = make(ann, os_distro="debian", kernel_id="k")["id"]
    changed = patch(
        ann,
        image_id,
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/os_version", "value": "12"},
        {"op": "replace", "path": "/os_distro", "value": "ubuntu"},
        {"op": "remove", "path": "/kernel_id"},
        {"op": "replace", "path": "/tags", "value": ["x"]},
        {"op": "replace", "path": "/protected", "value": True},
    )
    assert (changed["name"], changed["os_version"], changed["os_distro"]) == ("new", "12", "ubuntu")
    assert "kernel_id" not in changed
    assert changed["tags"] == ["x"]
    refused = [
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
        ({"op": "remove", "path": "/nothing"}, 409),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/checksum", "value": "x"}, 403),
        ({"op": "replace", "path": "/owner", "value": "x"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "move", "path": "/name"}, 400),
        ({"op": "add", "path": "name", "value": "x"}, 400),
    ]
    for operation, status in refused:
        assert (
            status_of(patch, ann, image_id, {"op": "add", "path": "/half", "value": "y"}, operation) == status
        )
    assert "half" not in ann.get("image", f"/images/{image_id}")
    assert status_of(patch, ann, image_id, media="application/json") == 415
    old = "application/openstack-images-v2.0-json-patch"
    assert patch(ann, image_id, {"replace": "/name", "value": "older"}, media=old)["name"] == "older"
    assert status_of(ann.delete, "image", f"/images/{image_id}") == 403
    patch(admin, image_id, {"op": "replace", "path": "/owner", "value": admin.project_id})
    assert status_of(patch, ann, image_id, {"op": "replace", "path": "/name", "value": "x"}) == 404


def test_visibility(ann: Client, bob: Client, admin: Client) -> None:
    images = {
        visibility: make(admin if visibility == "public" else ann, name=visibility, visibility=visibility)[
            "id"
        ]
        for visibility in ("public", "private", "shared", "community")
    }

    def listed(client: Client, query: str = "") -> set[str]:
        return {row["name"] for row in client.get("image", f"/images{query}")["images"]}

    assert listed(bob) == {"public"}
    assert listed(bob, "?visibility=community") == {"community"}
    assert listed(ann) == set(images)
    assert listed(admin) >= {"public", "private", "shared"}
    assert bob.get("image", f"/images/{images['community']}")["name"] == "community"
    for hidden in ("private", "shared"):
        assert status_of(bob.get, "image", f"/images/{images[hidden]}") == 404
    assert status_of(bob.delete, "image", f"/images/{images['public']}") == 403
    patch(ann, images["private"], {"op": "replace", "path": "/os_hidden", "value": True})
    assert "private" not in listed(ann)
    assert listed(ann, "?os_hidden=true") == {"private"}


def test_members(ann: Client, bob: Client) -> None:
    image_id = make(ann, name="offer")["id"]
    path = f"/images/{image_id}/members"
    made = ann.post("image", path, {"member": bob.project_id})
    assert (made["member_id"], made["status"]) == (bob.project_id, "pending")
    assert status_of(ann.post, "image", path, {"member": bob.project_id}) == 409
    assert bob.get("image", "/images")["images"] == []
    assert [row["id"] for row in bob.get("image", "/images?member_status=pending")["images"]] == [image_id]
    assert status_of(ann.put, "image", f"{path}/{bob.project_id}", {"status": "accepted"}) == 403
    assert bob.put("image", f"{path}/{bob.project_id}", {"status": "accepted"})["status"] == "accepted"
    assert [row["id"] for row in bob.get("image", "/images")["images"]] == [image_id]
    assert status_of(bob.post, "image", path, {"member": "another"}) == 403
    ann.delete("image", f"{path}/{bob.project_id}")
    assert status_of(bob.get, "image", f"/images/{image_id}") == 404
    private = make(ann, visibility="private")["id"]
    assert status_of(ann.post, "image", f"/images/{private}/members", {"member": bob.project_id}) == 403


def test_lists_page_and_filter(ann: Client) -> None:
    made = [make(ann, name=f"n{number}", tags=[f"t{number % 2}"])["id"] for number in range(5)]
    seen, path = [], "/images?limit=2&visibility=shared"
    while path:
        found = ann.get("image", path)
        seen += [row["id"] for row in found["images"]]
        assert found["first"] == "/v2/images?limit=2&visibility=shared"
        path = found.get("next", "").removeprefix("/v2")
    assert seen == made[::-1]
    assert [row["name"] for row in ann.get("image", "/images?tag=t1&sort=name:asc")["images"]] == ["n1", "n3"]
    assert [row["name"] for row in ann.get("image", "/images?name=n3&status=queued")["images"]] == ["n3"]
    assert status_of(ann.get, "image", "/images?marker=nowhere") == 400


def test_deactivated_bytes_are_for_admins(ann: Client, admin: Client) -> None:
    image_id = make(ann)["id"]
    assert status_of(ann.post, "image", f"/images/{image_id}/actions/deactivate", None) == 403
    upload(ann, image_id)
    ann.post("image", f"/images/{image_id}/actions/deactivate", None)
    assert status_of(ann.request, "image", "GET", f"/images/{image_id}/file") == 403
    assert admin.request("image", "GET", f"/images/{image_id}/file").content == DATA
    admin.post("image", f"/images/{image_id}/actions/reactivate", None)
    assert ann.request("image", "GET", f"/images/{image_id}/file").content == DATA


def active(client: Client, image_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.wait(
        "image", f"/images/{image_id}", lambda seen: seen["status"] not in ("importing", "saving"), seconds=10
    )
    return found


def test_staged_import(ann: Client) -> None:
    image_id = make(ann)["id"]
    direct = {"method": {"name": "glance-direct"}}
    assert status_of(ann.post, "image", f"/images/{image_id}/import", direct) == 409
    headers = {"Content-Type": "application/octet-stream"}
    ann.request("image", "PUT", f"/images/{image_id}/stage", data=DATA, headers=headers)
    assert ann.get("image", f"/images/{image_id}")["status"] == "uploading"
    ann.request("image", "POST", f"/images/{image_id}/import", direct)
    seen = active(ann, image_id)
    assert (seen["status"], seen["checksum"]) == ("active", hashlib.md5(DATA).hexdigest())
    copy_id = make(ann)["id"]
    method = {"name": "glance-download", "glance_region": "RegionOne", "glance_image_id": image_id}
    ann.request("image", "POST", f"/images/{copy_id}/import", {"method": method})
    assert active(ann, copy_id)["checksum"] == seen["checksum"]


@pytest.fixture
def web_server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/disk"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(DATA) if found else 0))
            self.end_headers()
            self.wfile.write(DATA if found else b"")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_web_download(ann: Client, web_server: str) -> None:
    image_id = make(ann)["id"]
    path = f"/images/{image_id}/import"
    ann.request("image", "POST", path, {"method": {"name": "web-download", "uri": f"{web_server}/none"}})
    failed = active(ann, image_id)
    assert (failed["status"], failed["os_glance_failed_import"]) == ("queued", "file")
    ann.request("image", "POST", path, {"method": {"name": "web-download", "uri": f"{web_server}/disk"}})
    assert active(ann, image_id)["checksum"] == hashlib.md5(DATA).hexdigest()
    other = f"/images/{make(ann)['id']}/import"
    outside = {"method": {"name": "web-download", "uri": "http://example.org/disk"}}
    assert status_of(ann.post, "image", other, outside) == 400


def test_faults_are_pages(ann: Client) -> None:
    with pytest.raises(ApiError) as error:
        ann.get("image", "/images/none")
    assert b"<title>404 Not Found</title>" in error.value.body
