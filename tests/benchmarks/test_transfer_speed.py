"""How fast image data moves, against a raw copy between sockets. Run with ``pytest tests/benchmarks``.

``PUMPHOUSE_BENCHMARK_MIB`` sets the size. The servers are processes of their own and do next to nothing, so
that what is measured is this process: its CPU seconds per GiB.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection

import peak_memory
import pytest
import requests

from pumphouse.cloud_api import Service
from pumphouse.clouds.failures import Place
from pumphouse.clouds.http import Settings, http_session
from pumphouse.clouds.image_data import ImageStream, _Upload
from pumphouse.transfer import _Hashing, _Watched

MIB = 1024 * 1024
SIZE = int(os.environ.get("PUMPHOUSE_BENCHMARK_MIB", "1024")) * MIB
BLOCK = 2 * MIB


def headers_of(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    return data


def give(connection: socket.socket) -> None:
    headers_of(connection)
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n".encode())
    send_raw(connection)


def send_raw(connection: socket.socket) -> None:
    block = bytes(BLOCK)
    for _ in range(SIZE // BLOCK):
        connection.sendall(block)


def take(connection: socket.socket) -> None:
    got = len(headers_of(connection).split(b"\r\n\r\n", 1)[1])
    drain(connection, SIZE - got)
    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def drain(connection: socket.socket, left: int = SIZE) -> None:
    buffer = bytearray(BLOCK)
    while left:
        left -= connection.recv_into(buffer)


def serve(handle: Callable[[socket.socket], None], port: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port.send(server.getsockname()[1])
        connection, _ = server.accept()
        with connection:
            handle(connection)


@contextmanager
def running(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(handle, theirs))
    process.start()
    try:
        yield ours.recv()
        process.join(60)
    finally:
        process.kill()
        process.join()


def measured(copy: Callable[[], None]) -> tuple[float, float]:
    """MB/s and CPU seconds per GiB."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    start, cpu = time.monotonic(), usage.ru_utime + usage.ru_stime
    copy()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.monotonic() - start
    return SIZE / seconds / 1e6, (usage.ru_utime + usage.ru_stime - cpu) * 1024 * MIB / SIZE


def raw_copy(source: int, destination: int) -> None:
    with (
        socket.create_connection(("127.0.0.1", source)) as incoming,
        socket.create_connection(("127.0.0.1", destination)) as outgoing,
    ):
        buffer = bytearray(BLOCK)
        view = memoryview(buffer)
        left = SIZE
        while left:
            got = incoming.recv_into(buffer)
            outgoing.sendall(view[:got])
            left -= got


def our_copy(source: int, destination: int) -> None:
    place = Place(cloud="benchmark", service=Service.IMAGE, method="PUT", path="/")
    http = http_session(Settings())
    with http, ImageStream(http.get(f"http://127.0.0.1:{source}/", stream=True), place) as stream:
        watched = _Watched(SIZE, None, _Hashing(""))
        watched.stream = stream
        body = _Upload(watched, SIZE, place)
        answer = http.put(f"http://127.0.0.1:{destination}/", data=body, allow_redirects=False)
    assert answer.status_code == requests.codes.no_content


def best(measure: Callable[[], tuple[float, float]], times: int = 3) -> tuple[float, float]:
    """The best rate and the least CPU of some runs: what disturbs only ever adds."""
    found = [measure() for _ in range(times)]
    return max(rate for rate, _ in found), min(cpu for _, cpu in found)


def raw() -> tuple[float, float]:
    with running(send_raw) as source, running(drain) as destination:
        return measured(lambda: raw_copy(source, destination))


def ours(at_once: int = 1) -> tuple[float, float]:
    """So many copies at once: the rate of all together, and the CPU of each GiB."""
    with ExitStack() as stack:
        ports = [
            (stack.enter_context(running(give)), stack.enter_context(running(take))) for _ in range(at_once)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(at_once))
        rate, cpu = measured(lambda: list(pool.map(lambda pair: our_copy(*pair), ports)))
    return rate * at_once, cpu / at_once


@pytest.mark.timeout(900)
def test_image_data_costs_little_more_than_a_raw_copy(record):
    ours()  # what is loaded once counts for neither
    idle = peak_memory.restart()
    raw_rate, raw_cpu = best(raw)
    rate, cpu = best(ours)
    many_rate, _ = best(lambda: ours(4))
    above = peak_memory.peak() - idle
    how = f"{SIZE // MIB} MiB over loopback, the best of three: {rate:.0f} MB/s against {raw_rate:.0f}"
    record("image copy, time against a raw socket copy", raw_rate / rate, "times", limit=1 / 0.9, how=how)
    record(
        "image copy, CPU against a raw socket copy", cpu / raw_cpu, "times", limit=1.3, how="the same runs"
    )
    record("four image copies at once, time of all against one after the other", rate / many_rate, "times")
    record(
        "image copy, memory above idle",
        above,
        "MiB",
        limit=64,
        how=f"{SIZE // MIB} MiB of data, four at once",
    )
