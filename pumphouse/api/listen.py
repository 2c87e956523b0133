"""Where the API listens: an address and a port, or a unix socket."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pumphouse.errors import BadConfig

_BACKLOG = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address to listen on: a host and a port, or else the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """An address such as ``127.0.0.1:8775``, ``[::1]:8775`` or ``unix:/run/pumphouse.sock``.

        Raises BadConfig.
        """
        if text.startswith("unix:") and len(text) > len("unix:"):
            return cls(path=Path(text.removeprefix("unix:")).expanduser().absolute())
        found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):(\d{1,5})", text)
        if found is None or int(found[3]) > 65535:
            raise BadConfig(
                f"cannot listen on {text!r}", next_step="Give HOST:PORT, [IPv6]:PORT or unix:/path/to/socket."
            )
        return cls(host=found[1] or found[2], port=int(found[3]))

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def listen(self) -> socket.socket:
        """A socket that listens there. A unix socket is for its owner alone. Raises BadConfig."""
        try:
            return self._listen_on_path(self.path) if self.path is not None else self._listen_on_port()
        except OSError as error:
            reason = error.strerror or error
            raise BadConfig(
                f"cannot listen on {self}: {reason}", next_step="Name another address with --listen."
            ) from None

    def _listen_on_port(self) -> socket.socket:
        family, kind, protocol, _, where = socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener

    @staticmethod
    def _listen_on_path(path: Path) -> socket.socket:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise BadConfig(f"cannot listen on {path}: it is there, and is no socket")
            if _answers(path):
                raise BadConfig(f"cannot listen on {path}: another process does")
            path.unlink()
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(before)
        return listener

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(listener: socket.socket) -> Address:
    """The address of a socket that listens: with the port that it was given, where any would do."""
    where = listener.getsockname()
    if isinstance(where, str | bytes):
        return Address(path=Path(os.fsdecode(where)))
    return Address(host=str(where[0]), port=int(where[1]))


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True
