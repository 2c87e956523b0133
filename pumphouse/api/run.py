"""Runs the API until it is told to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pumphouse.api.app import create_app
from pumphouse.api.listen import Address, address_of
from pumphouse.api.server import Server
from pumphouse.api.stream import feed_of
from pumphouse.config import Config
from pumphouse.errors import BadConfig
from pumphouse.service import Pumphouse


class Host:
    """The application and its use cases, in the process that serves."""

    def __init__(self, config: Config) -> None:
        self._service = Pumphouse.open(config)
        app = create_app(self._service)
        self._feed = feed_of(app)
        self.wsgi: Callable[..., Any] = app
        self._supervisor = self._service.supervise(at_once=config.api.migrations)
        self._supervisor.start()

    def stopping(self) -> None:
        """Begin to stop; once is enough."""
        self._supervisor.stop()
        self._feed.close()

    def close(self) -> None:
        """Wait until all has stopped, and close the store."""
        self._supervisor.close()
        self._service.close()


def serve(config: Config, *, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it; then this process ends, too.

    :param say: told the address once the server can be reached.
    :raises pumphouse.errors.BadConfig: it cannot listen there, or must not.
    :raises pumphouse.errors.StoreError: the store cannot be used.
    """
    address = Address.parse(config.api.listen)
    if not address.local:
        raise BadConfig(
            f"{address} can be reached from other machines, and the API asks nobody who they are",
            next_step="Listen on a loopback address or a unix socket.",
        )
    # What is wrong is told here, in a line; the process that serves would only fail to start.
    with Pumphouse.open(config) as service:
        service.store.events.last()
        service.cloud_names()
    listener = address.listen()
    at = address_of(listener)
    say(f"Serving on {at}" if at.path is not None else f"Serving on http://{at}")
    Server(lambda: Host(config), listener=listener, followers=config.api.followers).run()
