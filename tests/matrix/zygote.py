"""Processes of ``pumphouse`` that have imported everything already: a start costs a fork, not seconds.

``zygote.py SOCKET`` forks one for each connection to the socket. The client sends one line of JSON with
``words``, ``environment``, ``output`` (a file) and ``commits``. The answers are two lines: the process's id,
and, when it has ended, its exit status as ``subprocess`` has it. What is forked is a process like others, and
may be killed. The zygote ends when its standard input does.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import pkgutil
import select
import signal
import socket
import sys
from typing import Any


def preload() -> None:
    """Import all that a command may need."""
    import pumphouse

    for module in pkgutil.walk_packages(pumphouse.__path__, "pumphouse."):
        if not module.name.endswith(("__main__", ".env")) and ".versions" not in module.name:
            importlib.import_module(module.name)
    gc.freeze()


def serve(path: str) -> None:
    """Fork for each connection until nobody holds the other end of standard input."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # attendants are nobody's business
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in readable:
                return
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    attend(connection)


def attend(connection: socket.socket) -> None:
    """Start the process, tell its id, wait for it, and tell its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection, connection.makefile("rw") as stream:
        request = json.loads(stream.readline())
        process = os.fork()
        if process == 0:
            connection.close()
            become(request)
        print(process, file=stream, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), file=stream, flush=True)
    os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Be ``pumphouse`` with these words."""
    from pumphouse.cli.main import main

    status: Any = 70
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.setsid()
        for here, there in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(here, there)
        os.environ.update(request["environment"])
        if request["commits"]:
            die_at_commit(request["commits"])
        try:
            status = main(request["words"])
        except SystemExit as ended:
            status = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else int(status is not None))


def die_at_commit(number: int) -> None:
    """End this process, as SIGKILL does, when it is about to commit its nth transaction."""
    import sqlalchemy as sa

    numbers = itertools.count(1)

    @sa.event.listens_for(sa.Engine, "commit")
    def count(_connection: sa.Connection) -> None:
        if next(numbers) == number:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    preload()
    serve(sys.argv[1])
