from __future__ import annotations

import threading

from pumphouse.clouds.throttle import Limiter


class Clock:
    def __init__(self):
        self.now = 100.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def test_no_more_per_second_than_said_after_the_burst():
    clock = Clock()
    limiter = Limiter(in_flight=5, per_second=10, clock=clock, sleep=clock.sleep)
    start = clock.now
    for _ in range(60):
        with limiter.slot():
            pass
    assert 4.9 <= clock.now - start <= 5.1


def test_the_burst_comes_back_after_a_rest_and_no_larger():
    clock = Clock()
    limiter = Limiter(in_flight=5, per_second=10, clock=clock, sleep=clock.sleep)
    clock.now += 3600
    start = clock.now
    for _ in range(20):
        limiter.turn()
    assert 0.9 <= clock.now - start <= 1.1


def test_hold_off_stops_all_for_a_while():
    clock = Clock()
    limiter = Limiter(in_flight=5, per_second=10, clock=clock, sleep=clock.sleep)
    limiter.hold_off(7)
    with limiter.slot():
        assert clock.slept == [7]


def test_no_limit_per_second():
    clock = Clock()
    limiter = Limiter(in_flight=5, per_second=0, clock=clock, sleep=clock.sleep)
    for _ in range(10_000):
        limiter.turn()
    assert clock.slept == []


def test_no_more_in_flight_than_said():
    limiter = Limiter(in_flight=3, per_second=1e6)
    inside, most = [], []
    lock, release = threading.Lock(), threading.Event()

    def work():
        with limiter.slot():
            with lock:
                inside.append(1)
                most.append(len(inside))
                if len(inside) == 3:
                    release.set()
            release.wait(5)
            with lock:
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 3
