"""The HTTP layer below the SDK: one pool of connections per cloud, and a time-out on every request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import requests
from keystoneauth1.session import TCPKeepAliveAdapter

from pumphouse import config

UPLOAD_BLOCK = 2 * 1024 * 1024
"""Bytes that an upload reads and sends at once. The standard library's 16 KiB cost four times the CPU."""


class Observer(Protocol):
    """Told of the requests to clouds. Must not block and must not raise."""

    def sent(self, cloud: str, service: str, method: str, outcome: str, seconds: float) -> None:
        """A request was answered with this status, or was not (``no answer``)."""

    def waited(self, cloud: str, service: str, seconds: float) -> None:
        """So long is waited before a request is sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How pumphouse talks to a cloud. Times are in seconds."""

    limits: config.Clouds = field(default_factory=config.Clouds)
    """The operator's options: time-outs, attempts, requests in flight and per second."""
    pool: int = 64
    """Connections that are kept open, per service of a cloud."""
    observer: Observer | None = None
    """Told each request."""
    poll_interval: float = 2.0
    """How old a listing that waits look at may be."""

    @classmethod
    def of(cls, options: config.Config, *, observer: Observer | None = None) -> Settings:
        """The settings that the operator's options give."""
        return cls(limits=options.clouds, poll_interval=options.engine.poll_interval, observer=observer)


class PooledAdapter(TCPKeepAliveAdapter):
    """Keeps enough connections open, sends large blocks, and never waits for ever."""

    def __init__(self, settings: Settings) -> None:
        self._timeout = (settings.limits.connect_timeout, settings.limits.read_timeout)
        super().__init__(pool_connections=16, pool_maxsize=settings.pool, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **{"blocksize": UPLOAD_BLOCK} | kwargs)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - the signature is requests' own
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002 - the signature is requests' own
        cert: Any = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send with the settings' time-outs unless clouds.yaml has an ``api_timeout``."""
        return super().send(
            request,
            stream=stream,
            timeout=timeout or self._timeout,
            verify=verify,
            cert=cert,
            proxies=proxies,
        )


class _Session(requests.Session):
    """Reads proxies and certificates of the environment once per service, not once per request."""

    def __init__(self) -> None:
        super().__init__()
        # Tokens are all the authentication there is: without this, each request looks for a .netrc, and would
        # send the password that it may hold for the host.
        self.auth = _no_auth
        self._from_environment: dict[Any, Any] = {}

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> dict[str, Any]:
        asked = repr((str(url).split("/", 3)[:3], proxies, verify, cert))
        found = self._from_environment.get(asked)
        if found is None:
            found = super().merge_environment_settings(url, proxies, False, verify, cert)
            self._from_environment[asked] = found
        return dict(found) | {"stream": bool(stream)}


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def http_session(settings: Settings) -> requests.Session:
    """The session that all projects of one cloud share."""
    session = _Session()
    adapter = PooledAdapter(settings)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
