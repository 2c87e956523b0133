"""Health checks as an operator declares them: what must be true of a server before its source is given up.

In the override file::

    health:
      - server: web-*                     # a name, an id or a shell pattern; without it, every server
        http: http://{address}:8080/ready
        status: 200
        timeout: 120                      # seconds

Each entry holds one check: ``tcp``, ``http``, ``console`` or ``command``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from pumphouse import errors

SECTION = "health"
"""Of the override file; also the fact of a planned server that holds its checks."""
OF_TYPE = "server"
"""The resource type that has checks."""
TIMEOUT = 300.0
_HOST = "{address}"
_LONGEST = 24 * 3600
_PORTS = range(1, 65536)


class Kind(StrEnum):
    """What is looked at."""

    TCP = "tcp"
    HTTP = "http"
    CONSOLE = "console"
    COMMAND = "command"


class Address(StrEnum):
    """Which of a server's addresses is asked."""

    ANY = "any"
    """A floating one where it has one, else the first of its first port."""
    FIXED = "fixed"
    FLOATING = "floating"


_ADDRESSED = frozenset({Kind.TCP, Kind.HTTP})
_OPTIONS: Mapping[Kind, frozenset[str]] = {
    Kind.TCP: frozenset({"address"}),
    Kind.HTTP: frozenset({"address", "status", "host", "verify"}),
    Kind.CONSOLE: frozenset(),
    Kind.COMMAND: frozenset(),
}
"""The keys that go with each kind, besides ``server`` and ``timeout``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of all servers that match ``server``. ``timeout`` is in seconds.

    ``value`` is a port, a URL, a text to look for, or the words of a command; ``statuses``, ``host`` and
    ``verify`` belong to URLs.
    """

    kind: Kind
    value: int | str | tuple[str, ...]
    server: str = "*"
    timeout: float = TIMEOUT
    address: Address = Address.ANY
    statuses: tuple[int, ...] = (200,)
    host: str = ""
    verify: bool = True
    given: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The entry as it was written."""

    def __str__(self) -> str:
        value = " ".join(self.value) if isinstance(self.value, tuple) else str(self.value)
        return f"{self.kind} {value}"

    @property
    def addressed(self) -> bool:
        """Whether it goes to an address of the server."""
        return self.kind in _ADDRESSED

    def matches(self, name: str, identity: str) -> bool:
        """Whether a server of this name and id (the source's) is to pass it."""
        return self.server == identity or fnmatchcase(name, self.server)


def parse(data: Any, *, where: str) -> tuple[Check, ...]:
    """Checks from the override file's form. Raises BadOverride."""
    if not isinstance(data, list):
        raise errors.BadOverride(f"{where}: {SECTION} must be a list of checks")
    return tuple(_check(one, f"{where}: check {number} of {SECTION}") for number, one in enumerate(data, 1))


def forbidden(checks: Collection[Check], *, programs: Collection[str]) -> Check | None:
    """The first check that runs a program which is none of these."""
    commands = (one for one in checks if isinstance(one.value, tuple))
    return next((one for one in commands if one.value[0] not in programs), None)  # type: ignore[index]


def _check(data: Any, where: str) -> Check:
    kinds = [kind for kind in Kind if isinstance(data, Mapping) and kind in data]
    if len(kinds) != 1:
        raise errors.BadOverride(f"{where} needs one of {', '.join(Kind)}, and only one")
    (kind,) = kinds
    known = {kind, "server", "timeout"} | _OPTIONS[kind]
    unknown = sorted(str(name) for name in data if name not in known)
    if unknown:
        raise errors.BadOverride(
            f"{where}: {kind} does not take {', '.join(unknown)}",
            next_step=f"It takes: {', '.join(sorted(known))}.",
        )
    server = data.get("server", "*")
    if not isinstance(server, str) or not server:
        raise errors.BadOverride(f"{where}: server must be a name, an id or a pattern such as web-*")
    return Check(
        kind=kind,
        value=_VALUES[kind](data[kind], where),
        server=server,
        timeout=_timeout(data.get("timeout", TIMEOUT), where),
        address=_address(data.get("address", Address.ANY), where),
        statuses=_statuses(data.get("status", 200), where),
        host=_host(data.get("host", ""), where),
        verify=_verify(data.get("verify", True), where),
        given=dict(data),
    )


def _port(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _PORTS:
        raise errors.BadOverride(f"{where}: tcp must be a port, from 1 to 65535")
    return value


def _url(value: Any, where: str) -> str:
    """A URL of the server itself: a check that asked other hosts could be passed by another server."""
    wrong = errors.BadOverride(
        f"{where}: http must be a URL such as http://{_HOST}:8080/ready",
        next_step=f"Write {_HOST} for the host: it stands for the server's address.",
    )
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise wrong
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or parts.netloc.partition(":")[0] != _HOST or port == 0:
        raise wrong
    return value


def _pattern(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip("*"):
        raise errors.BadOverride(f"{where}: console must be a text to look for, in which * and ? may stand")
    return value


def _words(value: Any, where: str) -> tuple[str, ...]:
    words = value if isinstance(value, list) else []
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0]:
        raise errors.BadOverride(
            f"{where}: command must be a list of words, such as [/usr/local/bin/check, --quick]",
            next_step="It is run as it is, by no shell. Put numbers and such into quotes.",
        )
    return tuple(words)


_VALUES: Mapping[Kind, Any] = {
    Kind.TCP: _port,
    Kind.HTTP: _url,
    Kind.CONSOLE: _pattern,
    Kind.COMMAND: _words,
}


def _timeout(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST:
        raise errors.BadOverride(f"{where}: timeout must be a number of seconds, up to a day")
    return float(value)


def _address(value: Any, where: str) -> Address:
    if value not in list(Address):
        raise errors.BadOverride(f"{where}: address must be one of {', '.join(Address)}")
    return Address(value)


def _statuses(value: Any, where: str) -> tuple[int, ...]:
    given = value if isinstance(value, list) else [value]
    if not given or not all(type(one) is int and 100 <= one <= 599 for one in given):
        raise errors.BadOverride(f"{where}: status must be an HTTP status, such as 200, or a list of them")
    return tuple(given)


def _host(value: Any, where: str) -> str:
    if not isinstance(value, str) or not all(sign.isalnum() or sign in ".-_" for sign in value):
        raise errors.BadOverride(f"{where}: host must be the name of a host")
    return value


def _verify(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise errors.BadOverride(f"{where}: verify must be true or false")
    return value
