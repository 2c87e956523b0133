"""Requests to the API, and its problems as errors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import requests

from pumphouse import errors
from pumphouse.api.documents import Document, Page
from pumphouse.api.v1.operations import Operation

D = TypeVar("D", bound=Document)
P = TypeVar("P", bound=Page)
_TIMEOUT = (10.0, 120.0)
"""Seconds to connect, and to wait: to check a cloud is to ask all its services."""
_FIRST_LOOK, _LONGEST_LOOK = 0.1, 2.0
"""Seconds between two looks at an operation: they grow."""
_PATIENCE = 120.0
"""Seconds that a server may be away, to be restarted say, while an operation is waited for."""
_SILENCE = 60.0
"""A stream that has told nothing for so long is broken: a comment comes every quarter of a minute."""
_URN = "urn:pumphouse:error:"


class Transport:
    """A session with one server.

    :param url: where it is.
    :param token: the server's token.
    :param keystone_token: a token of Keystone.
    :param verify: as ``requests`` has it: whether to check certificates, or the file with those to trust.
    """

    def __init__(
        self, url: str, *, token: str = "", keystone_token: str = "", verify: bool | str = True
    ) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # With each request, as requests prefers its environment's REQUESTS_CA_BUNDLE to what a session says.
        self._always = {"timeout": _TIMEOUT, "verify": verify}
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        if keystone_token:
            self._session.headers["X-Auth-Token"] = keystone_token

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request. Raises Unavailable, or the error that the server has."""
        try:
            answer = self._session.request(method, f"{self._url}/v1{path}", **self._always | options)
        except requests.RequestException as error:
            raise errors.Unavailable(f"the API does not answer: {error}") from error
        if not answer.ok:
            raise _error(answer)
        return answer

    def get(self, document: type[D], path: str, **query: Any) -> D:
        """A document."""
        return document.model_validate_json(self.send("GET", path, params=_given(query)).content)

    def post(
        self, document: type[D], path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> D:
        """The document that a writing request is answered with."""
        return document.model_validate_json(
            self.send("POST", path, json=_given(body), headers=headers).content
        )

    def ended(self, id: str) -> Operation:
        """An operation, once it has ended. Raises the error that it failed with, or Unavailable."""
        wait, heard = _FIRST_LOOK, time.monotonic()
        while True:
            try:
                found = self.get(Operation, f"/operations/{id}")
                heard = time.monotonic()
            except (errors.Unavailable, errors.StoreError):
                if time.monotonic() - heard > _PATIENCE:
                    raise
            else:
                if found.error is not None:
                    raise _error_of(found.error.model_dump())
                if found.state.ended:
                    return found
            time.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_LOOK)

    def pages(self, page: type[P], path: str, **query: Any) -> Iterator[P]:
        """All pages of a listing."""
        marker: str | None = None
        while True:
            found = self.get(page, path, marker=marker, **query)
            yield found
            marker = found.next_marker
            if marker is None:
                return

    def stream(self, path: str, *, after: int) -> Iterator[tuple[int, str]]:
        """The server-sent events of a path, each with its number; connects again as often as need be."""
        while True:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            try:
                with self.send(
                    "GET", path, headers=headers, stream=True, timeout=(_TIMEOUT[0], _SILENCE)
                ) as answer:
                    for number, data in _events(answer):
                        yield number, data
                        after = number
            except (requests.RequestException, errors.Unavailable, errors.TooMany):
                time.sleep(1.0)


def _events(answer: requests.Response) -> Iterator[tuple[int, str]]:
    number = 0
    # One byte is read at a time else, or an event waits for the next one to fill the buffer.
    for line in answer.iter_lines(chunk_size=1):
        name, _, value = bytes(line).partition(b": ")
        if name == b"id":
            number = int(value)
        elif name == b"data":
            yield number, value.decode()


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _error(answer: requests.Response) -> errors.PumphouseError:
    """The error of the tree that a problem document tells of."""
    try:
        problem = answer.json()
    except requests.JSONDecodeError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    return _error_of({"detail": f"the API answers {answer.status_code} {answer.reason}"} | problem)


def _error_of(problem: Mapping[str, Any]) -> errors.PumphouseError:
    name = str(problem.get("type", "")).removeprefix(_URN)
    return errors.from_dict({**problem, "error": name, "message": problem.get("detail")})
