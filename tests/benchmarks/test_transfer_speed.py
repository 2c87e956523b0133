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
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pytest
import requests

from pumphouse.cloud_api import Service
from pumphouse.clouds.failures import Place
from pumphouse.clouds.http import Settings, http_session
from pumphouse.clouds.image_data import ImageStream, _Upload
from pumphouse.transfer import _Hashing, _Watched

MIB = 1024 * 1024
SIZE = int(os.environ.get("PUMPHOUSE_BENCHMARK_MIB", "256")) * MIB
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


@pytest.mark.slow
def test_image_data_costs_little_more_than_a_raw_copy(capsys):
    with running(send_raw) as source, running(drain) as destination:
        raw_rate, raw_cpu = measured(lambda: raw_copy(source, destination))
    with running(give) as source, running(take) as destination:
        rate, cpu = measured(lambda: our_copy(source, destination))
    with capsys.disabled():
        for name, speed, cost in (("raw copy", raw_rate, raw_cpu), ("pumphouse", rate, cpu)):
            print(f"\n{name}: {speed:.0f} MB/s, {cost:.2f} CPU-s/GiB")  # noqa: T201 - what it is run for
    # Sending in the standard library's 16 KiB blocks, or in chunks, costs three times as much and more.
    assert cpu < 2.5 * raw_cpu + 0.2
