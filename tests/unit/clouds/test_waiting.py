from __future__ import annotations

import gc
import threading

import pytest

from pumphouse import errors
from pumphouse.clouds.waiting import ALONE, Waiter

from .conftest import Reply

SERVERS = "/compute/v2.1/servers"
DETAIL = f"{SERVERS}/detail"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Servers:
    """Servers whose states the test sets."""

    def __init__(self, server):
        self.scripted = server
        self.status = {}
        server.on("GET", DETAIL, self.listing)

    def add(self, *ids):
        for id in ids:
            self.status[id] = "BUILD"
            self.scripted.on("GET", f"{SERVERS}/{id}", self.one)

    def one(self, request):
        id = request.path.rsplit("/", 1)[1]
        if id not in self.status:
            return Reply(404, {})
        return Reply(body={"server": {"id": id, "status": self.status[id], "tags": []}})

    def listing(self, request):
        found = [{"id": id, "status": status} for id, status in self.status.items()]
        return Reply(body={"servers": found})

    def requests(self):
        made = [request for request in self.scripted.requests if request.path.startswith(SERVERS)]
        return [request.path.removeprefix(SERVERS).strip("/") for request in made]


@pytest.fixture
def servers(server):
    return Servers(server)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def waiter(cloud, clock):
    return Waiter(cloud, interval=2.0, clock=clock)


def test_many_waits_are_one_listing_per_interval(servers, waiter, clock):
    ids = [f"s{number}" for number in range(50)]
    servers.add(*ids)
    for id in ids:
        assert waiter.look("server", id, "p1")["status"] == "BUILD"
    for turn in range(1, 4):
        before = len(servers.requests())
        servers.status = dict.fromkeys(ids, f"STATE-{turn}")
        clock.now += 2.0
        assert {waiter.look("server", id, "p1")["status"] for id in ids} == {f"STATE-{turn}"}
        assert {waiter.look("server", id, "p1")["status"] for id in ids} == {f"STATE-{turn}"}
        assert servers.requests()[before:] == ["detail"]


def test_one_wait_alone_is_asked_for_by_itself(servers, waiter, clock):
    servers.add("s1", "other")
    for _ in range(3):
        waiter.look("server", "s1", "p1")
        clock.now += 2.0
    assert servers.requests() == ["s1", "s1", "s1"]


def test_within_the_interval_nothing_is_asked(servers, waiter, clock):
    servers.add("s1")
    waiter.look("server", "s1", "p1")
    clock.now += 2.0
    waiter.look("server", "s1", "p1")
    for _ in range(10):
        clock.now += 0.1
        waiter.look("server", "s1", "p1")
    assert len(servers.requests()) == 2


def test_another_project_is_listed_by_the_operator(server, servers, waiter, clock):
    ids = [f"s{number}" for number in range(ALONE + 1)]
    servers.add(*ids)
    for project in ("p1", "p2"):
        for id in ids:
            waiter.look("server", id, project)
    clock.now += 2.0
    waiter.look("server", "s0", "p1")
    assert "all_tenants" not in server.asked("GET", DETAIL)[-1].query
    waiter.look("server", "s0", "p2")
    assert server.asked("GET", DETAIL)[-1].query["all_tenants"] == ["1"]
    assert server.asked("GET", DETAIL)[-1].query["project_id"] == ["p2"]


def test_gone_is_said_only_after_a_404(servers, waiter, clock):
    ids = [f"s{number}" for number in range(ALONE + 2)]
    servers.add(*ids)
    for id in ids:
        waiter.look("server", id, "p1")
    del servers.status["s0"]
    servers.scripted.on("GET", DETAIL, Reply(body={"servers": []}))
    clock.now += 2.0
    assert waiter.look("server", "s0", "p1") is None
    assert waiter.look("server", "s1", "p1")["status"] == "BUILD"


def test_what_was_never_there_is_none(waiter):
    assert waiter.look("server", "nothing", "p1") is None


def test_one_that_is_made_after_the_listing_is_asked_for(servers, waiter):
    servers.add("s1")
    waiter.look("server", "s1", "p1")
    servers.add("s2")
    assert waiter.look("server", "s2", "p1")["status"] == "BUILD"


def test_forget_asks_anew(servers, waiter):
    servers.add("s1")
    waiter.look("server", "s1", "p1")
    servers.status["s1"] = "ACTIVE"
    assert waiter.look("server", "s1", "p1")["status"] == "BUILD"
    waiter.forget("server", "s1", "p1")
    assert waiter.look("server", "s1", "p1")["status"] == "ACTIVE"


def test_waits_that_have_ended_are_no_longer_read(servers, waiter, clock):
    servers.add("s1", "s2")
    waiter.look("server", "s1", "p1")
    for _ in range(20):
        waiter.look("server", "s2", "p1")
        clock.now += 2.0
    before = len(servers.requests())
    waiter.look("server", "s2", "p1")
    assert servers.requests()[before:] == ["s2"]


def test_readers_do_not_wait_for_the_one_that_reads(servers, waiter, clock):
    servers.add("s1")
    waiter.look("server", "s1", "p1")
    reading, release = threading.Event(), threading.Event()

    def slow(request):
        reading.set()
        release.wait(5)
        return Reply(body={"server": {"id": "s1", "status": "ACTIVE"}})

    servers.scripted.on("GET", f"{SERVERS}/s1", slow)
    clock.now += 2.0
    thread = threading.Thread(target=waiter.look, args=("server", "s1", "p1"))
    thread.start()
    assert reading.wait(5)
    before = len(servers.requests())
    assert waiter.look("server", "s1", "p1")["status"] == "BUILD"
    assert len(servers.requests()) == before
    release.set()
    thread.join()
    assert waiter.look("server", "s1", "p1")["status"] == "ACTIVE"


@pytest.mark.faults
def test_a_failure_is_told_and_the_next_look_tries_again(server, servers, waiter, clock):
    servers.add("s1")
    waiter.look("server", "s1", "p1")
    server.on("GET", f"{SERVERS}/s1", Reply(403, {}), servers.one)
    clock.now += 2.0
    with pytest.raises(errors.Forbidden):
        waiter.look("server", "s1", "p1")
    servers.status["s1"] = "ACTIVE"
    assert waiter.look("server", "s1", "p1")["status"] == "ACTIVE"


def test_images_have_no_wrapper(server, waiter):
    server.on("GET", "/image/v2/images/i", Reply(body={"id": "i", "status": "saving"}))
    assert waiter.look("image", "i", "p1")["status"] == "saving"


def test_the_waiter_of_a_cloud_is_shared_by_its_projects(cloud):
    assert cloud.within("p2").waiter is cloud.waiter


def test_what_was_known_of_ended_waits_does_not_stay_in_memory(servers, waiter, clock):
    servers.add("long-gone", "new")
    servers.status["long-gone"] = "OF-LONG-AGO"

    def kept():
        return [
            # A dead weak proxy, which only type() may look at, is among them too.
            one
            for one in gc.get_objects()
            if type(one) is dict and one.get("status") == "OF-LONG-AGO"
        ]

    waiter.look("server", "long-gone", "p1")
    assert kept()
    clock.now += 60
    waiter.look("server", "new", "p2")
    assert not kept()
