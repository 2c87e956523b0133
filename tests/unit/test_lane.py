"""The way that transfers share: how many at the same time, and how many bytes per second."""

from __future__ import annotations

import io
import threading

import pytest

from pumphouse.transfer import Lane, _Hashing, _Watched


class Clock:
    """Time passes only by sleeping."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_bytes_pass_no_faster_than_the_bandwidth():
    clock = Clock()
    lane = Lane(transfers=1, bandwidth=1000, clock=clock, sleep=clock.sleep)
    for _ in range(10):
        lane.take(500)
    assert clock.now == pytest.approx(4.5)  # the first passes at once
    clock.now += 100
    lane.take(500)
    lane.take(500)
    assert clock.now == pytest.approx(105.0), "what was not used is not saved up"


def test_without_a_bandwidth_nothing_waits():
    clock = Clock()
    Lane(transfers=1, clock=clock, sleep=clock.sleep).take(1 << 40)
    assert clock.now == 0


def test_blocks_are_small_where_little_may_pass():
    clock = Clock()
    lane = Lane(transfers=1, bandwidth=400, clock=clock, sleep=clock.sleep)
    watched = _Watched(1000, None, _Hashing(""), lane)
    watched.stream = io.BytesIO(bytes(1000))
    blocks = []
    while block := watched.read(1 << 20):
        blocks.append(len(block))
    assert blocks == [100] * 10
    assert clock.now == pytest.approx(2.5)


def test_so_many_have_their_turn_at_once():
    lane = Lane(transfers=2)
    inside, most, lock, go = [], [], threading.Lock(), threading.Event()

    def work():
        with lane.slot():
            with lock:
                inside.append(1)
                most.append(len(inside))
            go.wait(5)
            with lock:
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    while len(most) < 2:
        pass
    assert len(inside) == 2
    go.set()
    for thread in threads:
        thread.join(5)
    assert max(most) == 2
    assert len(most) == 5
