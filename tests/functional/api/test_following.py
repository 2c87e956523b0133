"""Following events over the API: nothing lost, nothing twice."""

from __future__ import annotations

import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
from serving import done_over

from pumphouse import errors
from pumphouse.events import Noted
from pumphouse.service.feed import Feed
from pumphouse.store.opening import open_store

STREAM = {"Accept": "text/event-stream"}


def events_in(lines):
    """The (id, event) pairs of a stream's lines."""
    number = None
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            number = int(value)
        elif name == "data":
            yield number, json.loads(value)


def read(url, *, after=0, until, last_event_id=None):
    """The events of a stream, up to the first for which ``until`` is true."""
    headers = STREAM | ({"Last-Event-ID": str(last_event_id)} if last_event_id else {})
    with requests.get(url, params={"after": after}, headers=headers, stream=True, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        found = []
        for number, event in events_in(answer.iter_lines(decode_unicode=True)):
            assert number == event["seq"]
            found.append(event)
            if until(event):
                return found
    return found


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/feed.db") as opened:
        yield opened


@pytest.fixture
def make_feed(store):
    feeds = []

    def make(**options):
        feeds.append(Feed(store.events, form=lambda one: b"%d" % one.seq, every=0.01, **options))
        return feeds[-1]

    yield make
    for feed in feeds:
        feed.close()


def note(store, count, migration="m-1", text=""):
    store.events.append(
        [Noted(migration=migration, resource="server:1", text=f"{text}{number}") for number in range(count)]
    )


def take(frames, count):
    """The numbers of the next so many frames."""
    found = []
    while len(found) < count:
        found += [one.seq for one in next(frames)]
    return found


@pytest.mark.parametrize("kept", [5, 1000])
def test_a_follower_gets_every_event_once_and_in_order(store, make_feed, kept):
    """Also one that comes later, or falls behind what the feed keeps."""
    feed = make_feed(kept=kept)
    note(store, 30)
    first = feed.follow(after=0)
    assert take(first, 30) == list(range(1, 31))
    late = feed.follow(after=10)
    assert take(late, 5)[0] == 11
    for _ in range(10):
        note(store, 7)
    assert take(first, 70) == list(range(31, 101))
    assert take(late, 70)[-1] >= 99
    first.close()
    late.close()


def test_a_follower_of_one_migration_gets_its_events_only(store, make_feed):
    feed = make_feed(kept=4)
    note(store, 3, "m-1")
    frames = feed.follow(after=0, migration="m-2", patience=0.05)
    assert list(next(frames)) == []
    note(store, 20, "m-1")
    note(store, 2, "m-2")
    note(store, 20, "m-1")
    note(store, 1, "m-2")
    found = []
    while len(found) < 3:
        found += [one.seq for one in next(frames)]
    assert found == [24, 25, 46]
    frames.close()


def test_the_store_is_read_once_for_all_and_not_at_all_for_nobody(store, make_feed, monkeypatch):
    feed = make_feed()
    readings = []
    whole = store.events.read
    monkeypatch.setattr(
        type(store.events), "read", lambda _self, **how: (readings.append(how), whole(**how))[1]
    )
    followers = [feed.follow(after=0, patience=0.5) for _ in range(20)]
    note(store, 1)
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda one: tuple(take(one, 1)), followers)) == {(1,)}
    assert len(readings) < 20 + 60
    for one in followers:
        one.close()
    assert feed.followers == 0
    threading.Event().wait(0.1)
    readings.clear()
    threading.Event().wait(0.2)
    assert readings == []


def test_who_follows_counts_before_anything_was_sent(store, make_feed):
    """Or many that come at once would all be let in."""
    feed = make_feed()
    first = feed.follow(after=0, most=1)
    with pytest.raises(errors.TooMany):
        feed.follow(after=0, most=1)
    first.close()
    first.close()
    feed.follow(after=0, most=1).close()
    assert feed.followers == 0


def test_a_feed_that_closes_lets_its_followers_go(store, make_feed):
    feed = make_feed()
    frames = feed.follow(after=0)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, frames)
        threading.Event().wait(0.1)
        feed.close()
        assert list(rest.result(5)[-1:]) in ([], [[]])


class Taker:
    """Takes what it is given, and declines the part of it that a number of its own says."""

    def __init__(self, migration=None, most=10**9):
        self.migration = migration
        self.most = most
        self.taken = []
        self.last = 0
        self.back = threading.Event()

    def take(self, data, last):
        self.taken.append(data)
        self.last = last
        if len(self.taken) < self.most:
            return True
        self.back.set()
        return False

    def end(self):
        self.back.set()


def test_the_reader_hands_over_what_comes_next(store, make_feed, wait_for):
    feed = make_feed()
    note(store, 2)
    following = feed.follow(after=0)
    everything, other = Taker(), Taker(migration="m-other")
    assert not following.hand_over(everything), "there is something that it has not seen"
    assert b"".join(one.data for one in following.ready()) == b"12"
    assert following.ready() == ()
    assert following.hand_over(everything)
    assert following.hand_over(other)
    note(store, 3)
    wait_for(lambda: b"".join(everything.taken) == b"345")
    assert b"".join(other.taken) == b"", "at most it was told of a silence"
    feed.close()
    assert everything.back.is_set()
    assert not following.hand_over(Taker())


