"""What a service answered, or why it did not, as one error of the tree."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import requests
import urllib3.exceptions
from keystoneauth1 import exceptions as ks
from openstack import exceptions as sdk

from pumphouse import errors
from pumphouse.cloud_api import Service

_LONGEST_MESSAGE = 600
_SECRET_KEYS = frozenset(
    {"password", "original_password", "adminPass", "admin_pass", "user_data", "secret", "personality", "blob"}
)
_QUOTA = re.compile(r"exceed|over ?quota|over ?limit", re.IGNORECASE)
# What keystoneauth adds to a service's message, and our errors say in their own fields.
_KEYSTONEAUTH_TAIL = re.compile(r"[.]? \(HTTP \d+\).*$")
_BY_STATUS: dict[int, type[errors.CloudError]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.NotFound,
    429: errors.Unavailable,
}
REQUEST_ID_HEADERS = ("x-openstack-request-id", "x-compute-request-id")


class Interrupted(ks.ClientException):
    """A version document could not be had for now. Its ``__cause__`` is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The request that an error is about. ``credentials`` gives the secrets it was made with, if asked."""

    cloud: str
    service: Service
    method: str
    path: str
    body: Any = None
    credentials: Callable[[], Iterable[str]] = tuple

    def error(
        self,
        kind: type[errors.CloudError],
        what: str,
        *,
        status: int = 0,
        request_id: str = "",
        next_step: str = "",
    ) -> errors.CloudError:
        """An error of this kind about this request, with the request's secrets taken out."""
        return kind(
            f"{self.service} {self.method} {self.path}: {self._masked(what)}",
            service=self.service,
            method=self.method,
            path=self.path,
            status=status,
            cloud=self.cloud,
            request_id=request_id,
            next_step=next_step,
        )

    def mask(self, failure: BaseException) -> None:
        """Take the request's secrets out of a library's exception as well: a traceback shows it."""
        for one in _causes(failure):
            one.args = tuple(self._masked(part) if isinstance(part, str) else part for part in one.args)

    def _masked(self, text: str) -> str:
        for secret in sorted({*_secrets(self.body), *self.credentials()}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def request_id(response: requests.Response) -> str:
    """The id under which the service's own log has the request."""
    return next((response.headers[name] for name in REQUEST_ID_HEADERS if name in response.headers), "")


def from_response(place: Place, response: requests.Response) -> errors.CloudError:
    """The error that a response with a status of 300 or more stands for."""
    status = response.status_code
    text = service_message(response)
    return place.error(
        _kind(status, text),
        f"answered {status}{': ' + text if text else ''}",
        status=status,
        request_id=request_id(response),
    )


def from_exception(place: Place, failure: Exception) -> errors.CloudError:
    """The error for a request that got no answer, or whose token or endpoint could not be had."""
    match failure:
        case ks.SSLError():
            return place.error(
                errors.Unavailable,
                f"no trusted connection: {_reason(failure)}",
                next_step="Set cacert in clouds.yaml to the certificate authority of this cloud.",
            )
        case ks.EndpointNotFound() | ks.MissingAuthPlugin():
            return place.error(
                errors.Unavailable,
                f"the catalogue has no {place.service} service for this region and interface",
                next_step="Compare region_name and interface in clouds.yaml with the cloud's catalogue.",
            )
        case ks.HttpError():
            status = int(failure.http_status or 0)
            kind = _kind(status, str(failure.message))
            said = _KEYSTONEAUTH_TAIL.sub("", clean(str(failure.message)))
            return place.error(
                # Whatever else it says, it says nothing of the resource, which may well be there.
                kind if kind in {errors.Unauthorized, errors.Forbidden} else errors.Unavailable,
                f"no token or version ({status}): {said}",
                status=status,
                request_id=failure.request_id or "",
            )
        case ks.ClientException() if not isinstance(failure, ks.ConnectionError):
            return place.error(errors.Unavailable, clean(str(failure)) or type(failure).__name__)
        case _:
            return place.error(errors.Unavailable, f"no answer: {_reason(failure)}")


def root(failure: Exception) -> Exception:
    """What is behind a failed discovery: the SDK tells it in prose only."""
    if not isinstance(failure, ks.DiscoveryFailure | Interrupted | sdk.SDKException):
        return failure
    behind = (cause for cause in _causes(failure) if isinstance(cause, ks.ConnectionError | ks.HttpError))
    return next(behind, failure)


def never_sent(failure: BaseException) -> bool:
    """Whether no connection came about, so that the service cannot have seen the request."""
    return any(
        isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
        for cause in _causes(failure)
    )


def service_message(response: requests.Response) -> str:
    """The service's own words: keystone's, nova's, neutron's and cinder's JSON, or Glance's HTML."""
    try:
        text = response.text
    except (requests.RequestException, urllib3.exceptions.HTTPError):
        return ""  # the status alone has to do: the body was cut off
    try:
        found = _message(json.loads(text))
    except ValueError:
        found = text
    return clean(found)


def clean(text: str) -> str:
    """One line of plain text, without mark-up, of bounded length, without a full stop."""
    text = re.sub(r"(?is)<(title|style|script|h1)\b.*?</\1>", " ", text)
    text = html.unescape(re.sub(r"<[^<>]{0,200}>", " ", text))
    text = " ".join(text.split()).removesuffix(".")
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def _kind(status: int, text: str) -> type[errors.CloudError]:
    """The kind of error for a status; services disagree on the status of a quota."""
    if status == 413 and re.search("quota|limit", text, re.IGNORECASE):
        return errors.QuotaExceeded
    if status in {403, 409} and _QUOTA.search(text) and "olicy doesn't allow" not in text:
        return errors.QuotaExceeded
    fallback = errors.BadRequest if 400 <= status < 500 else errors.Unavailable
    return _BY_STATUS.get(status, fallback)


def _message(data: Any) -> str:
    """The text in ``{"message": …}``, ``{"<fault>": {"message": …}}``, ``{"errors": [{"detail": …}]}``."""
    match data:
        case str():
            return data
        case {"message": str(text)} | {"detail": str(text)} | {"title": str(text)}:
            return text
        case {"errors": [first, *_]}:
            return _message(first)
        case dict():
            return next((text for value in data.values() if (text := _message(value))), "")
        case _:
            return ""


def _secrets(body: Any) -> Iterator[str]:
    """The secret values of a request's body: services quote what they do not accept."""
    match body:
        case dict():
            for key, value in body.items():
                if key in _SECRET_KEYS and isinstance(value, str) and value:
                    yield value
                else:
                    yield from _secrets(value)
        case list():
            for value in body:
                yield from _secrets(value)


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """The exception, what it was made from, and what urllib3 carries inside.

    Not what was being handled when it came, such as an earlier failure of another request.
    """
    seen: set[int] = set()
    waiting: list[object] = [failure]
    while waiting:
        found = waiting.pop(0)
        if (
            not isinstance(found, BaseException)
            or isinstance(found, errors.PumphouseError)
            or id(found) in seen
        ):
            continue
        seen.add(id(found))
        yield found
        behind = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
        waiting += [behind, getattr(found, "reason", None), *found.args]


def _reason(failure: BaseException) -> str:
    """The innermost reason: the layers above repeat the address and the query."""
    innermost = list(_causes(failure))[-1]
    return clean(str(innermost)) or type(innermost).__name__
