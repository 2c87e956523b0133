"""Serves the application: one process under a watching parent, a thread for each request.

All work is done in that one process, so that one supervisor carries migrations out and one reader of the
store serves all who follow events. If it dies, its parent starts another, which goes on.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from pumphouse.api.tls import Certificate

THREADS_BESIDES = 24
"""For requests that are answered at once, besides those that follow events."""
STOP_SECONDS = 60
"""How long the work under way may take to pause in order."""


class Hosted(Protocol):
    """What the process runs."""

    wsgi: Callable[..., Any]

    def stopping(self) -> None:
        """The process has been asked to end: begin to stop, and return at once. Called once."""

    def close(self) -> None:
        """Wait until all has stopped."""


class Server(BaseApplication):
    """Serves what ``start`` makes, in the process that serves.

    :param listener: the socket that listens; the server's own from here on.
    :param followers: how many may follow events at once.
    :param certificate: with it, TLS is spoken, and nothing else.
    """

    def __init__(
        self,
        start: Callable[[], Hosted],
        *,
        listener: socket.socket,
        followers: int,
        certificate: Certificate | None = None,
    ) -> None:
        self._start = start
        self._listener = listener
        self._tls = (
            {"certfile": str(certificate.path), "keyfile": str(certificate.key)} if certificate else {}
        )
        self._threads = followers + THREADS_BESIDES
        self.hosted: Hosted | None = None
        super().__init__()

    def load_config(self) -> None:
        """The server's settings, which no file and no environment changes."""
        settings = {
            "bind": f"fd://{self._listener.detach()}",
            "worker_class": f"{__name__}.Worker",
            "workers": 1,
            "threads": self._threads,
            "worker_connections": self._threads * 2,
            "graceful_timeout": STOP_SECONDS,
            "timeout": 120,
            "keepalive": 5,
            "umask": 0o077,
            "proc_name": "pumphouse-api",
            "control_socket_disable": True,
            "loglevel": "warning",
            "worker_exit": _worker_exit,
            **self._tls,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        """Make what is served, after the fork: threads and connections do not survive one."""
        self.hosted = self._start()
        return self.hosted.wsgi


class Worker(ThreadWorker):
    """Tells what it hosts to stop as soon as it is asked to end itself."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order; at once when asked again, as a crash would."""
        if not self.alive:
            os._exit(130)
        super().handle_exit(sig, frame)
        hosted = _hosted(self)
        if hosted is not None:
            # Not here: a signal's handler must not wait for a lock that the thread under it may hold.
            threading.Thread(target=hosted.stopping, name="pumphouse-stopping").start()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C reaches all processes of the terminal, and means the same."""
        self.handle_exit(sig, frame)


def _hosted(worker: Any) -> Hosted | None:
    found: Hosted | None = worker.app.hosted
    return found


def _worker_exit(_server: Any, worker: Any) -> None:
    hosted = _hosted(worker)
    if hosted is not None:
        hosted.stopping()
        hosted.close()
