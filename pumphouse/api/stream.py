"""Server-sent events: the feed of this process, to each of its followers."""

from __future__ import annotations

import logging
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
    if connection is not None:
        connection.settimeout(_SLOWEST)
    response = Response(_body(following), mimetype=MEDIA_TYPE)
    # The body's own end would not be reached if not even its beginning was asked for.
    response.call_on_close(following.close)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _body(following: Following) -> Iterator[bytes]:
    yield _RETRY
    try:
        for frames in following:
            yield b"".join(one.data for one in frames) or _STILL_HERE
    except errors.StoreError as error:
        LOG.warning("a follower of events is let go: %s", error)
