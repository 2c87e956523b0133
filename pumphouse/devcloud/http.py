"""The HTTP server, which owns its sockets, so that resets, half bodies and stalls can be produced.

HTTP/1.1 with keep-alive on the standard library's threading server: one thread per connection, TCP_NODELAY,
and headers and body sent together.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qs, unquote, urlsplit

CHUNK = 1 << 20
# A refused upload is read to its end up to this size, so that the client sees the answer and not a reset.
DRAIN_LIMIT = 64 << 20


class Wire(Enum):
    """What happens to an answer on the socket."""

    WHOLE = "whole"
    RESET = "reset"
    HALF = "half"


Body = bytes | Mapping[str, Any] | list[Any] | BinaryIO | Iterable[bytes] | None


@dataclass
class Response:
    """An answer.

    ``body``: a mapping or list (sent as JSON), bytes, an open file (sent whole from its position) or an
    iterable of bytes (sent chunked). ``wire`` is set by fault injection only.
    """

    status: int = 200
    body: Body = None
    headers: dict[str, str] = field(default_factory=dict)
    wire: Wire = Wire.WHOLE


class BodyReader:
    """The body of a request, by Content-Length or chunked; ``read`` returns ``b""`` at the end.

    A connection that ends early raises ConnectionError: a short body must never look like a whole one.
    """

    def __init__(self, stream: BinaryIO, *, length: int, chunked: bool) -> None:
        self._stream = stream
        self._left = length
        self._chunked = chunked
        self._ended = not chunked and length == 0
        self._cut = -1

    @property
    def ended(self) -> bool:
        """Whether the body was read to its end."""
        return self._ended

    def cut(self) -> None:
        """Let the connection break when half of what is left has been read."""
        self._cut = self._left // 2

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; all the rest when negative."""
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        if self._ended or size == 0:
            return b""
        if self._chunked and self._left == 0 and not self._next_chunk():
            return b""
        if self._cut >= 0:
            size = min(size, self._cut)
            self._cut -= size
        data = self._stream.read(min(size, self._left))
        if not data:
            raise ConnectionError("the client ended the connection in the middle of a body")
        self._left -= len(data)
        if self._left == 0:
            if self._chunked:
                self._stream.readline()
            else:
                self._ended = True
        return data

    def _next_chunk(self) -> bool:
        line = self._stream.readline()
        if not line:
            raise ConnectionError("the client ended the connection in the middle of a body")
        self._left = int(line.split(b";")[0], 16)
        if self._left:
            return True
        while self._stream.readline().strip():
            pass  # trailers carry nothing that we use
        self._ended = True
        return False


class Request:
    """A request as handlers see it.

    ``path`` is the whole path, ``query`` keeps repeated keys, ``body`` streams. The dispatcher fills in
    ``request_id``, ``token`` (see tokens.Token), ``microversion`` and ``route``.
    """

    def __init__(self, method: str, target: str, headers: Mapping[str, str], body: BodyReader) -> None:
        parts = urlsplit(target)
        self.method = method
        self.path = unquote(parts.path)
        self.query_string = parts.query
        self.query: dict[str, list[str]] = (
            parse_qs(parts.query, keep_blank_values=True) if parts.query else {}
        )
        self.headers = headers
        self.body = body
        self._content: bytes | None = None

    def arg(self, name: str, default: str | None = None) -> str | None:
        """The last value of a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else default

    def read(self, size: int = -1) -> bytes:
        """The raw body; after :meth:`content` was called, nothing is left."""
        return self.body.read(size)

    def content(self) -> bytes:
        """The whole body, kept."""
        if self._content is None:
            self._content = self.body.read()
        return self._content

    def json(self) -> Any:
        """The body as JSON; ValueError when it is not, None when it is empty."""
        content = self.content()
        return json.loads(content) if content else None


Application = Callable[[Request], Response]


class Server(ThreadingHTTPServer):
    """Serves an application on loopback. ``stop`` also ends the connections that are kept alive."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, application: Application, *, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.application = application
        self.connections: set[socket.socket] = set()
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), daemon=True, name="devcloud-http"
        )

    def start(self) -> None:
        """Serve from a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # the client may have gone first
                connection.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go at any time; only other errors are worth a trace."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = CHUNK
    server: Server

    def setup(self) -> None:
        """Register the connection, so that the server can end it."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError):  # a reset connection cannot be flushed
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are counted, not logged: /_devcloud/counts and /_devcloud/writes show them."""

    def serve(self) -> None:
        """Answer one request."""
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        length = int(self.headers.get("Content-Length") or 0)
        body = BodyReader(cast("BinaryIO", self.rfile), length=length, chunked=chunked)
        # A request line is ASCII by the rules, but some clients send the bytes of UTF-8.
        target = self.path.encode("latin-1").decode("utf-8", "replace")
        response = self.server.application(
            Request(self.command, target, cast("Mapping[str, str]", self.headers), body)
        )
        if response.wire is Wire.RESET:
            if isinstance(response.body, io.IOBase):
                response.body.close()
            self.reset()
            return
        self.drain(body)
        self.send(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve  # noqa: N815 - names set by http.server

    def drain(self, body: BodyReader) -> None:
        """Read what the handler left of the body: the next request begins behind it."""
        left = DRAIN_LIMIT
        while not body.ended and left > 0:
            left -= len(body.read(CHUNK))
        if not body.ended:
            self.close_connection = True

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def send(self, response: Response) -> None:
        """Write an answer in the form its body asks for."""
        body = response.body
        headers = response.headers
        if isinstance(body, Mapping | list):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if body is None:
            body = b""
        chunked = False
        if isinstance(body, bytes):
            length = len(body)
        elif isinstance(body, io.IOBase):
            length = os.fstat(body.fileno()).st_size - body.tell()
        else:
            chunked, length = True, 0
        self.send_response_only(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif response.status != 204:
            self.send_header("Content-Length", str(length))
        half = response.wire is Wire.HALF
        if half and not (chunked or length):
            self._headers_buffer = [b"HTTP/1.1 2"]  # there is no body to be cut, so it ends in the status
        self.end_headers()
        if self.command != "HEAD" and response.status not in (204, 304):
            self._send_body(body, length // 2 if half else length, chunked=chunked, half=half)
        self.wfile.flush()
        if half:
            self.close_connection = True  # an orderly end, so that the half does arrive

    def _send_body(self, body: Any, length: int, *, chunked: bool, half: bool) -> None:
        if isinstance(body, bytes):
            self.wfile.write(body[:length])
        elif chunked:
            for part in filter(None, body):  # an empty chunk would be the last
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                if half:
                    return
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.flush()
            with body:
                if length:
                    self.connection.sendfile(body, body.tell(), length)
