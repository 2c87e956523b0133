"""Faults: how a handler refuses a request, and how each service words a refusal.

Raise :class:`Fault` (or one of the short helpers) from a handler. The dispatcher renders it in the body shape
of the service that was asked, because clients take these bodies apart.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus

from pumphouse.devcloud.http import Response

UNAUTHENTICATED = "The request you have made requires authentication."


class Fault(Exception):
    """A refusal: HTTP ``status``, ``message``, and for Neutron the ``type`` of the error.

    ``type`` overrides the key that Nova and Cinder derive from the status; ``headers`` are added to the
    answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str | None = None,
        detail: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.detail = detail
        self.headers = dict(headers or {})


def bad_request(message: str, *, type: str | None = None) -> Fault:
    """The request itself is wrong (400)."""
    return Fault(400, message, type=type)


def forbidden(message: str, *, type: str | None = None) -> Fault:
    """The caller may not do this (403)."""
    return Fault(403, message, type=type)


def not_found(message: str, *, type: str | None = None) -> Fault:
    """What the path names is not there, or not visible to the caller (404)."""
    return Fault(404, message, type=type)


def conflict(message: str, *, type: str | None = None) -> Fault:
    """The state of the resource does not allow it (409)."""
    return Fault(409, message, type=type)


def _json(fault: Fault, body: object) -> Response:
    return Response(
        fault.status, json.dumps(body).encode(), {"Content-Type": "application/json", **fault.headers}
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def identity_fault(fault: Fault) -> Response:
    """Keystone: ``{"error": {"code", "message", "title"}}``."""
    error = {"code": fault.status, "message": fault.message, "title": _phrase(fault.status)}
    return _json(fault, {"error": error})


_COMPUTE_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def compute_fault(fault: Fault) -> Response:
    """Nova and Cinder: ``{"itemNotFound": {"code", "message"}}``, keyed by the status."""
    key = fault.type or _COMPUTE_KEYS.get(fault.status, "computeFault")
    return _json(fault, {key: {"code": fault.status, "message": fault.message}})


_NETWORK_TYPES = {403: "PolicyNotAuthorized", 404: "HTTPNotFound", 409: "Conflict"}


def network_fault(fault: Fault) -> Response:
    """Neutron: ``{"NeutronError": {"type", "message", "detail"}}``."""
    kind = fault.type or _NETWORK_TYPES.get(fault.status, "HTTP" + _phrase(fault.status).replace(" ", ""))
    return _json(fault, {"NeutronError": {"type": kind, "message": fault.message, "detail": fault.detail}})


def image_fault(fault: Fault) -> Response:
    """Glance: an HTML page, whose title is the status."""
    title = f"{fault.status} {_phrase(fault.status)}"
    text = html.escape(fault.message, quote=False)
    page = (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n"
        f" <body>\n  <h1>{title}</h1>\n  {text}<br /><br />\n\n\n\n </body>\n</html>"
    )
    return Response(
        fault.status, page.encode(), {"Content-Type": "text/html; charset=UTF-8", **fault.headers}
    )


def unauthenticated(auth_url: str) -> Response:
    """A missing, unknown or expired token.

    The same 401 from every service, as their common middleware gives it.
    """
    fault = Fault(401, UNAUTHENTICATED, headers={"WWW-Authenticate": f'Keystone uri="{auth_url}"'})
    return identity_fault(fault)


Renderer = Callable[[Fault], Response]
