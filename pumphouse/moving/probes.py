"""Looks at a server from outside: connects, asks for a URL, runs a command. No look holds a thread.

Each is a generator that yields while it has no answer yet, and returns why it failed, or "" if it is well. It
is asked on by whoever polls, and may be given up (closed) at any moment.
"""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from io import FileIO
from urllib.parse import urlsplit

from pumphouse.text import one_line

Probe = Generator[None, None, str]

_LONGEST_LINE = 4096
"""Bytes of an answer that are read to find its status."""
_LONGEST_TOLD = 200
"""Characters of a command's last line that are told."""
_BLOCK, _BLOCKS = 1 << 16, 64
"""Bytes that are read of a command's output at once, and how often in one look."""
_PORTS = {"http": 80, "https": 443}


class CannotRun(Exception):
    """A command that does not even begin, so that there is no use in trying again."""


def until(probe: Probe, deadline: float) -> Generator[None, None, str | None]:
    """The same, but None when it has no answer at a time of ``time.monotonic()``, when it is given up."""
    try:
        while True:
            try:
                next(probe)
            except StopIteration as ended:
                return str(ended.value)
            if time.monotonic() >= deadline:
                return None
            yield
    finally:
        probe.close()


def tcp(address: str, port: int) -> Probe:
    """Whether something takes a connection."""
    try:
        with _socket(address) as connection:
            yield from _connect(connection, address, port)
    except OSError as error:
        return _said(error)
    return ""


def http(url: str, address: str, *, statuses: Sequence[int], host: str, verify: bool) -> Probe:
    """Whether a URL answers with one of the statuses. Redirects are not followed.

    :param host: the name to ask for, if that is not the address; ``verify`` checks TLS certificates for it.
    """
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    name = host or (f"[{address}]" if ":" in address else address)
    request = (
        f"GET {parts.path or '/'}{f'?{parts.query}' if parts.query else ''} HTTP/1.1\r\n"
        f"Host: {name if port == _PORTS[parts.scheme] else f'{name}:{port}'}\r\n"
        "User-Agent: pumphouse\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    connection = _socket(address)
    try:
        yield from _connect(connection, address, port)
        if parts.scheme == "https":
            # It takes the plain one's place, which needs no closing any longer.
            connection = _encrypted(connection, host or address, verify=verify)
            yield from _shake_hands(connection)
        yield from _send(connection, request.encode())
        line = yield from _line(connection)
    except OSError as error:  # TLS errors are, too
        return _said(error)
    finally:
        connection.close()
    found = re.match(rb"HTTP/\d\.\d (\d{3})\b", line)
    if found is None:
        return "its answer is no HTTP" if line else "it closed the connection without an answer"
    return "" if int(found[1]) in statuses else f"it answered {int(found[1])}"


def command(words: Sequence[str], environment: Mapping[str, str]) -> Probe:
    """Whether a command exits with 0. It is run as it is, by no shell, and killed when it is given up.

    Raises CannotRun.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with FileIO(reading) as output:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise CannotRun(_said(error)) from None
        finally:
            os.close(writing)
        told = b""
        try:
            while process.poll() is None:
                told = _read_on(output, told)
                yield
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
                process.wait()
        if process.returncode == 0:
            return ""
        last = _last_line(_read_on(output, told))
        return f"it exited with {process.returncode}{f': {last}' if last else ''}"


def _socket(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    return made


def _connect(connection: socket.socket, address: str, port: int) -> Generator[None, None, None]:
    code = connection.connect_ex((address, port))
    if code == errno.EINPROGRESS:
        ready = select.poll()
        ready.register(connection, select.POLLOUT)
        while not ready.poll(0):
            yield
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _encrypted(connection: socket.socket, name: str, *, verify: bool) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=name, do_handshake_on_connect=False)


def _shake_hands(connection: ssl.SSLSocket) -> Generator[None, None, None]:
    while True:
        try:
            connection.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            yield
        else:
            return


def _send(connection: socket.socket, data: bytes) -> Generator[None, None, None]:
    while data:
        try:
            data = data[connection.send(data) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            yield


def _line(connection: socket.socket) -> Generator[None, None, bytes]:
    line = b""
    while b"\n" not in line and len(line) < _LONGEST_LINE:
        try:
            more = connection.recv(_LONGEST_LINE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            yield
            continue
        if not more:
            break
        line += more
    return line


def _read_on(output: FileIO, told: bytes) -> bytes:
    """The end of what a command has printed so far; one that prints without end is slowed down."""
    for _ in range(_BLOCKS):
        more = output.read(_BLOCK)
        if not more:
            break
        told = (told + more)[-_LONGEST_LINE:]
    return told


def _last_line(told: bytes) -> str:
    lines = told.decode(errors="replace").strip().splitlines()
    return one_line(lines[-1])[:_LONGEST_TOLD] if lines else ""


def _said(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
