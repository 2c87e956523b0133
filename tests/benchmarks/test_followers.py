"""200 followers of events on one process while it carries a migration out: nothing lost, hardly slower."""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import psutil
import pytest

from pumphouse.client import Client
from pumphouse.devcloud.fill import fill

DESCRIPTIONS = Path(__file__).parents[2] / "etc" / "pumphouse" / "devcloud"
FOLLOWERS = 200
ROUNDS = 3
SLOWER = 1.05
"""The most that a migration may take with followers, against one without."""


class Followers:
    """Many connections that follow a migration, read by one thread so that they cost the reader little."""

    def __init__(self, url, path, count):
        parts = urlsplit(url)
        self.seen = {}
        self._selector = selectors.DefaultSelector()
        request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n\r\n".encode()
        for _ in range(count):
            connection = socket.create_connection((parts.hostname, parts.port))
            connection.sendall(request)
            connection.setblocking(False)
            self.seen[connection] = bytearray()
            self._selector.register(connection, selectors.EVENT_READ)

    def read(self, seconds):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                data = key.fileobj.recv(1 << 20)
                assert data, "a follower was let go"
                self.seen[key.fileobj] += data

    def numbers(self):
        return [
            [int(number) for number in re.findall(rb"^id: (\d+)$", bytes(data), re.MULTILINE)]
            for data in self.seen.values()
        ]

    def close(self):
        self._selector.close()
        for connection in self.seen:
            connection.close()


@pytest.fixture
def url(cloud_pair, tmp_path):
    for name in ("source", "destination"):
        fill(getattr(cloud_pair, name), DESCRIPTIONS / f"demo-{name}.yaml")
    path = tmp_path / "pumphouse.conf"
    path.write_text(
        f"[store]\nurl = sqlite:///{tmp_path}/pumphouse.db\n[api]\nlisten = 127.0.0.1:0\nauth = none\n"
        "[engine]\npoll_interval = 0.2\n"
    )
    cloud_pair.destination.timings.update(build=3.0, image=1.0, volume=1.0)
    command = [sys.executable, "-m", "pumphouse", "--config-file", str(path), "api"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield re.match(r"Serving on (\S+)", process.stdout.readline())[1], process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def one_round(api, pid, url, count):
    """The seconds that a migration takes, the process's CPU seconds meanwhile; its events are checked."""
    (worker,) = psutil.Process(pid).children()
    after = max((one.seq for one in api.events()), default=0)
    before = sum(worker.cpu_times()[:2])
    followers = Followers(url, f"/v1/events?after={after}", count)
    try:
        id = api.migrate("tenant", "shop").id
        while not (now := api.migration(id)).state.ended:
            followers.read(0.5)
        cpu = sum(worker.cpu_times()[:2]) - before
        followers.read(1.5)
        whole = [one.seq for one in api.events(after=after)]
        assert all(found == whole for found in followers.numbers())
    finally:
        followers.close()
    api.act(id, "rollback")
    while api.migration(id).state != "ROLLED_BACK":
        time.sleep(0.2)
    return (now.ended_at - now.started_at).total_seconds(), cpu


@pytest.mark.timeout(900)
def test_followers_hardly_slow_a_migration(url, record):
    address, pid = url
    with Client(address) as api:
        api.clouds()  # it serves
        one_round(api, pid, address, 0)
        alone, followed = [], []
        for _ in range(ROUNDS):
            alone.append(one_round(api, pid, address, 0))
            followed.append(one_round(api, pid, address, FOLLOWERS))
    slower = median(one[0] for one in followed) / median(one[0] for one in alone)
    cost = median(one[1] for one in followed) - median(one[1] for one in alone)
    how = f"{FOLLOWERS} followers of a migration of {median(one[0] for one in alone):.0f} s"
    record("the process's CPU for followers", cost, "s", how=how)
    record("a migration with followers, against one without", slower, "times", limit=SLOWER, how=how)
