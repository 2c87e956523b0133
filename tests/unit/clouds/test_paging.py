from __future__ import annotations

import pytest

from pumphouse import errors
from pumphouse.cloud_api import Service

from .conftest import Reply

DETAIL = "/compute/v2.1/servers/detail"


def numbered(*, key, total, page, link):
    """A collection that honours limit and marker, and tells of the next page as its service does."""
    ids = [f"id-{number:03d}" for number in range(total)]

    def reply(request):
        after = request.query.get("marker", [""])[0]
        start = ids.index(after) + 1 if after else 0
        found = [{"id": id} for id in ids[start : start + page]]
        more = start + page < total
        return Reply(body={key: found, **(link(request, found[-1]["id"]) if more else {})})

    return reply


def compute_link(request, last):
    return {
        "servers_links": [{"rel": "next", "href": f"http://elsewhere/v2.1/servers?marker={last}&limit=2"}]
    }


def image_link(request, last):
    return {"next": f"/v2/images?marker={last}&limit=2"}


def identity_link(request, last):
    return {"links": {"next": f"http://elsewhere/v3/users?marker={last}", "self": "x"}}


@pytest.mark.parametrize(
    ("service", "url", "path", "key", "link"),
    [
        (Service.COMPUTE, DETAIL, "/servers/detail", "servers", compute_link),
        (Service.IMAGE, "/image/v2/images", "/images", "images", image_link),
        (Service.IDENTITY, "/identity/v3/users", "/users", "users", identity_link),
    ],
)
def test_links_are_followed_on_our_own_address(cloud, server, service, url, path, key, link):
    server.on("GET", url, numbered(key=key, total=7, page=2, link=link))
    pages = list(cloud.pages(service, path, key, params={"all_tenants": 1}))
    assert [len(page) for page in pages] == [2, 2, 2, 1]
    assert len({item["id"] for page in pages for item in page}) == 7
    assert all(request.query["all_tenants"] == ["1"] for request in server.asked("GET", url))


def test_without_links_the_last_id_is_the_marker(cloud, server):
    server.on("GET", "/network/v2.0/ports", numbered(key="ports", total=5, page=2, link=lambda *_: {}))
    found = cloud.list(Service.NETWORK, "/ports", "ports", params={"limit": 2})
    assert [item["id"] for item in found] == [f"id-00{number}" for number in range(5)]


def test_a_service_that_ignores_the_limit_has_sent_everything(cloud, server):
    server.on("GET", "/network/v2.0/ports", Reply(body={"ports": [{"id": str(n)} for n in range(5)]}))
    assert len(cloud.list(Service.NETWORK, "/ports", "ports", params={"limit": 2})) == 5
    assert len(server.asked("GET", "/network/v2.0/ports")) == 1


@pytest.mark.parametrize("links", [True, False])
def test_an_ignored_marker_is_found_out(cloud, server, links):
    link = {"servers_links": [{"rel": "next", "href": "http://x/servers?marker=b&limit=2"}]} if links else {}
    server.on("GET", DETAIL, Reply(body={"servers": [{"id": "a"}, {"id": "b"}], **link}))
    with pytest.raises(errors.Unavailable, match="ignores the marker"):
        cloud.list(Service.COMPUTE, "/servers/detail", "servers", params={"limit": 2})
    assert len(server.asked("GET", DETAIL)) == 2


def test_links_in_a_circle_are_found_out(cloud, server):
    def circle(request):
        turn = request.query.get("marker", ["0"])[0]
        return Reply(
            body={
                "servers": [{"id": f"{turn}-{len(server.requests)}"}],
                "servers_links": [{"rel": "next", "href": f"http://x/?marker={(int(turn) + 1) % 3}"}],
            }
        )

    server.on("GET", DETAIL, circle)
    with pytest.raises(errors.Unavailable, match="in circles"):
        cloud.list(Service.COMPUTE, "/servers/detail", "servers")


def test_server_groups_are_paged_by_offset(cloud, server):
    def reply(request):
        start = int(request.query.get("offset", ["0"])[0])
        return Reply(body={"server_groups": [{"id": str(n)} for n in range(5)][start : start + 2]})

    server.on("GET", "/compute/v2.1/os-server-groups", reply)
    found = cloud.list(Service.COMPUTE, "/os-server-groups", "server_groups", params={"limit": 2})
    assert [item["id"] for item in found] == list("01234")


def test_what_lies_on_a_storage_is_asked_for_until_there_is_no_more(cloud, server):
    """The service cuts the list at less than was asked for, and gives no link."""

    def reply(request):
        start = int(request.query.get("offset", ["0"])[0])
        return Reply(body={"manageable-volumes": [{"size": n} for n in range(5)][start : start + 2]})

    server.on("GET", "/volume/v3/manageable_volumes/detail", reply)
    found = cloud.list(Service.VOLUME, "/manageable_volumes/detail", "manageable-volumes")
    assert [item["size"] for item in found] == list(range(5))


def test_key_pairs_are_paged_by_name_and_left_wrapped(cloud, server):
    def reply(request):
        if "marker" in request.query:
            assert request.query["marker"] == ["b"]
            return Reply(body={"keypairs": [{"keypair": {"name": "c"}}]})
        return Reply(body={"keypairs": [{"keypair": {"name": "a"}}, {"keypair": {"name": "b"}}]})

    server.on("GET", "/compute/v2.1/os-keypairs", reply)
    found = cloud.list(Service.COMPUTE, "/os-keypairs", "keypairs", params={"limit": 2})
    assert [item["keypair"]["name"] for item in found] == ["a", "b", "c"]


def test_a_list_that_keystone_has_cut_is_an_error(cloud, server):
    server.on("GET", "/identity/v3/users", Reply(body={"users": [{"id": "1"}], "truncated": True}))
    with pytest.raises(errors.Unavailable, match="cut the list after 1"):
        cloud.list(Service.IDENTITY, "/users", "users")


def test_an_answer_without_the_collection_is_an_error(cloud, server):
    server.on("GET", DETAIL, Reply(body={"flavors": []}))
    with pytest.raises(errors.Unavailable, match="no 'servers'"):
        cloud.list(Service.COMPUTE, "/servers/detail", "servers")


def test_a_large_page_is_asked_for_only_where_a_limit_is_known(cloud, server):
    server.on("GET", DETAIL, Reply(body={"servers": []}))
    server.on("GET", "/compute/v2.1/os-services", Reply(body={"services": []}))
    cloud.list(Service.COMPUTE, "/servers/detail", "servers")
    assert server.requests[-1].query == {"limit": ["1000"]}
    cloud.list(Service.COMPUTE, "/os-services", "services")
    assert server.requests[-1].query == {}
