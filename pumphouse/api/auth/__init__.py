"""Who asks, and whether they may.

A *login* knows users by their requests; a *policy* says what each may do. Every request passes here before
its view: only what says so itself is open to everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response

from pumphouse import errors

V = TypeVar("V", bound=Callable[..., Any])
ALLOW = "allow"
"""The attribute of a view that names the rule of the policy."""
OPEN = "open"
"""The attribute of a view that everybody may use."""
_LOGIN, _POLICY = "pumphouse-login", "pumphouse-policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who is known. ``by_cookie`` says that a browser sends the proof by itself."""

    name: str
    roles: frozenset[str]
    id: str = ""
    project_id: str = ""
    by_cookie: bool = False


class Login(Protocol):
    """A way to know users."""

    def user(self) -> User | None:
        """Who sends this request, None for nobody that is known."""


class Policy(Protocol):
    """What users may do."""

    def allows(self, user: User, rule: str) -> bool:
        """Whether the user may do what this rule stands for."""


def install(app: Flask, login: Login, policy: Policy) -> None:
    """Let every request of an application be checked."""
    app.extensions[_LOGIN] = login
    app.extensions[_POLICY] = policy
    app.before_request(_check)


def open_to_all(view: V) -> V:
    """Mark a view that needs no login."""
    setattr(view, OPEN, True)
    return view


def allow(rule: str) -> Callable[[V], V]:
    """Mark a view, of the dashboard say, that needs the rule."""

    def mark(view: V) -> V:
        setattr(view, ALLOW, rule)
        return view

    return mark


def user() -> User:
    """Who sends this request. Only for views that are not open to all."""
    return cast("User", g.user)


def known() -> User | None:
    """Who sends this request; None on pages that are open to all, for somebody who has not logged in."""
    return cast("User | None", g.get("user"))


def allowed(rule: str) -> bool:
    """Whether the user may do that: for a page that shows only what would work."""
    asks = known()
    return asks is not None and cast("Policy", current_app.extensions[_POLICY]).allows(asks, rule)


def require(rule: str) -> None:
    """Raise NotPermitted unless the user may do that."""
    g.rule = rule
    if not allowed(rule):
        raise errors.NotPermitted(f"the policy does not let {user().name} do this: {rule}")


def _check() -> Response | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or getattr(view, OPEN, False):
        return None
    known = cast("Login", current_app.extensions[_LOGIN]).user()
    if known is None:
        if _by_a_browser() and "login.show_login" in current_app.view_functions:
            return redirect(url_for("login.show_login", next=request.full_path.rstrip("?")), 303)
        raise errors.LoginRequired("this needs a login", next_step=_HOW)
    g.user = known
    same_origin_only(strictly=known.by_cookie)
    rule = getattr(view, ALLOW, None)
    if rule is not None:
        require(rule)
    return None


_HOW = "Send the header Authorization: Bearer TOKEN, or for Keystone X-Auth-Token."


def _by_a_browser() -> bool:
    best = request.accept_mimetypes.best_match(["application/json", "text/html", "text/event-stream"])
    return request.method == "GET" and best == "text/html"


def same_origin_only(*, strictly: bool) -> None:
    """A browser asks whoever makes it ask, and sends its cookie; so writing must come from our own pages.

    :param strictly: also refuse what does not say where it comes from, as programs do.
    """
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        ours = site == "same-origin"
    elif origin is not None:
        ours = urlsplit(origin).netloc == request.host
    else:
        ours = not strictly
    if not ours:
        raise errors.NotPermitted("a browser may write only from the pages served here", next_step=_HOW)