def test_a_receiver_is_told_of_a_silence(store, make_feed, wait_for, monkeypatch):
    monkeypatch.setattr("pumphouse.service.feed._SILENCE", 0.05)
    following = make_feed().follow(after=0)
    taker = Taker(migration="m-none", most=2)
    following.hand_over(taker)
    wait_for(taker.back.is_set)
    assert taker.taken == [b"", b""]


def test_nothing_is_lost_or_doubled_between_a_follower_and_the_reader(store, make_feed):
    """Each goes back and forth between the two, while events come."""
    feed = make_feed()
    count = 300

    def follow(most):
        found, following = [], feed.follow(after=0)
        while len(found) < count:
            found += [one.data for one in following.ready()]
            taker = Taker(most=most)
            if len(found) < count and following.hand_over(taker):
                taker.back.wait(10)
                found += [b"%d" % number for number in range(len(found) + 1, taker.last + 1)]
                told = b"".join(taker.taken)
                assert b"".join(found).endswith(told)
                following.go_on(taker.last)
        following.close()
        return b"".join(found)

    with ThreadPoolExecutor(8) as pool:
        followers = [pool.submit(follow, most) for most in (1, 1, 2, 2, 3, 3, 5, 5)]
        for _ in range(count // 2):
            note(store, 2)
        feed_ended = threading.Timer(60, feed.close)
        feed_ended.start()
        assert {one.result(90) for one in followers} == {b"".join(b"%d" % n for n in range(1, count + 1))}
        feed_ended.cancel()


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
def test_who_reads_slowly_loses_nothing_and_holds_up_nobody(serve, service, protocol):
    served = serve()
    parts = urlsplit(served.url)
    request = f"GET /v1/events HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n\r\n"
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((parts.hostname, parts.port))
        slow.sendall(request.replace("HTTP/1.1", protocol).encode())
        seen = slow.recv(200)  # it follows
        count = 6000
        for _ in range(count // 500):  # more than a connection's buffers hold
            note(service.store, 500, text="a long text, " * 100)
        quick = read(f"{served.url}/v1/events", until=lambda event: event["seq"] == count)
        assert [one["seq"] for one in quick] == list(range(1, count + 1))
        slow.settimeout(60)
        while f"id: {count}\n".encode() not in seen[-100_000:]:
            data = slow.recv(1 << 16)
            assert data, "it was let go"
            seen += data
    body = seen.partition(b"\r\n\r\n")[2]
    if protocol == "HTTP/1.1":
        body = re.sub(rb"\r\n[0-9A-F]+\r\n", b"", b"\r\n" + body)
    assert [int(one) for one in re.findall(rb"^id: (\d+)$", body, re.MULTILINE)] == list(range(1, count + 1))


def test_a_stream_is_the_pages_and_goes_on_where_it_broke_off(serve, service):
    served = serve()
    body = {"plan": {"scope": {"kind": "tenant", "names": ["shop"]}}}
    id = done_over(served.url, "/v1/migrations", body)["migration_id"]
    url = f"{served.url}/v1/migrations/{id}/events"
    first = read(url, until=lambda event: event["kind"] == "step_changed")
    rest = read(
        url,
        last_event_id=first[-1]["seq"],
        until=lambda event: (
            event["payload"].get("state") == "SUCCEEDED" and event["kind"] == "migration_changed"
        ),
    )
    pages, after = [], 0
    while after is not None:
        page = requests.get(url, params={"after": after, "limit": 1000}, timeout=60).json()
        pages += page["events"]
        after = page["next_after"]
    assert first + rest == pages


def test_followers_come_back_after_the_server_has_ended(serve, service, config_file):
    """A stream that is open does not keep the server from ending, and what came meanwhile is not lost."""
    served = serve()
    note(service.store, 3)
    seen = read(f"{served.url}/v1/events", until=lambda event: event["seq"] == 3)
    with requests.get(f"{served.url}/v1/events", headers=STREAM, stream=True, timeout=60) as answer:
        assert next(answer.iter_lines()) == b"retry: 2000"
        assert served.stop() == 0
    note(service.store, 3)
    again = serve()
    more = read(
        f"{again.url}/v1/events", last_event_id=seen[-1]["seq"], until=lambda event: event["seq"] == 6
    )
    assert [one["seq"] for one in more] == [4, 5, 6]


def test_there_are_only_so_many_followers(serve, config_file):
    config_file.write_text(config_file.read_text().replace("[api]", "[api]\nfollowers = 2"))
    served = serve()
    url = f"{served.url}/v1/events"
    with (
        requests.get(url, headers=STREAM, stream=True, timeout=60) as one,
        requests.get(url, headers=STREAM, stream=True, timeout=60) as two,
    ):
        assert (one.status_code, two.status_code) == (200, 200)
        third = requests.get(url, headers=STREAM, timeout=60)
        assert (third.status_code, third.json()["type"]) == (429, "urn:pumphouse:error:TooMany")
        assert requests.get(f"{served.url}/v1/clouds", timeout=60).status_code == 200
