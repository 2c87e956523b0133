"""What every answer tells browsers, and which requests are not even looked at."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Sequence
from functools import partial
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer a browser would not tell where a form of ours comes from, and it would be refused.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Neither a proxy nor a browser keeps what only this user may see. Static files say otherwise themselves.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}
LARGEST_PLAN = 256 * 1024 * 1024
"""Bytes of a saved plan: about a hundred thousand resources."""
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def install(app: Flask, *, hosts: Sequence[str] = (), saved_plans: Collection[str] = ()) -> None:
    """Protect an application.

    :param saved_plans: the endpoints whose body is a plan, which may be large.
    :param hosts: the only names by which it may be called; all if there are none. A page of elsewhere can
        give its own name our address, and a browser would then take ours for its own.
    """
    if hosts:
        app.before_request(partial(_by_these_names_only, frozenset(one.casefold() for one in hosts)))
    app.before_request(partial(_room_for_plans, frozenset(saved_plans)))
    app.before_request(_json_only)
    app.after_request(_tell)


def with_style(response: Response, style: str) -> Response:
    """Let a page have this one inline style sheet."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    response.headers["Content-Security-Policy"] = _HEADERS["Content-Security-Policy"].replace(
        "style-src 'self'", f"style-src 'self' 'sha256-{digest}'"
    )
    return response


def _by_these_names_only(names: frozenset[str]) -> None:
    if urlsplit(f"//{request.host}").hostname not in names:
        raise BadRequest("This server does not answer to that name.")


def _room_for_plans(endpoints: frozenset[str]) -> None:
    if request.endpoint in endpoints:
        request.max_content_length = LARGEST_PLAN


def _json_only() -> None:
    """A body of another type is no JSON; and a form of another site cannot send JSON."""
    if request.path.startswith("/v1/") and request.method in {"POST", "PUT", "PATCH"}:
        has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
        if has_body and not request.is_json:
            raise UnsupportedMediaType("The body must be application/json.")


def _tell(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
