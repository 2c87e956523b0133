"""Server-sent events: the feed of this process, to each of its followers.

A follower's own thread sends it what it has not seen yet. Then it hands its connection over to the reader of
the feed, which sends all followers what is new, one after the other, and sleeps until that one does not take
it, or has gone. So hundreds of threads are not woken for each event, in which they would hold up the work.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import cast

from flask import Flask, Response, current_app, request

from pumphouse import errors
from pumphouse.service.feed import Feed, Following

LOG = logging.getLogger(__name__)
MEDIA_TYPE = "text/event-stream"
_FEED, _MOST = "pumphouse-feed", "pumphouse-followers"
_RETRY = b"retry: 2000\n\n"
"""How long a browser waits before it connects again, in milliseconds."""
_STILL_HERE = b":\n\n"
"""A comment. Writing it tells whether the follower is still there, and proxies that the connection lives."""
_SLOWEST = 30.0
"""Seconds that a follower may take nothing, before it is let go. It comes back and loses nothing."""


def install(app: Flask, feed: Feed, *, most: int) -> None:
    """Give an application its feed, for ``most`` followers at once."""
    app.extensions[_FEED] = feed
    app.extensions[_MOST] = most


def feed_of(app: Flask) -> Feed:
    """The feed of an application."""
    return cast("Feed", app.extensions[_FEED])


def wanted() -> bool:
    """Whether the request accepts a stream rather than a page."""
    best = request.accept_mimetypes.best_match(["application/json", MEDIA_TYPE])
    return best == MEDIA_TYPE


def frame(number: int, data: str) -> bytes:
    """One event as it is sent; ``data`` is one line."""
    return f"id: {number}\ndata: {data}\n\n".encode()


def follow(after: int, *, migration: str | None = None) -> Response:
    """All events numbered above ``after``, as they come. Raises TooMany."""
    following = feed_of(current_app).follow(
        after=after, migration=migration, most=current_app.extensions[_MOST]
    )
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        body = _body(following)
    else:
        connection.settimeout(_SLOWEST)
        # The server sends the body in chunks where the protocol has them.
        chunked = request.environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
        body = _body_of(following, connection, migration, chunked=chunked)
    response = Response(body, mimetype=MEDIA_TYPE)
    # The body's own end would not be reached if not even its beginning was asked for.
    response.call_on_close(following.close)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


class _Direct:
    """A follower's connection, while the reader of the feed sends to it."""

    def __init__(self, connection: socket.socket, migration: str | None, *, chunked: bool) -> None:
        self.migration = migration
        self.last = 0
        self.rest = b""
        """What it did not take."""
        self.gone = False
        self._connection = connection
        self._chunked = chunked
        self._back = threading.Event()

    def wait(self) -> None:
        """Wait until the connection is given back."""
        self._back.wait()

    def take(self, data: bytes, last: int) -> bool:
        """Send, as far as it goes without waiting."""
        data = data or _STILL_HERE
        if self._chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        self.last = last
        try:
            sent = self._connection.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError:
            self.gone = True
            sent = 0
        if sent == len(data):
            return True
        self.rest = data[sent:]
        self._back.set()
        return False

    def end(self) -> None:
        """Give the connection back: the feed is closed."""
        self._back.set()


def _body(following: Following) -> Iterator[bytes]:
    """For a server whose connections are its own."""
    yield _RETRY
    try:
        for frames in following:
            yield b"".join(one.data for one in frames) or _STILL_HERE
    except errors.StoreError as error:
        LOG.warning("a follower of events is let go: %s", error)


def _body_of(
    following: Following, connection: socket.socket, migration: str | None, *, chunked: bool
) -> Iterator[bytes]:
    """What the follower's own thread sends: all that the reader of the feed does not."""
    yield _RETRY
    try:
        while not following.ended:
            frames = following.ready()
            if frames:
                yield b"".join(one.data for one in frames)
                continue
            direct = _Direct(connection, migration, chunked=chunked)
            connection.setblocking(False)
            if following.hand_over(direct):
                direct.wait()
            connection.settimeout(_SLOWEST)
            if direct.gone:
                return
            if direct.rest:
                connection.sendall(direct.rest)
            following.go_on(direct.last)
    except errors.StoreError as error:
        LOG.warning("a follower of events is let go: %s", error)
    except OSError:
        LOG.debug("a follower of events has gone")
