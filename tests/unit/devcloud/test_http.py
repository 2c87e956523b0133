from __future__ import annotations

import io
import socket
import tempfile
import threading

import pytest

from pumphouse.devcloud.http import Response, Server


@pytest.fixture
def serve():
    """Serves an application; gives a function that sends bytes and returns all that is answered."""
    servers = []

    def start(application):
        server = Server(application)
        server.start()
        servers.append(server)

        def talk(sent: bytes) -> bytes:
            with socket.create_connection(server.server_address, timeout=10) as connection:
                connection.sendall(sent)
                return b"".join(iter(lambda: connection.recv(65536), b""))

        talk.address = server.server_address
        return talk

    yield start
    for server in servers:
        server.stop()


def echo(request):
    return Response(200, request.read())


CLOSE = b"Connection: close\r\n"


def test_bodies_come_by_length_and_in_chunks(serve):
    talk = serve(echo)
    by_length = talk(b"POST / HTTP/1.1\r\n" + CLOSE + b"Content-Length: 5\r\n\r\nhello")
    chunked = talk(
        b"POST / HTTP/1.1\r\n"
        + CLOSE
        + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=1\r\nlo\r\n0\r\n\r\n"
    )
    assert by_length.split(b"\r\n\r\n")[1] == chunked.split(b"\r\n\r\n")[1] == b"hello"


def test_a_body_that_no_one_read_does_not_become_the_next_request(serve):
    talk = serve(lambda request: Response(409 if request.method == "PUT" else 200, b""))
    answer = talk(
        b"PUT /a HTTP/1.1\r\nContent-Length: 7\r\n\r\nGET /no" + b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n"
    )
    assert [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/")] == [
        b"409",
        b"200",
    ]


def test_a_short_body_is_an_error_for_its_reader(serve):
    seen = threading.Event()

    def read(request):
        try:
            request.read()
        except ConnectionError:
            seen.set()
            raise
        return Response(200)

    talk = serve(read)
    with socket.create_connection(talk.address) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
    assert seen.wait(10)


def test_files_iterators_and_json_are_sent(serve):
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
    file.write(b"0123456789")
    file.seek(4)
    bodies = {"/file": file, "/parts": iter([b"ab", b"", b"c"]), "/json": {"a": [1]}}
    talk = serve(lambda request: Response(200, bodies[request.path]))

    def get(path: str) -> tuple[bytes, bytes]:
        head, _, body = talk(b"GET " + path.encode() + b" HTTP/1.1\r\n" + CLOSE + b"\r\n").partition(
            b"\r\n\r\n"
        )
        return head, body

    head, body = get("/file")
    assert (b"Content-Length: 6" in head, body) == (True, b"456789")
    head, body = get("/parts")
    assert (b"chunked" in head, body) == (True, b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    head, body = get("/json")
    assert (b"application/json" in head, body) == (True, b'{"a": [1]}')


def test_a_large_body_is_not_kept_in_memory(serve):
    sizes = []

    def count(request):
        while block := request.read(1 << 16):
            sizes.append(len(block))
        return Response(200, str(sum(sizes)).encode())

    sent = io.BytesIO(b"x" * (5 << 20))
    answer = serve(count)(
        b"PUT / HTTP/1.1\r\n" + CLOSE + b"Content-Length: %d\r\n\r\n" % (5 << 20) + sent.read()
    )
    assert answer.endswith(str(5 << 20).encode())
    assert max(sizes) <= 1 << 16
