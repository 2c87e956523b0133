"""A small client of the clouds' APIs: one connection, one token, JSON in and out.

It asks as any client would, so that what it makes obeys roles, quotas and all other rules.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

# The newest microversions that the embedded clouds know.
MICROVERSIONS = {"compute": "compute 2.96", "volume": "volume 3.70"}
TIMEOUT = 60.0


class ApiError(Exception):
    """A cloud refused: `status` and what it said."""

    def __init__(self, method: str, url: str, status: int, body: bytes) -> None:
        super().__init__(f"{method} {url} answered {status}: {body[:500].decode(errors='replace')}")
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Answer:
    """What a cloud said."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is empty."""
        return json.loads(self.content) if self.content else None


class Client:
    """One user in one project of one cloud. Services go by their short names: identity, compute, ..."""

    def __init__(
        self, url: str, *, username: str, password: str, project: str, domain: str = "Default"
    ) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
        self._bases: dict[str, str] = {"identity": "/identity/v3"}
        self._token = ""
        self.project_id = ""
        self.user_id = ""
        self._authenticate(username, password, project, domain)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _authenticate(self, username: str, password: str, project: str, domain: str) -> None:
        user = {"name": username, "password": password, "domain": {"name": domain}}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": project, "domain": {"name": domain}}},
            }
        }
        answer = self.request("identity", "POST", "/auth/tokens", body)
        token = answer.json["token"]
        self._token = answer.headers["X-Subject-Token"]
        self.project_id, self.user_id = token["project"]["id"], token["user"]["id"]
        self._bases |= {"compute": "/compute/v2.1", "image": "/image/v2", "network": "/network/v2.0"}
        self._bases["volume"] = f"/volume/v3/{self.project_id}"

    def request(
        self,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask; `body` is sent as JSON, `data` as it is. ApiError for any answer from 400 on."""
        sent = {"X-Auth-Token": self._token} if self._token else {}
        if service in MICROVERSIONS:
            sent["OpenStack-API-Version"] = MICROVERSIONS[service]
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        content = json.dumps(body).encode() if body is not None else data
        url = self._bases[service] + path
        self._connection.request(method, url, body=content, headers=sent)
        response = self._connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        if answer.status >= 400:
            raise ApiError(method, url, answer.status, answer.content)
        return answer

    def get(self, service: str, path: str) -> Any:
        """The JSON of a GET."""
        return self.request(service, "GET", path).json

    def post(self, service: str, path: str, body: Any) -> Any:
        """The JSON that answers a POST."""
        return self.request(service, "POST", path, body).json

    def put(self, service: str, path: str, body: Any = None) -> Any:
        """The JSON that answers a PUT."""
        return self.request(service, "PUT", path, body).json

    def delete(self, service: str, path: str) -> None:
        """DELETE."""
        self.request(service, "DELETE", path)

    def wait(self, service: str, path: str, done: Callable[[Any], bool], *, seconds: float = TIMEOUT) -> Any:
        """Read until `done` says so of the JSON; TimeoutError after so many seconds."""
        end = time.monotonic() + seconds
        while not done(found := self.get(service, path)):
            if time.monotonic() > end:
                raise TimeoutError(f"{path} did not become what was waited for in {seconds} s: {found}")
            time.sleep(0.02)
        return found
